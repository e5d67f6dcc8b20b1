"""Everything that happened to all jobs, and what people asked of job types and workers; the newest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Q, QuerySet

from jobsaga.live import scope
from jobsaga.live.queries.rows import light, named
from jobsaga.models import JobHistory, JobTypeHistory

PAGE = 100
#: What a person did: a row that names one, and is no submission.
BY_PEOPLE = Q(actor__gt="") & ~Q(kind="JobSubmitted")


Row = TypeVar("Row", JobHistory, JobTypeHistory)


@dataclass
class EventsPage(Generic[Row]):
    """Some events in order, and the numbers of the pages beside this one."""

    events: list[Row] = field(default_factory=list)
    older: int | None = None
    newer: int | None = None


def newest(alias: str, limit: int) -> list[JobHistory]:
    """The newest events of all jobs, each with ``job_type`` and ``gist``."""
    return with_jobs(alias, list(_rows(alias).order_by("-id")[:limit]), with_message=False)


def page(
    alias: str,
    *,
    people: bool = False,
    job_id: UUID | None = None,
    before: int | None = None,
    after: int | None = None,
    with_message: bool = True,
) -> EventsPage[JobHistory]:
    """The newest events, or those before or after a number. *people*: only what someone did."""
    rows = _rows(alias)
    if people:
        rows = rows.filter(BY_PEOPLE)
    if job_id:
        rows = rows.filter(job_id=job_id)
    found = _turn_to(rows, before, after)
    with_jobs(alias, found.events, with_message=with_message)
    return found


def of_operators(
    alias: str, *, before: int | None = None, after: int | None = None
) -> EventsPage[JobTypeHistory]:
    """What people asked of job types and workers, and of dead letters about no job; paged in the same way."""
    return _turn_to(scope.operators(alias), before, after)


def _turn_to(rows: QuerySet[Row, Any], before: int | None, after: int | None) -> EventsPage[Row]:
    backwards = after is not None and before is None
    if backwards:
        found = list(rows.filter(id__gt=after).order_by("id")[: PAGE + 1])
    else:
        rows = rows.filter(id__lt=before) if before is not None else rows
        found = list(rows.order_by("-id")[: PAGE + 1])
    more, found = len(found) > PAGE, found[:PAGE]
    if backwards:
        found.reverse()
    older, newer = (True, more) if backwards else (more, before is not None)
    return EventsPage(
        found,
        older=found[-1].id if found and older else None,
        newer=found[0].id if found and newer else None,
    )


def with_jobs(alias: str, events: list[JobHistory], *, with_message: bool) -> list[JobHistory]:
    """The events, each with ``job_type`` and ``gist`` of its job, if that is still there."""
    ids = {each.job_id for each in events}
    jobs = {job.id: job for job in named(light(alias, with_message=with_message).filter(pk__in=ids))}
    for each in events:
        job = jobs.get(each.job_id)
        each.job_type = job.job_type if job else ""  # type: ignore[attr-defined]
        each.gist = job.gist if job else ""  # type: ignore[attr-defined]
    return events


def _rows(alias: str) -> QuerySet[JobHistory, Any]:
    return scope.history(alias).defer("data")
