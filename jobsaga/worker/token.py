"""The word from outside that a job should end, as the job sees it."""

from __future__ import annotations

from threading import Event, Lock
from typing import cast

from jobsaga.exceptions import CancellationKind, JobCancellation
from jobsaga.messages import CancelKind


class CancellationToken:
    """Says whether the job should end, and why. It is set at most once: the first request counts."""

    def __init__(self) -> None:
        self._requested = Event()
        self._lock = Lock()
        self._kind: CancelKind | None = None
        self._reason = ""

    @property
    def is_cancellation_requested(self) -> bool:
        """Should the job end?"""
        return self._requested.is_set()

    @property
    def kind(self) -> CancelKind | None:
        """Who wants it: "user", "timeout" or "shutdown"; None while nobody does."""
        return self._kind if self.is_cancellation_requested else None

    @property
    def reason(self) -> str:
        """What was said about it."""
        return self._reason if self.is_cancellation_requested else ""

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep until the job should end, at most ``seconds`` (None: for ever). Returns whether it should."""
        return self._requested.wait(seconds)

    def raise_if_cancellation_requested(self) -> None:
        """Raise JobCancellation if the job should end."""
        if self.is_cancellation_requested:
            raise JobCancellation(self._reason, cast(CancellationKind, str(self._kind)))

    def cancel(self, kind: CancelKind, reason: str) -> bool:
        """For the worker: make the request. False if there was one already."""
        with self._lock:
            if self._requested.is_set():
                return False
            self._kind, self._reason = kind, reason
            self._requested.set()
            return True
