"""The first waiting jobs of a type whose jobs have concurrency keys: in their order, but only of keys with room.

Theory of operation
  First a window: the first few of the line, whatever their keys. As a rule enough of them can start, and nothing
  else is asked. If not, whoever is at the head is at his limit, and there may be any number of his jobs. Then one
  walks from key to key along the index on keys, over those that are at their limit too, and takes of each key the
  first job: as many steps as there are keys, however long the line is. Of the first jobs of all keys the first few
  are the right ones; if a key has room for more than one, the next of those keys are asked for too.

  A walk takes at most ``KEYS`` steps. It says where it stopped, and the next one goes on there.

  MariaDB and MySQL cannot walk from key to key: they read a part of the index, at most ``ENTRIES``, in which the
  keys that are at their limit are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet

from jobsaga.models import JobSaga
from jobsaga.sagas.records import Job, JobType
from jobsaga.sagas.states import JobStates

WINDOW = 200
KEYS = 2000
ENTRIES = 10_000
#: Keys of which more than one job is asked for, at most.
DEEP_KEYS = 100
#: So many keys MariaDB and MySQL can leave out by the index.
LEFT_OUT = 1000

_TABLE = JobSaga._meta.db_table
_OF_TYPE = f"j.state = {JobStates.WAITING_FOR_SLOT.value} AND j.job_type = %s"
_ORDER = "j.priority DESC, j.queued_at, j.id"


class Candidates(NamedTuple):
    """The ids of jobs to look at; the key behind which the walk stopped, None if it came to the end."""

    ids: list[UUID]
    after: str | None


def candidates(
    alias: str, job_type: JobType, limit: int, skip: Collection[UUID], after: str | None
) -> Candidates:
    """Jobs among which the first *limit* are that can start; not those in *skip*. Begins behind the key *after*."""
    seen = list(_window(alias, job_type, max(WINDOW, 2 * limit), skip))
    first = [job_id for job_id, _ in picked(seen, job_type, limit)]
    if len(first) >= limit or len(seen) < max(WINDOW, 2 * limit):
        return Candidates(first, None)
    deep = job_type.concurrency_per_key != 1
    heads, after = _heads(alias, job_type, min(limit, DEEP_KEYS) if deep else limit, skip, after or "")
    wanted = {"": limit}
    if deep:
        wanted |= {key: job_type.room_of(key) or 0 for _, key in heads}
    nexts = _firsts(alias, job_type, wanted, limit, skip)
    return Candidates(list({*first, *(job_id for job_id, _ in heads), *nexts}), after)


def picked(line: Iterable[tuple[Any, str]], job_type: JobType, limit: int) -> list[tuple[Any, str]]:
    """The first *limit* of a line of (job, key) that can start together: no key beyond its room."""
    chosen: list[tuple[Any, str]] = []
    taken: dict[str, int] = {}
    for each, key in line:
        if len(chosen) >= limit:
            break
        room = job_type.room_of(key)
        if room is None or taken.get(key, 0) < room:
            taken[key] = taken.get(key, 0) + 1
            chosen.append((each, key))
    return chosen


def startable(jobs: Sequence[Job], job_type: JobType, limit: int) -> list[Job]:
    """The first *limit* of these jobs, in their order, that can start together."""
    return [job for job, _ in picked(((job, job.concurrency_key) for job in jobs), job_type, limit)]


def _window(
    alias: str, job_type: JobType, size: int, skip: Collection[UUID]
) -> QuerySet[JobSaga, tuple[UUID, str]]:
    line = JobSaga.objects.using(alias).filter(
        state=JobStates.WAITING_FOR_SLOT.value, job_type=job_type.name, slot__isnull=True
    )
    if skip:
        line = line.exclude(id__in=skip)
    return line.order_by("-priority", "queued_at", "id").values_list("id", "concurrency_key")[:size]


def _heads(
    alias: str, job_type: JobType, limit: int, skip: Collection[UUID], after: str
) -> tuple[list[tuple[UUID, str]], str | None]:
    """(id, key) of the first job of each key with room, the first *limit* of them; where the walk stopped."""
    connection = connections[alias]
    full = [key for key in job_type.keys if job_type.room_of(key) == 0]
    unwanted, skipped = _not_in("j.id", skip, connection)
    if connection.vendor == "mysql":
        some = full[:LEFT_OUT]
        without, left_out = _not_in("j.concurrency_key", some)
        keys, values = MYSQL_KEYS.format(without=without), [job_type.name, after, *left_out, ENTRIES, KEYS]
    else:
        keys, values = WALK, [job_type.name, after, job_type.name, KEYS]
    with_room, at_their_limit = _not_in("k.k", full)
    all_read = f" OR SUM(k.n) >= {ENTRIES}" if connection.vendor == "mysql" else ""
    sql = HEADS.format(keys=keys, unwanted=unwanted, with_room=with_room, all_read=all_read)
    values += [job_type.name, *skipped, *at_their_limit, limit]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows = cursor.fetchall()
    stopped = next((key for job_id, key, stops in rows if job_id is None and stops), None)
    return [(as_id(job_id), key) for job_id, key, _ in rows if job_id is not None], stopped


def _firsts(
    alias: str, job_type: JobType, wanted: dict[str, int], limit: int, skip: Collection[UUID]
) -> list[UUID]:
    """The first jobs of each of these keys, as many as are wanted of it."""
    connection = connections[alias]
    unwanted, skipped = _not_in("j.id", skip, connection)
    parts, values = [], []
    for n, (key, count) in enumerate(wanted.items()):
        parts.append(FIRSTS.format(n=n, unwanted=unwanted))
        values += [job_type.name, key, *skipped, min(count, limit)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        return [as_id(job_id) for (job_id,) in cursor.fetchall()]


WALK = f"""RECURSIVE k(k, n) AS (
    SELECT MIN(j.concurrency_key), 1 FROM {_TABLE} j WHERE {_OF_TYPE} AND j.concurrency_key > %s
    UNION ALL
    SELECT (SELECT MIN(j.concurrency_key) FROM {_TABLE} j WHERE {_OF_TYPE} AND j.concurrency_key > k.k), k.n + 1
    FROM k WHERE k.k IS NOT NULL AND k.n < %s
)"""
MYSQL_KEYS = f"""k(k, n) AS (
    SELECT e.k, COUNT(*) FROM (
        SELECT j.concurrency_key AS k FROM {_TABLE} j FORCE INDEX (jobsaga_job_key)
        WHERE {_OF_TYPE} AND j.concurrency_key > %s{{without}} ORDER BY j.concurrency_key LIMIT %s
    ) AS e GROUP BY e.k ORDER BY e.k LIMIT %s
)"""
HEADS = f"""WITH {{keys}}
SELECT * FROM (
    SELECT j.id, j.concurrency_key, 0 AS stops FROM (
        SELECT (
            SELECT j.id FROM {_TABLE} j WHERE {_OF_TYPE} AND j.concurrency_key = k.k AND j.slot IS NULL{{unwanted}}
            ORDER BY {_ORDER} LIMIT 1
        ) AS head FROM k WHERE k.k IS NOT NULL{{with_room}}
    ) AS h JOIN {_TABLE} j ON j.id = h.head ORDER BY {_ORDER} LIMIT %s
) AS first
UNION ALL SELECT NULL, MAX(k.k), CASE WHEN COUNT(k.k) >= {KEYS}{{all_read}} THEN 1 ELSE 0 END FROM k"""
FIRSTS = f"""SELECT f{{n}}.id FROM (
    SELECT j.id FROM {_TABLE} j WHERE {_OF_TYPE} AND j.concurrency_key = %s AND j.slot IS NULL{{unwanted}}
    ORDER BY {_ORDER} LIMIT %s
) AS f{{n}}"""


def _not_in(column: str, values: Collection[Any], connection: Any = None) -> tuple[str, list[Any]]:
    if not values:
        return "", []
    if connection is not None:
        field = JobSaga._meta.pk
        values = [field.get_db_prep_value(each, connection) for each in values]
    return f" AND {column} NOT IN ({', '.join(['%s'] * len(values))})", list(values)


def as_id(value: Any) -> UUID:
    """An id as a driver gives it, without Django's converters."""
    return value if isinstance(value, UUID) else UUID(value)
