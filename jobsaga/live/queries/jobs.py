"""A page of the list of jobs, by a key and never by a number: page 20,000 costs as much as page 1.

What no index answers is looked for in so many rows at once, and no further: the page says so, and where it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from jobsaga.live import scope
from jobsaga.live.queries.filters import Asking, by_index, condition, only_ended
from jobsaga.live.queries.rows import light, named, workers_of
from jobsaga.live.search import Search
from jobsaga.models import JobSaga
from jobsaga.sagas.states import ACTIVE_JOB_STATES

PAGE = 50
#: Rows that are looked through for one page, where no index leads to what is searched for.
LOOKED_THROUGH = 20_000


class BadCursor(ValueError):
    """A cursor that no page has given out."""


@dataclass(frozen=True)
class Cursor:
    """Where a page ends: the job's id, and when it had ended if that is the order."""

    job_id: UUID
    finished_at: datetime | None = None

    @classmethod
    def of(cls, job: JobSaga, *, by_end: bool) -> Cursor:
        """At this job."""
        return cls(job.id, job.finished_at if by_end else None)

    @classmethod
    def read(cls, text: str) -> Cursor:
        """From an address. Raises BadCursor."""
        at, _, key = text.rpartition("~")
        try:
            moment = datetime.fromisoformat(at) if at else None
            if moment is not None and moment.tzinfo is None:
                raise BadCursor(text)
            return cls(UUID(key), moment.astimezone(UTC) if moment else None)
        except (ValueError, OverflowError):
            raise BadCursor(text) from None

    def __str__(self) -> str:
        return f"{self.finished_at.isoformat()}~{self.job_id}" if self.finished_at else str(self.job_id)

    def beyond(self, *, older: bool, itself: bool = False) -> Q:
        """The jobs after this one in a list, or before it; with *itself* this one too."""
        less = "lt" if older else "gt"
        by_id = Q((f"pk__{less}{'e' if itself else ''}", self.job_id))
        if self.finished_at is None:
            return by_id
        edge = Q((f"finished_at__{less}e", self.finished_at))  # lets the index begin at the right place
        return edge & (
            Q((f"finished_at__{less}", self.finished_at)) | (Q(finished_at=self.finished_at) & by_id)
        )


@dataclass
class JobsPage:
    """Some jobs in order, and the cursors of the pages beside this one."""

    jobs: list[JobSaga] = field(default_factory=list)
    older: Cursor | None = None
    newer: Cursor | None = None
    #: How many rows were looked through; 0: all there are.
    looked_through: int = 0


def page(
    search: Search,
    asking: Asking,
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
    size: int = PAGE,
    with_message: bool = True,
) -> JobsPage:
    """The newest jobs that *search* means; or those *before* or *after* a cursor."""
    by_end = only_ended(search)
    rows = matching(search, asking, light(asking.alias, with_message=with_message))
    backwards = after is not None and before is None
    start = after if backwards else before
    if start is not None:
        if by_end != (start.finished_at is not None):
            raise BadCursor(str(start))
        rows = rows.filter(start.beyond(older=not backwards))
    order = [name if backwards else f"-{name}" for name in (("finished_at", "id") if by_end else ("id",))]
    edge = _edge(search, asking, start, order, by_end=by_end)
    if edge is not None:
        rows = rows.filter(edge.beyond(older=backwards, itself=True))
    found = list(rows.order_by(*order)[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    onward = (Cursor.of(found[0 if backwards else -1], by_end=by_end)) if more else edge
    back = Cursor.of(found[-1 if backwards else 0], by_end=by_end) if found and start is not None else None
    older, newer = (back, onward) if backwards else (onward, back)
    looked_through = LOOKED_THROUGH if edge is not None and not more else 0
    return JobsPage(with_workers(asking.alias, named(found)), older, newer, looked_through)


def _edge(
    search: Search, asking: Asking, start: Cursor | None, order: list[str], *, by_end: bool
) -> Cursor | None:
    """The last row that is looked at; None: all of them are, or an index leads to them."""
    known = by_index(search)
    if search.problems or len(known.terms) == len(search.terms):
        return None
    rows = matching(known, asking, scope.jobs(asking.alias).only("id", "finished_at"))
    if start is not None:
        rows = rows.filter(start.beyond(older=order[0].startswith("-")))
    last = rows.order_by(*order)[LOOKED_THROUGH - 1 : LOOKED_THROUGH].first()
    return Cursor.of(last, by_end=by_end) if last else None


def matching(search: Search, asking: Asking, rows: QuerySet[JobSaga, Any]) -> QuerySet[JobSaga, Any]:
    """The jobs that *search* means."""
    return rows.filter(condition(search, asking))


def with_workers(alias: str, jobs: list[JobSaga]) -> list[JobSaga]:
    """The jobs, each with ``worker``: where it runs now, or an empty text."""
    active = {state.value for state in ACTIVE_JOB_STATES}
    attempts = workers_of(alias, [job.attempt_id for job in jobs if job.attempt_id and job.state in active])
    for job in jobs:
        attempt = attempts.get(job.attempt_id) if job.attempt_id else None
        job.worker = str(attempt.instance) if attempt and attempt.instance else ""  # type: ignore[attr-defined]
    return jobs
