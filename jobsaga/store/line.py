"""A job's place in the line of those that wait for a slot of its type."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Q

from jobsaga.models import JobSaga
from jobsaga.sagas.records import Job
from jobsaga.sagas.states import JobStates


def ahead(
    alias: str,
    job_type: str,
    place: tuple[int, datetime | None, UUID],
    limit: int,
    **narrower: Any,
) -> Counter[str]:
    """How many jobs come before *place* (priority, queued_at, id), by their concurrency key.

    One statement over three ranges of the index, each of which is read from its beginning and not beyond *limit*:
    so the sum may be up to three times that. Were they one condition with OR, a database would read the line from
    its head, and of jobs that were submitted together, all.
    """
    priority, queued_at, job_id = place
    line = JobSaga.objects.using(alias).filter(
        state=JobStates.WAITING_FOR_SLOT.value, job_type=job_type, slot__isnull=True, **narrower
    )
    ranges = (
        line.filter(priority__gt=priority),
        line.filter(priority=priority, queued_at__lt=queued_at),
        line.filter(priority=priority, queued_at=queued_at, id__lt=job_id),
    )
    parts: list[str] = []
    values: list[Any] = []
    for each in ranges:
        rows = each.order_by("-priority", "queued_at", "id").values_list("concurrency_key")[:limit]
        text, params = rows.query.get_compiler(alias).as_sql()
        parts.append(f"SELECT concurrency_key FROM ({text}) part{len(parts)}")
        values += params
    with connections[alias].cursor() as cursor:
        union = " UNION ALL ".join(parts)
        cursor.execute(
            f"SELECT concurrency_key, COUNT(*) FROM ({union}) line GROUP BY concurrency_key", values
        )
        return Counter(dict(cursor.fetchall()))


def behind(job: Job) -> Q:
    """The places behind that of a waiting job."""
    same = Q(priority=job.priority)
    return (
        Q(priority__lt=job.priority)
        | (same & Q(queued_at__gt=job.queued_at))
        | (same & Q(queued_at=job.queued_at, id__gt=job.id))
    )
