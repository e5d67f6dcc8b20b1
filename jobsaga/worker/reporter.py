"""What the instance says to the sagas: kept until it has been sent, and, for last words, until it took effect.

One thread sends, in batches, and tries for ever while the transport is away: a broker or database that is
gone when a job ends must not turn success into failure. The last word on each attempt is kept on after
that, until a heartbeat shows that the database no longer waits for it. It is sent again if need be, but not while
it may well be under way.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from threading import Condition, Event, Thread
from uuid import UUID

from jobsaga.messages import Ended, JobAttemptFaulted, Message
from jobsaga.transport.base import SAGA, Transport
from jobsaga.worker import faults

logger = logging.getLogger("jobsaga.worker")

BATCH = 1000
FIRST_PAUSE, LAST_PAUSE = 0.05, 2.0
#: Seconds for which a last word is trusted to arrive, before it is said again.
UNDER_WAY = 2.0


class Reporter:
    """Sends messages to the saga endpoint, in order. ``say`` may be called by any thread."""

    def __init__(
        self,
        transport: Transport,
        after: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transport, self._after, self._monotonic = transport, after, monotonic
        self._said_at: dict[UUID, float] = {}
        self._waiting: deque[Message] = deque()
        self._outcomes: dict[UUID, Ended] = {}
        self._changed = Condition()
        self._sending = False
        self._closing = Event()
        self._thread = Thread(target=self._run, name="jobsaga-reporter", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def say(self, messages: Iterable[Message]) -> None:
        """Send these, after all that was said before."""
        said = list(messages)
        for message in said:
            if isinstance(message, JobAttemptFaulted):
                faults.log(message)
        with self._changed:
            for message in said:
                self._waiting.append(message)
                if isinstance(message, Ended):
                    self._outcomes[message.attempt_id] = message
                    self._said_at[message.attempt_id] = self._monotonic()
            self._changed.notify_all()

    def has_ended(self, attempt_id: UUID) -> bool:
        """Whether the last word on this attempt was said here and has not yet been seen to take effect."""
        return attempt_id in self._outcomes

    def settle(self, still_open: set[UUID]) -> None:
        """The database waits for these attempts: say their last words again, forget the others."""
        now = self._monotonic()
        with self._changed:
            said = {message.attempt_id for message in self._waiting if isinstance(message, Ended)}
            for attempt_id in self._outcomes.keys() - said:
                if attempt_id not in still_open:
                    del self._outcomes[attempt_id], self._said_at[attempt_id]
                elif now - self._said_at[attempt_id] >= UNDER_WAY:
                    self._waiting.append(self._outcomes[attempt_id])
                    self._said_at[attempt_id] = now
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything was sent; False if that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._sending, timeout)

    def close(self, timeout: float = 5) -> None:
        """Stop sending. What was not sent is lost: flush first."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            batch = self._next()
            if not batch:
                continue
            try:
                self.transport.send([(SAGA, message) for message in batch])
                failures = 0
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                failures += 1
                pause = min(LAST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 10))
                logger.warning("Reports could not be sent, tried again in %.1f s: %s", pause, error)
                self._give_back(batch)
                self._closing.wait(pause)
            self._after()
            self._done()

    def _next(self) -> list[Message]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set(), 1.0)
            count = min(BATCH, len(self._waiting))
            self._sending = count > 0
            return [self._waiting.popleft() for _ in range(count)]

    def _give_back(self, batch: list[Message]) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(batch))

    def _done(self) -> None:
        with self._changed:
            self._sending = False
            self._changed.notify_all()
