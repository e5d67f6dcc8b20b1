"""User code in the calling thread: for tests, debuggers, coverage, and databases that live in memory.

``poll`` runs one attempt to its end. Nothing can be ended by force here: a cancel and a timeout only set the
token, which the job has to look at (an async job is interrupted).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync

from jobsaga.clock import Clock, SystemClock
from jobsaga.messages import CancelKind, Ended, Message, StartJob
from jobsaga.options import JobOptions
from jobsaga.properties import Properties
from jobsaga.worker.connections import close_stale_connections
from jobsaga.worker.context import Host
from jobsaga.worker.limits import Limits, limit_text
from jobsaga.worker.progress import ProgressTracker
from jobsaga.worker.runner import Attempt
from jobsaga.worker.running import never_started
from jobsaga.worker.saved_state import SaveCheckpoint, save_in_database
from jobsaga.worker.token import CancellationToken


class LimitToken(CancellationToken):
    """A token that sets itself when the job has overstepped a limit, whenever somebody looks at it."""

    def __init__(self, limits: Limits, options: JobOptions, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._limits, self._options, self._monotonic = limits, options, monotonic

    @property
    def is_cancellation_requested(self) -> bool:
        """Should the job end?"""
        kind = self._limits.overstepped(self._monotonic())
        if kind:
            self.cancel(kind, limit_text(kind, self._options))
        return super().is_cancellation_requested

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep until the job should end, at most ``seconds``."""
        deadline = self._limits.deadline()
        if deadline is not None:
            left = max(0.0, deadline - self._monotonic())
            seconds = left if seconds is None else min(seconds, left)
        super().wait(seconds)
        return self.is_cancellation_requested


class InlineExecutor:
    """An executor without children. ``save_checkpoint`` replaces the database's, for the memory store."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime] | None = None,
        instance_properties: Mapping[str, Any] | None = None,
        save_checkpoint: SaveCheckpoint | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._now = now or self._clock.now
        self._said: deque[Message] = deque()
        self._waiting: dict[UUID, StartJob] = {}
        self._current: Attempt | None = None
        self._muted: set[UUID] = set()
        self._woken: SimpleQueue[None] = SimpleQueue()  # a signal handler must not take the lock of an Event
        self._host = Host(
            say=self._said.append,
            progress_due=ProgressTracker.flush_if_due,
            now=self._now,
            monotonic=self._clock.monotonic,
            instance_properties=Properties(instance_properties),
            save_checkpoint=save_checkpoint or save_in_database,
        )

    def start(self, start: StartJob) -> None:
        """Keep it for the next ``poll``."""
        if start.attempt_id not in self.running():
            self._waiting[start.attempt_id] = start

    def cancel(self, attempt_id: UUID, kind: CancelKind, reason: str) -> None:
        """Ask an attempt to end; one that waits never starts. May be called by any thread."""
        current = self._current
        if current and current.start.attempt_id == attempt_id:
            current.cancel(kind, reason)
        start = self._waiting.pop(attempt_id, None)
        if start:
            self._said.append(never_started(start, kind, reason, self._now()))

    def kill(self, attempt_id: UUID) -> None:
        """Forget an attempt that waits; ask the running one to end, and say nothing about it."""
        current = self._current
        if current and current.start.attempt_id == attempt_id:
            self._muted.add(attempt_id)
            current.cancel(CancelKind.SHUTDOWN, "The attempt was given up")
        self._waiting.pop(attempt_id, None)

    def poll(self, timeout: float) -> list[Message]:
        """Run the attempt that waits longest; wait for one if there is nothing to say."""
        with suppress(Empty):
            if not self._waiting and not self._said:
                self._woken.get(timeout=timeout)
            while True:
                self._woken.get_nowait()
        if self._waiting:
            self._run(self._waiting.pop(next(iter(self._waiting))))
        return [self._said.popleft() for _ in range(len(self._said))]

    def wake(self) -> None:
        """Let ``poll`` return soon."""
        self._woken.put(None)

    def running(self) -> set[UUID]:
        """The attempts that wait, and the one that runs."""
        current = {self._current.start.attempt_id} if self._current else set()
        return set(self._waiting) | current

    def kill_all(self) -> None:
        """Forget everything."""
        for attempt_id in self.running():
            self.kill(attempt_id)

    def close(self) -> None:
        """Nothing to end."""
        self.kill_all()

    def _run(self, start: StartJob) -> None:
        attempt = self._current = Attempt(start, self._host)
        attempt.token = LimitToken(attempt.limits, attempt.options, self._clock.monotonic)
        try:
            last_word = self._to_its_end(attempt)
        finally:
            self._current = None
        if start.attempt_id in self._muted:
            self._muted.discard(start.attempt_id)
        else:
            self._said.append(last_word)
        close_stale_connections()

    def _to_its_end(self, attempt: Attempt) -> Ended:
        return async_to_sync(self._interruptible)(attempt) if attempt.is_async else attempt.run()

    async def _interruptible(self, attempt: Attempt) -> Ended:
        from asyncio import get_running_loop

        timeout = attempt.options.job_timeout
        if timeout is None:
            return await attempt.arun()
        late = (CancelKind.TIMEOUT, limit_text(CancelKind.TIMEOUT, attempt.options))
        timer = get_running_loop().call_later(timeout.total_seconds(), attempt.cancel, *late)
        try:
            return await attempt.arun()
        finally:
            timer.cancel()
