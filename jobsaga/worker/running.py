"""The instance's view of one attempt: how far it is asked to end, and what is said of it if its process dies."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from jobsaga.consumers import JobConsumerDefinition
from jobsaga.messages import (
    CancelKind,
    Ended,
    Fault,
    JobAttemptCanceled,
    JobAttemptFaulted,
    Message,
    Progress,
    StartJob,
    WriteJobLog,
)
from jobsaga.payload import safe_text
from jobsaga.worker.limits import NEWS_SHARE, OVERSTEPPED, Limits, overstepped
from jobsaga.worker.runner import cancellation_timeout

if TYPE_CHECKING:
    from jobsaga.worker.handle import ChildHandle

TERM_GRACE = 1.5
"""Seconds between the last call and the end by force: 2 s after its cancellation timeout a job is gone."""


PATIENCE = 1 / NEWS_SHARE
"""What the stall timeout is extended by: an attempt may have got on so much later than it said so."""


class Rung(IntEnum):
    """The ladder of an attempt: each rung is climbed when ``deadline`` has passed."""

    WAITING = 0  # for a process, and for its word that user code begins
    RUNNING = 1  # until it oversteps a limit, if it has one
    ASKED = 2  # by its token; an async job was interrupted
    FORCED = 3  # by the last call; an async job was interrupted again
    ENDED = 4  # killed; a thread or task: given up, and its process goes when its neighbours have ended


class Running:
    """An attempt that was started and has not ended."""

    def __init__(self, start: StartJob, definition: JobConsumerDefinition) -> None:
        self.start, self.options = start, definition.options
        self.rung = Rung.WAITING
        self.deadline: float | None = None
        self.child: ChildHandle | None = None
        self.begun_at: float | None = None
        self._limits: Limits | None = None
        self.asked: CancelKind | None = None
        self.reason = ""
        self.progress: Progress | None = None
        #: Nobody wants to hear of it any more.
        self.muted = False

    def wait(self, deadline: float) -> None:
        """It waits for a process, until then."""
        self._climb(Rung.WAITING, deadline)

    def begin(self, now: float) -> None:
        """User code is about to run."""
        self.begun_at = now
        self._limits = Limits(self.options, now)
        if self.rung is Rung.WAITING:
            self._climb(Rung.RUNNING, self._limits.deadline(PATIENCE))

    def stir(self, now: float) -> None:
        """It got on; or nobody could have heard of it if it had."""
        if self._limits and self.rung is Rung.RUNNING:
            self._limits.stir(now)
            self.deadline = self._limits.deadline(PATIENCE)

    def overstepped(self, now: float) -> CancelKind | None:
        """Which limit it has overstepped."""
        return self._limits.overstepped(now, PATIENCE) if self._limits else None

    def ask(self, kind: CancelKind, reason: str, now: float) -> None:
        """It was asked to end."""
        self.asked, self.reason = kind, reason
        self._climb(Rung.ASKED, now + cancellation_timeout(self.options))

    def force(self, now: float) -> None:
        """It was told for the last time."""
        self._climb(Rung.FORCED, now + TERM_GRACE)

    def end(self) -> None:
        """It was ended by force, or given up."""
        self._climb(Rung.ENDED, None)

    def _climb(self, rung: Rung, deadline: float | None) -> None:
        self.rung, self.deadline = rung, deadline

    def death(self, how: str, timestamp: datetime, now: float) -> Ended:
        """The last word on it, when its process ended before it could say one itself. ``how``: in words."""
        duration = timedelta(seconds=now - self.begun_at) if self.begun_at is not None else timedelta(0)
        said: dict[str, Any] = {**self.said(timestamp), "duration": duration, "progress": self.progress}
        if self.begun_at is None:
            kind = CancelKind.USER if self.asked is CancelKind.USER else CancelKind.NOT_STARTED
            return JobAttemptCanceled(kind=kind, reason=self.reason or how, **said)
        if self.asked in OVERSTEPPED and self.rung >= Rung.FORCED:
            return overstepped(self.asked, self.start, self.options, said)
        if self.asked is CancelKind.SHUTDOWN or (self.asked is CancelKind.USER and self.rung >= Rung.FORCED):
            return JobAttemptCanceled(kind=self.asked, reason=self.reason, **said)
        return JobAttemptFaulted(fault=Fault(type="JobProcessDied", message=how), suspect=True, **said)

    def output_line(self, text: str, timestamp: datetime) -> WriteJobLog:
        """What its process printed, as a line of its log. Its own lines begin with number 1."""
        return WriteJobLog(sequence=0, status="Output", message=safe_text(text), **self.said(timestamp))

    def said(self, timestamp: datetime) -> dict[str, Any]:
        """What every report of it says."""
        return {
            "job_id": self.start.job_id,
            "attempt_id": self.start.attempt_id,
            "timestamp": timestamp,
        }


def never_started(start: StartJob, kind: CancelKind, reason: str, now: datetime) -> Message:
    """The last word on an attempt that ended before any user code ran."""
    if kind is CancelKind.SHUTDOWN:
        kind = CancelKind.NOT_STARTED
    return JobAttemptCanceled(
        job_id=start.job_id, attempt_id=start.attempt_id, timestamp=now, kind=kind, reason=reason
    )


def how_it_ended(code: int | None) -> str:
    """The end of a process, in words; a signal is a negative code, and None is not known."""
    if code is None:
        return "Its process is gone, nobody knows how it ended"
    if code >= 0:
        return f"Its process exited with code {code}"
    try:
        return f"Its process was killed by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"Its process was killed by signal {-code}"
