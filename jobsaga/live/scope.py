"""Which jobs somebody sees. All the pages, the API, the socket and the admin read rows through here.

A site says it in one function, ``JOBSAGA["VISIBLE_JOBS"]``: given a user and all jobs, those that they may see.

    def visible_jobs(user, jobs):
        return jobs if user.is_superuser else jobs.filter(job_type__startswith=f"{user.team}.")

A token of the API may be for some job types only; that comes on top. What belongs to a job is seen by those who see
the job: its attempts and history, counts, failures, its buttons. Of a job that is gone only those see the history
whom the function shows all jobs. Job types, limits and workers are seen by everybody who may see the pages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from jobsaga.conf import settings
from jobsaga.models import JobHistory, JobInstance, JobSaga, JobTypeHistory, JobTypeInstance, JobTypeSaga

#: Rows that belong to no job.
COMMON = (JobTypeSaga, JobTypeInstance, JobInstance)
Jobs = QuerySet[JobSaga, Any]


@dataclass(frozen=True)
class Viewer:
    """Somebody who looks: a user, and with a token the job types that it is for (none: all)."""

    user: Any
    types: tuple[str, ...] = ()

    def jobs(self, alias: str) -> tuple[Jobs, bool]:
        """The jobs that they may see; and whether these are all there are."""
        everything = JobSaga.objects.using(alias)
        show = settings.VISIBLE_JOBS
        found: Jobs = everything if show is None else show(self.user, everything)
        if self.types:
            return found.filter(_any_of(self.types)), False
        return found, found is everything


_viewer: ContextVar[Viewer | None] = ContextVar("jobsaga_viewer", default=None)


@contextmanager
def seen_by(viewer: Viewer) -> Iterator[None]:
    """Within the block rows are read for them."""
    token = _viewer.set(viewer)
    try:
        yield
    finally:
        _viewer.reset(token)


def jobs(alias: str) -> Jobs:
    """The jobs that whoever looks may see."""
    return _visible(alias)[0]


def history(alias: str) -> QuerySet[JobHistory, Any]:
    """The events of these jobs."""
    found: QuerySet[JobHistory, Any] = of_jobs(JobHistory.objects.using(alias), alias)
    return found


def of_jobs(rows: QuerySet[Any, Any], alias: str) -> QuerySet[Any, Any]:
    """Those of the rows, each with a ``job_id``, that belong to a visible job."""
    seen, everything = _visible(alias)
    return rows if everything else rows.filter(job_id__in=seen.order_by().values("pk"))


def operators(alias: str) -> QuerySet[JobTypeHistory, Any]:
    """What people asked of job types and workers; and, for those who see all jobs, of dead letters about no job."""
    return _without_letters(JobTypeHistory.objects.using(alias).all())


def admitted(rows: QuerySet[Any, Any], viewer: Viewer) -> QuerySet[Any, Any]:
    """Rows of whatever model, for the admin: what is neither a job's nor common is for those who see all jobs."""
    with seen_by(viewer):
        seen, everything = _visible(rows.db)
        if everything or rows.model in COMMON:
            return rows
        if rows.model is JobTypeHistory:
            return _without_letters(rows)
        if rows.model is JobSaga:
            return rows.filter(pk__in=seen.order_by().values("pk"))
        names = {field.attname for field in rows.model._meta.concrete_fields}
        return of_jobs(rows, rows.db) if "job_id" in names else rows.none()


def visible(alias: str, ids: Collection[UUID]) -> set[UUID]:
    """Those of the ids that are of a visible job. No statement where all jobs are visible."""
    seen, everything = _visible(alias)
    if everything or not ids:
        return set(ids)
    return set(seen.order_by().filter(pk__in=list(ids)).values_list("pk", flat=True))


def sees_everything(alias: str) -> bool:
    """Whether no job is hidden from whoever looks."""
    return _visible(alias)[1]


def knows_type(name: str) -> bool:
    """Whether a token, if one is used, is for this job type."""
    viewer = _viewer.get()
    return viewer is None or not viewer.types or any(_means(each, name) for each in viewer.types)


def knows_types(names: Iterable[str]) -> bool:
    """Whether a token, if one is used, is for all of these: what a worker runs, say."""
    return all(map(knows_type, names))


def _without_letters(rows: QuerySet[JobTypeHistory, Any]) -> QuerySet[JobTypeHistory, Any]:
    return rows if sees_everything(rows.db) else rows.exclude(kind__startswith="DeadLetter")


def _visible(alias: str) -> tuple[Jobs, bool]:
    viewer = _viewer.get()
    if viewer is None:
        return JobSaga.objects.using(alias), True
    return viewer.jobs(alias)


def _means(pattern: str, name: str) -> bool:
    """The same for one name that ``_any_of`` says of rows."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _any_of(patterns: Sequence[str]) -> Q:
    """A type by its name, or with a star at the end by how it begins."""
    found = Q(pk__in=[])
    for each in patterns:
        found |= Q(job_type__startswith=each[:-1]) if each.endswith("*") else Q(job_type=each)
    return found
