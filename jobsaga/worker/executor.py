"""What an instance asks of whatever runs user code.

The instance hands over what it was told to start, asks for an end, and collects what is to be said to the
sagas. An executor says exactly one last word about each attempt, whatever happens to it, unless it was told
that nobody wants to hear it (``kill``, ``kill_all``).
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from jobsaga.messages import CancelKind, Message, StartJob


class Executor(Protocol):
    """Runs attempts. All methods but ``wake`` are called by one thread."""

    def start(self, start: StartJob) -> None:
        """Run this attempt. Does not wait for user code; an attempt that is known already is not run twice."""

    def cancel(self, attempt_id: UUID, kind: CancelKind, reason: str) -> None:
        """Ask an attempt to end, and see to it that it does; ``kind`` is USER or SHUTDOWN.

        The first request counts. A job that does not listen is ended by force after its
        ``job_cancellation_timeout``.
        """

    def kill(self, attempt_id: UUID) -> None:
        """End an attempt that was given up, at once. There will be no report of it.

        It is ``running`` until it has really ended.
        """

    def poll(self, timeout: float) -> list[Message]:
        """What is to be said to the sagas, in order. Waits at most ``timeout`` seconds for something."""

    def wake(self) -> None:
        """Let ``poll`` return soon. May be called by any thread."""

    def running(self) -> set[UUID]:
        """The attempts that were started, and of which ``poll`` has not yet given the last word."""

    def kill_all(self) -> None:
        """The lease is lost: end everything now. There will be no reports."""

    def close(self) -> None:
        """End everything that is left, children included. Nothing may be called after that."""
