"""How many jobs there are in each state: exact while it is few, else "10,000+"."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import QuerySet

from jobsaga.live import scope
from jobsaga.live.queries import COUNTED
from jobsaga.models import JobAttemptSaga
from jobsaga.sagas.states import ACTIVE_JOB_STATES, JobStates

DAY = timedelta(days=1)


class Counts(NamedTuple):
    """Jobs by what they do; those that have ended, within the last 24 hours."""

    running: int
    waiting: int
    scheduled: int
    retrying: int
    faulted: int
    completed: int
    canceled: int


def counts(alias: str, now: datetime) -> Counts:
    """Seven counts, each by an index, none of them over more than ``COUNTED`` rows."""
    jobs = scope.jobs(alias)
    held = JobAttemptSaga.objects.using(alias).filter(holds_slot=True)
    active = [state.value for state in ACTIVE_JOB_STATES]
    ended = jobs.filter(finished_at__gte=now - DAY)
    return Counts(
        running=_count(jobs.filter(state__in=active, pk__in=held.values("job_id"))),
        waiting=_count(jobs.filter(state=JobStates.WAITING_FOR_SLOT.value)),
        scheduled=_count(jobs.filter(state=JobStates.WAITING_TO_START.value, due_at__isnull=False)),
        retrying=_count(jobs.filter(state=JobStates.WAITING_TO_RETRY.value)),
        faulted=_count(ended.filter(state=JobStates.FAULTED.value)),
        completed=_count(ended.filter(state=JobStates.COMPLETED.value)),
        canceled=_count(ended.filter(state=JobStates.CANCELED.value)),
    )


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by()[: COUNTED + 1].count()
