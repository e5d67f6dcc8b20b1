"""What went wrong, grouped by job type and exception, in windows of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left

from jobsaga.live import scope
from jobsaga.models import JobSaga
from jobsaga.sagas.states import JobStates

#: The newest so many failures are grouped.
GROUPED = 1000
WINDOWS = (("1h", timedelta(hours=1)), ("24h", timedelta(days=1)), ("7d", timedelta(days=7)))
LONGEST = 300


@dataclass
class Group:
    """Failures of one type by one exception."""

    job_type: str
    error: str
    last: JobSaga
    message: str
    counts: dict[str, int] = field(default_factory=lambda: {name: 0 for name, _ in WINDOWS})
    retrying: int = 0

    @property
    def total(self) -> int:
        """In the widest window."""
        return self.counts[WINDOWS[-1][0]]


def read(alias: str, now: datetime) -> tuple[list[Group], bool]:
    """The groups, the one that failed last first; and whether there were more failures than are grouped."""
    fault = {
        "error": KeyTextTransform("type", "fault"),
        "said": Left(KeyTextTransform("message", "fault"), LONGEST, output_field=TextField()),
    }
    columns = ("id", "job_type", "state", "finished_at", "faulted_at")
    jobs = scope.jobs(alias).only(*columns).annotate(**fault)
    oldest = now - WINDOWS[-1][1]
    ended = jobs.filter(state=JobStates.FAULTED.value, finished_at__gte=oldest).order_by(
        "-finished_at", "-id"
    )
    failed = list(ended[: GROUPED + 1])
    retrying = jobs.filter(state=JobStates.WAITING_TO_RETRY.value).order_by("-faulted_at", "-id")
    groups: dict[tuple[str, str], Group] = {}
    for job in failed[:GROUPED]:
        group = _group(groups, job)
        for name, window in WINDOWS:
            group.counts[name] += job.finished_at is not None and job.finished_at >= now - window
    for job in retrying[:GROUPED]:
        _group(groups, job).retrying += 1
    return sorted(groups.values(), key=lambda group: _at(group.last), reverse=True), len(failed) > GROUPED


def _group(groups: dict[tuple[str, str], Group], job: Any) -> Group:
    key = (job.job_type, job.error or "")
    if key not in groups:
        groups[key] = Group(*key, job, job.said or "")
    return groups[key]


def _at(job: JobSaga) -> float:
    at = job.faulted_at or job.finished_at
    return at.timestamp() if at else 0.0
