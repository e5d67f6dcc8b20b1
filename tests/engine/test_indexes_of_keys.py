"""With 1,000 tenants and 100,000 waiting jobs a batch of slots costs as much as with few: the backlog is never walked
over, also when one tenant has 99,000 jobs at its head and is at its limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from jobsaga.clock import ManualClock
from jobsaga.conf import settings
from jobsaga.ids import job_type_id
from jobsaga.models import JobSaga, sql
from jobsaga.sagas import Job, JobStates, JobType
from jobsaga.store.django import DjangoStore
from jobsaga.store.rows import COLUMNS, values
from tests.store.rows import NOW, TYPE

pytestmark = pytest.mark.django_db
TENANTS, NOISY, WAITING = 1000, 99_000, 100_000
OTHER = "another type"
#: A few rows, or a dozen pages, for each key.
A_FEW_PER_KEY = 20_000


NEW_ID = {
    "postgresql": "md5(n.n::text)::uuid",
    "mysql": "UUID()",
    "sqlite": "lower(hex(randomblob(16)))",
}


@pytest.fixture(scope="module")
def alias(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """One line of jobs for all tests here: the noisy tenant's, then one of each of the others; and another type's.
    Their order is that of their priorities.
    """
    with django_db_blocker.unblock():
        connection = connections[settings.DATABASE]
        sql.insert(connection, JobSaga, COLUMNS[Job], [_row(1, "template"), _row(2, OTHER)])
        copied = [connection.ops.quote_name(name) for name in COLUMNS[Job]]
        key = "CONCAT('tenant-', n.n % 1000)" if connection.vendor == "mysql" else "'tenant-' || (n.n % 1000)"
        given = {
            "id": NEW_ID[connection.vendor],
            "job_type": f"'{TYPE}'",
            "priority": "-n.n",
            "concurrency_key": f"CASE WHEN n.n < {NOISY} THEN 'noisy' ELSE {key} END",
        }
        wanted = [given.get(name.strip('`"'), f"t.{name}") for name in copied]
        some = "WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT i.n + 1 FROM i WHERE i.n < 499)"
        numbers = f"{some}, n(n) AS (SELECT a.n * 500 + i.n FROM i AS a, i WHERE a.n < {WAITING // 500})"
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO jobsaga_jobsaga ({', '.join(copied)}) {numbers} SELECT {', '.join(wanted)} "
                "FROM n, jobsaga_jobsaga t WHERE t.job_type = 'template'"
            )
            cursor.execute("ANALYZE TABLE jobsaga_jobsaga" if connection.vendor == "mysql" else "ANALYZE")
            cursor.fetchall() if connection.vendor == "mysql" else None
        yield connection.alias
        JobSaga.objects.using(connection.alias).all()._raw_delete(connection.alias)


def _row(n: int, name: str) -> tuple[Any, ...]:
    known = Job(
        id=UUID(int=n), job_type=name, state=JobStates.WAITING_FOR_SLOT, submitted_at=NOW, queued_at=NOW,
        priority=10**6,
    )  # fmt: skip
    return values(known, COLUMNS[Job])


def keyed(**held: int) -> JobType:
    return JobType(id=job_type_id(TYPE), name=TYPE, concurrency_per_key=1, keys=held)


def asked(alias: str, job_type: JobType, limit: int) -> tuple[list[Job], list[str]]:
    """The jobs, and the statements it took."""
    store = DjangoStore(alias, ManualClock(NOW))
    with CaptureQueriesContext(connections[alias]) as queries, store.transaction() as tx:
        found, _ = tx.waiting_by_key(job_type, limit)
    said = [query["sql"] for query in queries.captured_queries]
    return found, [each for each in said if each.startswith(("SELECT", "WITH"))]


def test_a_tenant_at_its_limit_is_stepped_over(alias: str) -> None:
    found, statements = asked(alias, keyed(noisy=1), 50)
    assert [each.concurrency_key for each in found] == [f"tenant-{n}" for n in range(50)]
    assert len(statements) <= 4
    assert read(alias, statements) < A_FEW_PER_KEY


def test_when_the_head_of_the_line_can_start_nothing_else_is_asked(alias: str) -> None:
    found, statements = asked(alias, keyed(), 1)
    assert [each.concurrency_key for each in found] == ["noisy"]
    assert len(statements) == 2
    assert read(alias, statements) < 1000


def test_all_tenants_at_their_limit(alias: str) -> None:
    held = {f"tenant-{n}": 1 for n in range(TENANTS)}
    found, statements = asked(alias, keyed(noisy=1, **held), 50)
    assert found == []
    assert read(alias, statements) < A_FEW_PER_KEY


def test_the_line_of_another_type_is_not_walked_over(alias: str) -> None:
    """PostgreSQL did: the state, which the index has as its condition, was the index' first column."""
    store = DjangoStore(alias, ManualClock(NOW))
    with CaptureQueriesContext(connections[alias]) as queries, store.transaction() as tx:
        assert [each.id.int for each in tx.waiting_jobs(OTHER, 50)] == [2]
    said = [query["sql"] for query in queries.captured_queries if query["sql"].startswith("SELECT")]
    assert read(alias, said) < 100


def read(alias: str, statements: list[str]) -> int:
    """How much it takes to answer: rows of an index on MariaDB, pages on PostgreSQL. SQLite does not count, so its
    plan must name an index for each step.
    """
    connection = connections[alias]
    count = {"postgresql": _pages, "mysql": _rows, "sqlite": _searched}
    with connection.cursor() as cursor:
        return sum(count[connection.vendor](cursor, each) for each in statements)


def _pages(cursor: Any, statement: str) -> int:
    cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement.replace("%", "%%"))
    (plan,) = cursor.fetchone()
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    assert "Seq Scan" not in json.dumps(top)
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def _rows(cursor: Any, statement: str) -> int:
    cursor.execute("FLUSH STATUS")
    cursor.execute(statement.replace("%", "%%"))
    cursor.fetchall()
    cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
    return sum(int(count) for _, count in cursor.fetchall())


def _searched(cursor: Any, statement: str) -> int:
    cursor.execute("EXPLAIN QUERY PLAN " + statement.replace("%", "%%"))
    steps = [row[3] for row in cursor.fetchall()]
    on_jobs = [step for step in steps if re.search(r"\b(j|jobsaga_jobsaga)\b", step)]
    assert on_jobs
    for step in on_jobs:
        assert re.search(r"SEARCH .*(USING (COVERING )?INDEX \S+ \((job_type=\?|id=\?))", step), step
    return 0
