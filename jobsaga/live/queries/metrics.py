"""The numbers that a monitor follows: what waits, runs and is due, slots, workers, what nobody could handle.

At most eleven statements, however many rows there are. What runs is no more than there are slots, what is due is
counted up to ``COUNTED``, dead letters and overdue deadlines up to ``health.MANY``. What waits is counted exactly, as
on the page of job types: that walks the waiting jobs' part of an index. Jobs that have ended are not counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from jobsaga.live import scope
from jobsaga.live.explain import LATE
from jobsaga.live.queries import COUNTED, types
from jobsaga.live.queries.workers import condition
from jobsaga.models import JobAttemptSaga, JobInstance
from jobsaga.models.workers import InstanceState
from jobsaga.sagas.states import ACTIVE_JOB_STATES, JobStates
from jobsaga.store import health

#: The words for jobs that wait for a time.
DUE = {JobStates.WAITING_TO_START.value: "scheduled", JobStates.WAITING_TO_RETRY.value: "retrying"}


@dataclass
class Metrics:
    """All of them at one moment."""

    now: datetime
    types: types.Types
    #: By job type and "running", "scheduled", "retrying".
    jobs: dict[tuple[str, str], int]
    #: By how they are; those that stopped are left out.
    workers: dict[str, int]
    drained: int
    dead_letters: int
    overdue: int


def read(alias: str, now: datetime) -> Metrics:
    """Read them. Jobs are those that whoever looks may see; the rest is of the whole site."""
    workers, drained = _workers(alias, now)
    dead, overdue = health.dead_letters(alias), health.overdue(alias, now - LATE)
    return Metrics(
        now=now,
        types=types.read(alias, now, keys=False),
        jobs=_running(alias) | _due(alias),
        workers=workers,
        drained=drained,
        dead_letters=min(dead.count, health.MANY) if dead else 0,
        overdue=overdue.count if overdue else 0,
    )


def _running(alias: str) -> dict[tuple[str, str], int]:
    held = JobAttemptSaga.objects.using(alias).filter(holds_slot=True)
    active = [state.value for state in ACTIVE_JOB_STATES]
    rows = scope.jobs(alias).filter(state__in=active, pk__in=held.values("job_id"))
    return {
        (name, "running"): n for name, n in rows.values_list("job_type").annotate(n=Count("*")).order_by()
    }


def _due(alias: str) -> dict[tuple[str, str], int]:
    """What starts later or again: the first so many by their time, so that retries are there among many schedules."""
    rows = scope.jobs(alias).filter(due_at__isnull=False, state__in=list(DUE)).order_by("due_at")
    found = Counter(rows.values_list("job_type", "state")[:COUNTED])
    return {(name, DUE[state]): n for (name, state), n in found.items()}


def _workers(alias: str, now: datetime) -> tuple[dict[str, int], int]:
    rows = JobInstance.objects.using(alias).exclude(state=InstanceState.STOPPED).order_by()
    found = dict.fromkeys(("running", "silent", "lost", "stopping"), 0)
    drained = 0
    for state, lease, since in rows.values_list("state", "lease_expires_at", "drained_at")[:COUNTED]:
        found[condition(InstanceState(state), lease, now)] += 1
        drained += since is not None and state == InstanceState.RUNNING
    return found, drained
