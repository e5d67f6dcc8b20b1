"""The doctor's questions are answered by indexes: the databases themselves say how they would find the rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from jobsaga.conf import settings
from jobsaga.ids import uuid7
from jobsaga.sagas.states import JobStates
from jobsaga.store import health
from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUESTIONS: dict[str, Callable[[str], Any]] = {
    "overdue": lambda alias: health.overdue(alias, NOW),
    "waiting_types": lambda alias: list(health.waiting_types(alias)),
    "next_jobs": lambda alias: health.next_jobs(alias, NOW),
    "waiting_count": lambda alias: health.waiting_count(alias, TYPE),
    "slots_held": health.slots_held,
    "holders": health.holders,
    "lost_slots": lambda alias: health.lost_slots(alias, NOW),
    "dead_letters": health.dead_letters,
    "history_size": health.history_size,
    "queues": health.queues,
}
#: Tables that may grow without limit. Instances and job types are few.
LARGE = {"jobsaga_jobsaga", "jobsaga_jobattemptsaga", "jobsaga_jobhistory", "jobsaga_deadletter"}
LARGE |= {"jobsaga_transportmessage"}


@pytest.fixture
def world(db: None) -> World:
    return World(DatabasePlace(None))


@contextmanager
def index_preferred(alias: str) -> Iterator[None]:
    """A small table is read as a whole whatever there is; PostgreSQL can be told not to."""
    connection = connections[alias]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    if connection.vendor == "sqlite" and "sqlite_stat1" in _all_tables(connection):
        with connection.cursor() as cursor:  # what a test before has found out about its rows
            cursor.execute("DELETE FROM sqlite_stat1")
            cursor.execute("ANALYZE sqlite_master")
    yield


def _all_tables(connection: Any) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master")
        return {name for (name,) in cursor.fetchall()}


def plan(alias: str, query: str) -> str:
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN ") + query)
        return "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())


def scanned(plan: str) -> set[str]:
    """The tables that are read from one end to the other, without an index."""
    found = set(re.findall(r"Seq Scan on (\w+)", plan))
    found |= set(re.findall(r"SCAN (\w+)(?! USING| VIRTUAL)(?=\n|$)", plan))
    return found


def takes_the_first_rows(statement: str, plan: str) -> bool:
    """SQLite says SCAN also where it stops after the first rows, in the order of the key."""
    return "WHERE" not in statement and "LIMIT" in statement and "TEMP B-TREE" not in plan


@pytest.mark.sqlite
@pytest.mark.postgresql
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_by_an_index(world: World, question: str) -> None:
    world.submit_many(2)
    world.submit("audio.Mix")
    worker = world.worker()
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    alias = settings.DATABASE
    DatabasePlace(None).rows("TransportMessage").create(endpoint="saga", body="{")
    DatabasePlace(None).rows("DeadLetter").create(endpoint="saga", body="{", reason="", at=NOW)
    with index_preferred(alias):
        with CaptureQueriesContext(connections[alias]) as queries:
            QUESTIONS[question](alias)
        statements = [query["sql"] for query in queries.captured_queries if "SELECT" in query["sql"]]
        assert statements
        for statement in statements:
            found = plan(alias, statement)
            assert takes_the_first_rows(statement, found) or scanned(found) & LARGE == set(), found


@pytest.mark.sqlite
@pytest.mark.postgresql
def test_a_scan_would_be_seen(world: World) -> None:
    alias = settings.DATABASE
    with index_preferred(alias):
        for sql in (
            "SELECT * FROM jobsaga_jobsaga WHERE reason = 'x'",
            "SELECT count(*) FROM jobsaga_jobsaga WHERE reason = 'x' AND state = 6",
        ):
            assert scanned(plan(alias, sql)) == {"jobsaga_jobsaga"}


@pytest.mark.django_db
def test_types_are_found_one_after_the_other(world: World) -> None:
    for name in ("b.B", "a.A", "b.B", "c.C"):
        world.submit(name)
    assert list(health.waiting_types(settings.DATABASE)) == ["a.A", "b.B", "c.C"]


@pytest.mark.django_db
def test_the_next_job_is_the_one_that_would_get_a_slot(world: World) -> None:
    world.submit()
    first = world.submit(priority=1)
    world.submit(priority=1)
    assert [(each.job_type, each.job_id) for each in health.next_jobs(settings.DATABASE, NOW)] == [
        (TYPE, first)
    ]
    worker = world.worker()
    assert [start.job_id for start in worker.receive()] == [first]


@pytest.mark.django_db
def test_a_job_whose_old_attempt_still_holds_its_slot_is_not_next(world: World) -> None:
    job_id = world.submit()
    rows = DatabasePlace(None).rows("JobSaga").filter(pk=job_id)
    rows.update(slot=uuid7())
    assert health.next_jobs(settings.DATABASE, NOW) == []
    assert rows.get().state == JobStates.WAITING_FOR_SLOT.value


@pytest.mark.django_db
def test_room_is_what_all_limits_leave(world: World) -> None:
    world.submit_many(3)
    world.worker(limit=2, global_limit=4)
    world.worker(limit=3, global_limit=4)
    world.lap()
    now = datetime.now(UTC)
    crew = health.crews(settings.DATABASE, now)[TYPE]
    assert (crew.instances, crew.capacity, crew.room) == (2, 4, 1)
    assert health.crews(settings.DATABASE, now + timedelta(minutes=1)) == {}


@pytest.mark.django_db
def test_many_are_not_counted_further(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MANY", 3)
    for _ in range(5):
        DatabasePlace(None).rows("DeadLetter").create(endpoint="saga", body="{", reason="", at=NOW)
    assert health.dead_letters(settings.DATABASE) == health.Lying(3, NOW)
    world.submit_many(5)
    assert health.waiting_count(settings.DATABASE, TYPE, health.MANY) == 3
    assert health.waiting_count(settings.DATABASE, TYPE) == 5
