"""The recurring jobs: what their schedules mean, when they run next, and how the last run went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobsaga.exceptions import JobSagaError
from jobsaga.live import scope
from jobsaga.live.queries.rows import LARGE
from jobsaga.models import JobSaga
from jobsaga.schedule import describe, occurrences
from jobsaga.schedule.changes import Clock, clock_at

SHOWN = 200
NEXT = 5


@dataclass
class Schedule:
    """A recurring job."""

    job: JobSaga
    #: The schedule in plain words; the text itself where it cannot be read here.
    meaning: str
    #: What the clock does at its next run.
    clock: Clock | None = None

    @property
    def last_state(self) -> int | None:
        """How the last run ended, or what the one that is under way does; None before the first."""
        return self.job.state if self.job.run else None


def read(alias: str) -> tuple[list[Schedule], bool]:
    """The recurring jobs by name, and whether there are more than are shown. One statement, by an index."""
    jobs = scope.jobs(alias).exclude(recurring_name="").defer(*LARGE)
    found = list(jobs.order_by("recurring_name", "job_type")[: SHOWN + 1])
    shown = [Schedule(job, meaning(job), clock(job, job.next_start_at)) for job in found[:SHOWN]]
    return shown, len(found) > SHOWN


def meaning(job: JobSaga) -> str:
    """What the schedule of a recurring job means."""
    try:
        return describe(job.cron, job.time_zone)
    except JobSagaError:
        return job.cron


def clock(job: JobSaga, at: datetime | None) -> Clock | None:
    """What the clock of its time zone does when a recurring job runs."""
    try:
        return clock_at(job.cron, at, job.time_zone) if at else None
    except JobSagaError:
        return None


def next_runs(job: JobSaga, now: datetime) -> list[tuple[datetime, Clock | None]]:
    """When a recurring job runs next, and what the clock does then; empty for one that does not run any more."""
    if not job.recurring:
        return []
    try:
        found = occurrences(
            job.cron, now, time_zone=job.time_zone, start=job.start_at, end=job.end_at, limit=NEXT
        )
    except JobSagaError:
        return []
    return [(at, clock(job, at)) for at in found]
