"""A saga host: the loop around one engine. Any number of hosts may run on the same rows.

It handles what arrives at once, sweeps the rows at most a second apart, and prunes now and then. What goes
wrong for a moment (a deadlock, a database that is away) is tried again with a growing pause.

A host that was itself asleep or cut off must not judge others by the silence it did not hear: it abstains
for one lease after any pause longer than a heartbeat and the one it takes itself. Nor does it judge while it has
not read what lies in the queue: the last words of a worker that is silent now may be there.

Where public events are wanted, a thread beside it sends them (``outbox``).
"""

from __future__ import annotations

import logging
import random
from contextlib import ExitStack
from threading import Event

from jobsaga.clock import Clock, SystemClock
from jobsaga.engine.companions import companions
from jobsaga.engine.engine import PRUNED_AT_ONCE, Engine
from jobsaga.engine.outbox import Outbox, Post
from jobsaga.pulse import Beat, no_pulse
from jobsaga.transport.base import SAGA, Listener

logger = logging.getLogger("jobsaga.engine")

SWEEP_EVERY = 0.8
PRUNE_EVERY = 10.0
#: While there is more to prune than one bite.
PRUNE_AGAIN_AFTER = 0.25
FIRST_PAUSE, LAST_PAUSE = 0.05, 5.0
#: Seconds in which nothing more has come, until a stopping host believes that nothing will; and how often it looks.
LAST_WORDS, LAST_LAPS = 0.2, 20
#: Until a job type is tried again that another host had locked.
BUSY_PAUSE = 0.05


class SagaHost:
    """Runs one engine until it is stopped. ``run`` belongs to one thread; ``stop`` may come from any.

    ``pulse`` is told after each lap whether the host does its work.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None, pulse: Beat = no_pulse) -> None:
        self.engine, self.clock, self._pulse = engine, clock or SystemClock(), pulse
        self.stopping = Event()
        self._post = Post(Outbox(engine.store, engine.transport)) if engine.options.publish_events else None
        self._listener: Listener | None = None
        self._judges_from = 0.0
        self._last_lap = self.clock.monotonic()
        self._next_sweep = self._next_prune = 0.0
        self._failures = 0

    def stop(self) -> None:
        """Let ``run`` return after the lap it is in."""
        self.stopping.set()
        if self._listener is not None:
            self._listener.wake()

    def run(self) -> None:
        """Work until stopped; what arrived until then is handled."""
        with ExitStack() as beside:
            for companion in companions:
                beside.enter_context(companion(self.engine))
            self._run()

    def _run(self) -> None:
        self._listener = self.engine.transport.listen(SAGA)
        if self._post is not None:
            self._post.start()
        try:
            while not self.stopping.is_set():
                pause = self.lap()
                self._pulse(self.does_its_work)
                if self._post is not None:
                    self._post.wake()
                if pause > 0 and not self.stopping.is_set():
                    self._listener.wait(pause)
            self._last_laps(self._listener)
        finally:
            self._pulse(ready=False)
            if self._post is not None:
                self._post.close()
            listener, self._listener = self._listener, None
            listener.close()

    @property
    def does_its_work(self) -> bool:
        """Whether the last lap succeeded and the workers can be told."""
        return not self._failures and self.engine.transport.is_connected()

    def _last_laps(self, listener: Listener) -> None:
        """What the worker beside this host has said last may still be on its way from a broker."""
        for _ in range(LAST_LAPS):
            self.lap()
            if self.engine.transport.transactional or not listener.wait(LAST_WORDS):
                return

    def lap(self) -> float:
        """Do what there is to do; seconds to wait before the next lap, unless something arrives."""
        try:
            more = self._work()
        except Exception as error:
            self._failures += 1
            pause = min(LAST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10)) * (0.5 + random.random() / 2)
            text = "The saga host could not do its work; it tries again in %.1f s"
            if self.engine.store.is_transient(error):
                logger.warning("%s: %s", text % pause, error)
            else:
                logger.exception(text, pause)
            self.engine.store.refresh()
            self.stopping.wait(pause)
            return 0.0
        self._failures = 0
        if more:
            return 0.0
        pause = max(0.001, self._next_sweep - self.clock.monotonic())
        return min(pause, BUSY_PAUSE) if self.engine.to_do else pause

    def _work(self) -> bool:
        """One lap; whether the next should follow at once. What arrives from now on ends the waiting."""
        engine, now = self.engine, self.clock.monotonic()
        self._watch_myself(now)
        engine.store.refresh()
        done = engine.process()
        more = done >= engine.options.batch or (done > 0 and bool(engine.to_do))
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_EVERY * (0.8 + 0.2 * random.random())
            more |= engine.sweep(may_judge=self._may_judge) > 0
            if engine.due_in is not None:
                # A job's time is known to the microsecond: it need not wait for the sweep after it.
                self._next_sweep = min(self._next_sweep, now + engine.due_in)
        if now >= self._next_prune:
            self._next_prune = now + PRUNE_EVERY
            if engine.prune() >= PRUNED_AT_ONCE:
                self._next_prune = now + PRUNE_AGAIN_AFTER
        return more

    def _may_judge(self) -> bool:
        """Asked in the middle of a sweep: it may have waited long for its turn."""
        now = self.clock.monotonic()
        self._watch_myself(now)
        return now >= self._judges_from and self.engine.transport.is_current()

    def _watch_myself(self, now: float) -> None:
        options = self.engine.options
        away = now - self._last_lap
        if away > options.heartbeat_interval.total_seconds() + SWEEP_EVERY:
            self._judges_from = now + options.heartbeat_timeout.total_seconds()
            logger.warning("The saga host was away for %.1f s: it judges nobody for a while", away)
        self._last_lap = now
