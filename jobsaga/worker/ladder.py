"""How an attempt is brought to its end: asked, told for the last time, ended by force.

What it waits for in a database is canceled with the last call. A process is ended by signals. A thread or a task
cannot be: it is given up, its child gets no new work, and is killed when nothing runs in it any more that could
still end by itself.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable

from jobsaga.messages import CancelKind
from jobsaga.worker.handle import ChildHandle, Life
from jobsaga.worker.limits import limit_text
from jobsaga.worker.nursery import Nursery
from jobsaga.worker.running import Rung, Running
from jobsaga.worker.wire import Cancel

log = logging.getLogger("jobsaga.worker")


class Ladder:
    """Climbs when deadlines have passed. ``hand_back`` is called for what waited too long for a process."""

    def __init__(
        self, nursery: Nursery, monotonic: Callable[[], float], hand_back: Callable[[Running, str], None]
    ) -> None:
        self._nursery, self._monotonic, self._hand_back = nursery, monotonic, hand_back
        #: The earliest deadline there may be.
        self.next_at = math.inf

    def watch(self, running: Running) -> None:
        """Its deadline is new."""
        if running.deadline is not None:
            self.next_at = min(self.next_at, running.deadline)

    def climb(self, attempts: Callable[[], Iterable[Running]]) -> None:
        """Let those climb whose deadline has passed."""
        now = self._monotonic()
        if now < self.next_at:
            return
        self.next_at = math.inf
        for running in list(attempts()):
            if running.deadline is not None and running.deadline <= now:
                self._climb(running)
            self.watch(running)

    def ask(self, running: Running, kind: CancelKind, reason: str) -> None:
        """The first rung: its token, and for an async job an interruption."""
        running.ask(kind, reason, self._monotonic())
        self.watch(running)
        self._tell(running)

    def stop_at_once(self, running: Running, kind: CancelKind) -> None:
        """The first rung and the last call together: there is no time to lose."""
        if running.rung is Rung.RUNNING:
            self.ask(running, kind, limit_text(kind, running.options))
        self._force(running)

    def end(self, running: Running) -> None:
        """The last rung."""
        running.end()
        child = running.child
        if child is None:
            return
        if not child.shared:
            self._nursery.kill(child)
            return
        if child.life is Life.WORKING:
            log.warning(
                "%s %s does not end: its process goes when the other jobs in it have ended.",
                running.start.job_type,
                running.start.attempt_id,
            )
            child.be(Life.RETIRING)
        self.let_go(child)

    def let_go(self, child: ChildHandle) -> None:
        """See whether a shared child that retires can go."""
        if child.life is not Life.RETIRING or any(r.rung < Rung.ENDED for r in child.attempts.values()):
            return
        if child.attempts:
            self._nursery.kill(child)
        else:
            self._nursery.dismiss(child)

    def _climb(self, running: Running) -> None:
        if running.rung is Rung.WAITING and running.child is not None:
            running.reason = "Its process did not begin it"
            self.end(running)
        elif running.rung is Rung.WAITING:
            self._hand_back(running, f"No process for it: {self._nursery.trouble or 'none became free'}")
        elif running.rung is Rung.RUNNING:
            kind = running.overstepped(self._monotonic())
            if kind:
                self.ask(running, kind, limit_text(kind, running.options))
        elif running.rung is Rung.ASKED:
            self._force(running)
        else:
            self.end(running)

    def _force(self, running: Running) -> None:
        running.force(self._monotonic())
        self.watch(running)
        self._tell(running)
        if running.child and running.asked and not running.child.shared:
            running.child.last_call(running.asked)

    def _tell(self, running: Running) -> None:
        if running.child and running.asked:
            self._nursery.tell(running.child, Cancel(running.start.attempt_id, running.asked, running.reason))
