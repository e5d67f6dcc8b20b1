"""One job: its row, attempts, history, saved state, what holds it up, and the last runs of its type."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from jobsaga.client import Explanation, explain_job
from jobsaga.conf import settings
from jobsaga.exceptions import JobNotFound
from jobsaga.live import scope
from jobsaga.live.explain import Around, Reason, Severity, explain
from jobsaga.live.queries import types
from jobsaga.live.wording import short
from jobsaga.messages import JobSubmitted
from jobsaga.models import JobAttemptSaga, JobHistory, JobSaga

#: How many of the newest are shown on the page of a job.
EVENTS = 200
ATTEMPTS = 50
RECENT = 20
#: What someone may want to look at, though it mends itself.
WARNINGS = {"paused", "retry", "retry-lost", "canceling", "drained", "worker-silent", "too-old", "not-given"}


@dataclass
class JobPage:
    """All there is about a job. Of one that is gone (``job`` is None) its history."""

    job_id: UUID
    job: JobSaga | None
    attempts: list[JobAttemptSaga] = field(default_factory=list)
    history: list[JobHistory] = field(default_factory=list)
    #: Whether there is more history than is shown.
    more_history: bool = False
    recent: list[JobSaga] = field(default_factory=list)
    saved_state: Any = None
    reasons: list[Reason] = field(default_factory=list)
    around: Around | None = None
    explanation: Explanation | None = None

    @property
    def current(self) -> JobAttemptSaga | None:
        """The attempt that counts."""
        wanted = self.job.attempt_id if self.job else None
        return next((each for each in self.attempts if each.id == wanted), None)

    @property
    def title(self) -> str:
        """What it is called; of a job that is gone, what it was called when it was submitted."""
        if self.job is not None:
            return self.job.title
        return next((line.message for line in self.history if line.kind == JobSubmitted.__name__), "")

    @property
    def last_attempt_id(self) -> UUID | None:
        """The newest attempt."""
        return self.attempts[-1].id if self.attempts else None


def read(alias: str, job_id: UUID, now: datetime) -> JobPage | None:
    """All there is; None for an id of which nothing was ever stored."""
    job = scope.jobs(alias).select_related("checkpoint").filter(pk=job_id).first()
    history = newest_history(alias, job_id, EVENTS + 1)
    if job is None and not history:
        return None
    found = JobPage(job_id, job, attempts(alias, job_id), history[-EVENTS:], len(history) > EVENTS)
    if job is not None:
        checkpoint = getattr(job, "checkpoint", None)
        found.saved_state = checkpoint.state if checkpoint else None
        found.recent = recent(alias, job)
        found.around = around(found, types.read(alias, now, waiting=False))
        found.explanation = explanation(job)
        found.reasons = [told(found.explanation)] if found.explanation else explain(job, found.around)
    return found


def explanation(job: JobSaga) -> Explanation | None:
    """Why the job waits, as ``explain_job`` says it to everybody; None for one that waits for nothing, or is gone."""
    try:
        found = explain_job(job.pk)
    except JobNotFound:
        return None
    return _without_others(found) if found.waits else None


def _without_others(found: Explanation) -> Explanation:
    """The same, but not naming jobs that whoever looks does not see."""
    seen = scope.visible(settings.DATABASE, {holder.job_id for holder in found.holders})
    hidden = [holder.job_id for holder in found.holders if holder.job_id not in seen]
    if not hidden:
        return found

    def told(text: str) -> str:
        for job_id in hidden:
            text = text.replace(f"by job {short(job_id)}", "by another job")
        return text

    holders = tuple(holder for holder in found.holders if holder.job_id in seen)
    also = tuple(map(told, found.also))
    return replace(found, holders=holders, sentence=told(found.sentence), also=also)


def told(found: Explanation) -> Reason:
    """An explanation as the pages show it."""
    severity: Severity = "error" if found.mend else "warning" if found.code in WARNINGS else "info"
    return Reason(found.code, severity, found.sentence, " ".join(found.also), found.since, found.mend)


def attempts(alias: str, job_id: UUID) -> list[JobAttemptSaga]:
    """The newest tries of a job, in order."""
    rows = JobAttemptSaga.objects.using(alias).filter(job_id=job_id).select_related("instance")
    return list(rows.order_by("-created_at", "-id")[:ATTEMPTS])[::-1]


def newest_history(alias: str, job_id: UUID, limit: int) -> list[JobHistory]:
    """The newest lines of a job's history, in order of time: log lines may be stored a little later."""
    rows = scope.history(alias).filter(job_id=job_id).order_by("-id")[:limit]
    return sorted(rows, key=lambda row: (row.at, row.id))


def recent(alias: str, job: JobSaga) -> list[JobSaga]:
    """The last jobs of the same type, the oldest first, up to this one's time and after it."""
    columns = ("id", "state", "duration", "finished_at", "submitted_at", "job_type")
    rows = scope.jobs(alias).filter(job_type=job.job_type).only(*columns)
    return list(rows.order_by("-id")[:RECENT])[::-1]


def around(found: JobPage, known: types.Types) -> Around:
    """What ``explain`` wants to know."""
    job, current = found.job, found.current
    assert job is not None
    instance = current.instance if current else None
    return known.around(
        job.job_type,
        worker=str(instance) if instance else "",
        lease_expires_at=instance.lease_expires_at if instance else None,
        received_at=current.received_at if current else None,
        attempt_created_at=current.created_at if current else None,
        heartbeat_interval=settings.HEARTBEAT_INTERVAL,
        heartbeat_timeout=settings.HEARTBEAT_TIMEOUT,
    )
