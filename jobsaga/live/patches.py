"""What a page needs to show a change of a job at once: its state and its progress, drawn as in the templates."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from jobsaga.live import wording
from jobsaga.live.pace import left
from jobsaga.live.templatetags.jobsaga_live import bar, pill
from jobsaga.models import JobSaga

COLUMNS = (
    "id", "version", "state", "run", "attempt_id", "progress_value", "progress_limit", "progress_message",
    "progress_sequence", "progress_samples",
)  # fmt: skip
#: However many jobs are watched by all together, one statement asks for so many.
AT_ONCE = 500


class Seen(NamedTuple):
    """What is compared: a job whose version and progress are the same looks the same."""

    version: int
    attempt_id: UUID | None
    sequence: int


def read(alias: str, jobs: Collection[UUID]) -> dict[UUID, JobSaga]:
    """These jobs, as far as they are stored."""
    rows, ids = JobSaga.objects.using(alias).only(*COLUMNS), list(jobs)
    parts = (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
    return {job.id: job for part in parts for job in rows.filter(pk__in=part)}


def seen(job: JobSaga) -> Seen:
    """What this job looks like."""
    return Seen(job.version, job.attempt_id, job.progress_sequence)


def patch(job: JobSaga, now: datetime) -> dict[str, Any]:
    """The job as it is shown. Numbers travel as text where they may be large."""
    return {
        "id": str(job.id),
        "version": job.version,
        "pill": str(pill(job.state)),
        "bar": str(bar(job)),
        "said": wording.said(job),
        "left": left(job, now),
    }
