"""The limits of an attempt: its time, its stillness, its memory. Who oversteps one has to end, and that is a fault.

``job_timeout`` counts from the start. ``stall_timeout`` counts from the last change: of the progress, or of the
saved state. To say the same again, or to log that one is still waiting, is no change: a job that is stuck often
claims to be alive.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jobsaga.exceptions import JobMemoryExceeded, JobStalled, JobTimeout
from jobsaga.messages import CancelKind, Fault, JobAttemptFaulted, StartJob
from jobsaga.options import JobOptions

OVERSTEPPED: dict[CancelKind, type[Exception]] = {
    CancelKind.TIMEOUT: JobTimeout,
    CancelKind.STALLED: JobStalled,
    CancelKind.MEMORY: JobMemoryExceeded,
}
"""What the retry policy is told it was."""

NEWS_SHARE = 10
"""A child says that something has changed so many times within the stall timeout, at most."""


class Limits:
    """The clock of one attempt."""

    def __init__(self, options: JobOptions, now: float) -> None:
        timeout, stall = options.job_timeout, options.stall_timeout
        self._ends_at = None if timeout is None else now + timeout.total_seconds()
        self._stall = None if stall is None else stall.total_seconds()
        self._changed_at = now

    def stir(self, now: float) -> None:
        """Something has changed."""
        self._changed_at = now

    def deadline(self, patience: float = 0) -> float | None:
        """When the first limit is overstepped; *patience*: a share of the stall timeout that is added to it."""
        known = [each for each in (self._ends_at, self._stalls_at(patience)) if each is not None]
        return min(known, default=None)

    def overstepped(self, now: float, patience: float = 0) -> CancelKind | None:
        """Which limit is."""
        if self._ends_at is not None and now >= self._ends_at:
            return CancelKind.TIMEOUT
        stalls_at = self._stalls_at(patience)
        return CancelKind.STALLED if stalls_at is not None and now >= stalls_at else None

    def _stalls_at(self, patience: float) -> float | None:
        return None if self._stall is None else self._changed_at + self._stall * (1 + patience)


def limit_text(kind: CancelKind, options: JobOptions) -> str:
    """What a job is told, and what is stored, when it has overstepped a limit."""
    if kind is CancelKind.MEMORY:
        return f"It used more memory than its max_memory of {(options.max_memory or 0) / 2**20:.0f} MB"
    if kind is CancelKind.STALLED:
        seconds = _seconds(options.stall_timeout)
        return f"Neither its progress nor its saved state has changed for its stall_timeout of {seconds:g} s"
    return f"It ran longer than its job_timeout of {_seconds(options.job_timeout):g} s"


def overstepped(
    kind: CancelKind, start: StartJob, options: JobOptions, last_word: dict[str, Any], traceback: str = ""
) -> JobAttemptFaulted:
    """The last word on an attempt that overstepped a limit: a fault, under the retry policy."""
    error = OVERSTEPPED[kind](limit_text(kind, options))
    fault = Fault(type=type(error).__name__, message=str(error), traceback=traceback)
    delay = options.retry.delay(start.policy_retries, error) if options.retry else None
    return JobAttemptFaulted(fault=fault, retry_delay=delay, **last_word)


def _seconds(duration: timedelta | None) -> float:
    return 0.0 if duration is None else duration.total_seconds()
