"""What the rows say about the health of a site: who works, who waits, and what has been lying for too long.

Every question is answered by an index, also when millions of jobs are stored: by the few rows it is about,
or by the ends of an index. Counts of what may be many stop at ``MANY``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, Max, Min, QuerySet

from jobsaga.ids import job_type_id
from jobsaga.models import (
    DeadLetter,
    EventOutbox,
    JobAttemptSaga,
    JobHistory,
    JobInstance,
    JobSaga,
    JobTypeSaga,
    TransportMessage,
)
from jobsaga.models.workers import InstanceState
from jobsaga.sagas.records import JobType
from jobsaga.sagas.states import JobStates
from jobsaga.store import keys, slots
from jobsaga.store.rows import COLUMNS, records

#: Nothing is counted further.
MANY = 1000


@dataclass(frozen=True)
class Lying:
    """How many there are (at most ``MANY``), and since when the oldest."""

    count: int
    since: datetime


class Next(NamedTuple):
    """The job of its type that should start next."""

    job_type: str
    job_id: UUID
    queued_at: datetime


class Crew(NamedTuple):
    """The live instances of a job type. ``room``: how many more jobs it could run now, by all its limits."""

    instances: int
    capacity: int
    room: int


class Queued(NamedTuple):
    """The oldest message at an endpoint."""

    endpoint: str
    message_id: int
    tries: int


def overdue(alias: str, before: datetime) -> Lying | None:
    """Jobs and attempts whose deadline was earlier than *before*: a saga host would have handled them."""
    found = [
        lying
        for model in (JobSaga, JobAttemptSaga)
        if (lying := _lying(model._default_manager.using(alias).filter(due_at__lt=before), "due_at"))
    ]
    return Lying(sum(each.count for each in found), min(each.since for each in found)) if found else None


def waiting_types(alias: str) -> Iterator[str]:
    """The types that have a waiting job: from one to the next along the index, however long the queues are."""
    waiting = _waiting(alias).order_by("job_type").values_list("job_type", flat=True)
    name = waiting.first()
    while name is not None:
        yield name
        name = waiting.filter(job_type__gt=name).first()


def next_jobs(alias: str, now: datetime) -> list[Next]:
    """Of each type the waiting job that is first in line, holds no slot any more, and whose key has room."""
    found, known = [], job_types(alias, now)
    for name in list(waiting_types(alias)):
        job_type = known.get(name) or JobType(id=job_type_id(name), name=name)
        first = keys.candidates(alias, job_type, 1, (), None).ids
        line = JobSaga.objects.using(alias).filter(id__in=first).order_by("-priority", "queued_at", "id")
        row = line.values_list("job_type", "id", "queued_at").first()
        if row is not None and row[2] is not None:
            found.append(Next(row[0], row[1], row[2]))
    return found


def waiting_count(alias: str, job_type: str, limit: int | None = None) -> int:
    """How many jobs of the type wait for a slot, counted up to *limit*. Walks that part of the index."""
    return _waiting(alias).filter(job_type=job_type)[:limit].count()


def crews(alias: str, now: datetime) -> dict[str, Crew]:
    """The live instances of each type, and their room: by the limits that hold now."""
    return {name: _crew(each) for name, each in job_types(alias, now).items() if each.instances}


def job_types(alias: str, now: datetime) -> dict[str, JobType]:
    """All job types as the sagas see them at this moment, by name; not locked."""
    rows = JobTypeSaga.objects.using(alias).order_by("name").values_list(*COLUMNS[JobType])
    return slots.counted(alias, {each.name: each for each in records(JobType, rows)}, now)


def slots_held(alias: str) -> dict[tuple[str, UUID | None], int]:
    """The slots that are held, by type and instance."""
    rows = JobAttemptSaga.objects.using(alias).filter(holds_slot=True).values_list("job_type", "instance_id")
    counted = rows.annotate(n=Count("*")).order_by()
    return {(job_type, instance_id): n for job_type, instance_id, n in counted}


def holders(alias: str) -> list[tuple[UUID | None, UUID, str]]:
    """(instance, job, job type) of each slot that is held."""
    held = (
        JobAttemptSaga.objects.using(alias).filter(holds_slot=True).order_by("job_type", "instance_id", "id")
    )
    return list(held.values_list("instance_id", "job_id", "job_type"))


def instances(alias: str, *, stopped: bool) -> QuerySet[JobInstance]:
    """The workers, the newest lease first; with *stopped*, also those that ended."""
    rows = JobInstance.objects.using(alias).order_by("-lease_expires_at", "id").prefetch_related("job_types")
    return rows if stopped else rows.exclude(state=InstanceState.STOPPED)


def lost_slots(alias: str, before: datetime) -> Lying | None:
    """Slots held by instances whose lease was over before this time."""
    held = JobAttemptSaga.objects.using(alias).filter(holds_slot=True, instance__lease_expires_at__lt=before)
    return _lying(held, "instance__lease_expires_at")


def dead_letters(alias: str) -> Lying | None:
    """What could not be handled."""
    rows = DeadLetter.objects.using(alias).order_by("id")
    oldest = rows.first()
    return Lying(len(rows.values_list("id")[:MANY]), oldest.at) if oldest else None


def unpublished(alias: str) -> Lying | None:
    """The public events that wait for the broker, and since when the oldest."""
    rows = EventOutbox.objects.using(alias).order_by("id")
    oldest = rows.values_list("at", flat=True).first()
    return Lying(len(rows.values_list("id")[:MANY]), oldest) if oldest else None


def history_size(alias: str) -> int:
    """About how many rows the history has: from its lowest number to its highest."""
    ends = JobHistory.objects.using(alias).aggregate(first=Min("id"), last=Max("id"))
    return ends["last"] - ends["first"] + 1 if ends["last"] else 0


def queues(alias: str) -> list[Queued]:
    """Of each endpoint that has messages the oldest one."""
    found = []
    line = (
        TransportMessage.objects.using(alias)
        .order_by("endpoint", "id")
        .values_list("endpoint", "id", "tries")
    )
    oldest = line.first()
    while oldest is not None:
        found.append(Queued(*oldest))
        oldest = line.filter(endpoint__gt=oldest[0]).first()
    return found


def _waiting(alias: str) -> QuerySet[JobSaga]:
    return JobSaga.objects.using(alias).filter(state=JobStates.WAITING_FOR_SLOT.value)


def _lying(rows: QuerySet[Any], column: str) -> Lying | None:
    oldest = list(rows.order_by(column).values_list(column, flat=True)[:MANY])
    return Lying(len(oldest), oldest[0]) if oldest else None


def _crew(job_type: JobType) -> Crew:
    capacity = 0 if job_type.paused_at else sum(map(job_type.limit_of, job_type.instances.values()))
    if job_type.global_limit is not None:
        capacity = min(capacity, job_type.global_limit)
    return Crew(instances=len(job_type.instances), capacity=capacity, room=job_type.room)
