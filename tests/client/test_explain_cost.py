"""What it costs to say why a job waits: a few statements, and none that reads the backlog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from jobsaga import explain_job, get_job_state
from jobsaga.client.explain import Explanation
from jobsaga.client.explain.facts import MANY
from jobsaga.conf import settings
from jobsaga.sagas.states import JobStates
from tests.client.acts import TYPE
from tests.client.conftest import Site
from tests.client.explained import busy, set_type
from tests.client.situations import SITUATIONS
from tests.store.rows import job, write

pytestmark = pytest.mark.django_db
BACKLOG = 20_000
#: Three ranges of the line are each read up to a limit, and may be put aside to be counted.
MOST = 6 * (MANY + 1)
#: Of SQLite's machine, for a row that is only looked at.
STEPS = 5


@contextmanager
def counted() -> Iterator[list[str]]:
    statements: list[str] = []
    with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
        yield statements
    statements += [query["sql"] for query in queries.captured_queries]


@pytest.mark.parametrize(
    ("situation", "at_most"),
    {
        "WaitingToStart": 1,
        "WaitingToRetry": 2,
        "StartingJobAttempt": 2,
        "Completed": 1,
        "Faulted": 1,
        "Canceled": 1,
    }.items(),
)
def test_a_state_takes_no_more_than_its_row_where_that_says_it(
    world: Site, situation: str, at_most: int
) -> None:
    job_id = SITUATIONS[situation](world)
    with counted() as statements:
        get_job_state(job_id)
    assert len(statements) <= at_most, "\n".join(statements)


def paused(site: Site) -> None:
    site.worker()
    set_type(site, paused_at=site.clock.now())


def taken(site: Site) -> None:
    ended = [
        job(
            job_type=TYPE,
            state=JobStates.COMPLETED,
            duration=timedelta(minutes=1),
            finished_at=site.clock.now(),
        )
        for _ in range(5)
    ]
    write(site.place, jobs=ended)
    busy(site, 3)


def key_at_its_limit(site: Site) -> None:
    site.worker(limit=5)
    set_type(site, concurrency_per_key=1)
    site.submit(TYPE, concurrency_key="acme")


@pytest.mark.parametrize(
    ("happens", "code", "at_most"),
    [
        (lambda site: None, "no-worker", 5),
        (paused, "paused", 3),
        (taken, "slots", 6),
        (key_at_its_limit, "key", 5),
    ],
)
def test_a_job_that_waits_for_a_slot(
    world: Site, happens: Callable[[Site], None], code: str, at_most: int
) -> None:
    """The row of the job is one of them. (The clock of the test's world needs none: a database's does.)"""
    happens(world)
    job_id = world.submit(TYPE, concurrency_key="acme")
    with counted() as statements:
        state = get_job_state(job_id)
    assert state.waiting_code == code
    assert len(statements) <= at_most, "\n".join(statements)


@pytest.mark.django_db(transaction=True)
class TestABacklog:
    """Many jobs of one submission, so of one time; and a job before, amid and behind them."""

    @pytest.fixture
    def jobs(self, world: Site) -> dict[str, UUID]:
        held = busy(world, 2)
        set_type(world, concurrency_per_key=2)
        now = world.clock.now()
        backlog = [job(job_type=TYPE, queued_at=now, concurrency_key="acme") for _ in range(BACKLOG)]
        ended = [
            job(job_type=f"other {n % 9}", state=JobStates.COMPLETED, finished_at=now, duration=timedelta(0))
            for n in range(3000)
        ]
        first, last = (
            job(job_type=TYPE, queued_at=now, priority=1),
            job(job_type=TYPE, queued_at=now, priority=-1),
        )
        for start in range(0, BACKLOG, 5000):
            write(world.place, jobs=backlog[start : start + 5000])
        write(world.place, jobs=[*ended, first, last])
        with connections[settings.DATABASE].cursor() as cursor:
            mysql = connections[settings.DATABASE].vendor == "mysql"
            cursor.execute("ANALYZE TABLE jobsaga_jobsaga, jobsaga_jobattemptsaga" if mysql else "ANALYZE")
        assert len(held) == 2
        line = world.place.rows("JobSaga").filter(priority=0, state=JobStates.WAITING_FOR_SLOT).order_by("id")
        ids = list(line.values_list("id", flat=True))
        return {"first": first.id, "head": ids[0], "amid": ids[BACKLOG // 2], "end": ids[-1], "last": last.id}

    def test_is_not_read(self, world: Site, jobs: dict[str, UUID]) -> None:
        """In one test, because it takes a while to make the rows."""
        places = {name: look(job_id, "slots") for name, job_id in jobs.items()}
        assert {name: (why.ahead, why.more_ahead) for name, why in places.items()} == {
            "first": (0, False),
            "head": (1, False),
            "amid": (MANY, True),
            "end": (MANY, True),
            "last": (MANY, True),
        }
        world.place.rows("JobAttemptSaga").filter(holds_slot=True).update(concurrency_key="acme")
        places = {name: look(jobs[name], "key") for name in ("head", "amid", "end")}
        assert [why.ahead for why in places.values()] == [0, MANY, MANY]


def look(job_id: UUID, code: str) -> Explanation:
    """Ask, and see to it that no statement reads too much."""
    with counted() as statements:
        why = explain_job(job_id)
    assert why.code == code
    read = {statement: rows_read(statement) for statement in statements if "SELECT" in statement}
    assert {sql: n for sql, n in read.items() if n > MOST} == {}
    return why


def rows_read(sql: str) -> int:
    """How many rows (or entries of an index) the database reads for this statement, by its own account."""
    connection = connections[settings.DATABASE]
    reading: dict[str, Callable[[Any, str], int]] = {
        "postgresql": _read_postgresql,
        "mysql": _read_mysql,
        "sqlite": _read_sqlite,
    }
    with connection.cursor() as cursor:
        return reading[connection.vendor](cursor, sql.replace("%", "%%"))


def _read_postgresql(cursor: Any, sql: str) -> int:
    cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
    (plan,) = cursor.fetchone()
    nodes = [(json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]]
    read = 0
    for node in nodes:
        nodes += node.get("Plans", [])
        if "Scan" in node["Node Type"] and "Relation Name" in node:
            read += (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return int(read)


def _read_mysql(cursor: Any, sql: str) -> int:
    cursor.execute("FLUSH STATUS")
    cursor.execute(sql)
    cursor.fetchall()
    cursor.execute("SHOW SESSION STATUS LIKE 'Handler\\_read%%'")
    return sum(int(n) for name, n in cursor.fetchall() if name != "Handler_read_rnd_deleted")


def _read_sqlite(cursor: Any, sql: str) -> int:
    """By the steps of its machine."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    raw = connections[settings.DATABASE].connection
    raw.set_progress_handler(count, STEPS)
    try:
        cursor.execute(sql)
        cursor.fetchall()
    finally:
        raw.set_progress_handler(None, 0)
    return steps


@pytest.mark.django_db(transaction=True)
def test_a_walk_would_be_seen(world: Site) -> None:
    write(world.place, jobs=[job(job_type=TYPE) for _ in range(8000)])
    assert rows_read("SELECT max(version) FROM jobsaga_jobsaga WHERE reason <> 'x' AND run <> 7") > MOST
