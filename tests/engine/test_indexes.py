"""No question walks over a large table: each finds its rows by an index, on each database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from jobsaga import get_job_state
from jobsaga.clock import ManualClock
from jobsaga.conf import settings
from jobsaga.ids import uuid7
from jobsaga.messages import CancelJob
from jobsaga.sagas import Checkpoint, JobStates, TypeInstance
from jobsaga.sagas.states import AttemptStates
from jobsaga.store.base import Retention
from jobsaga.store.instances import InstanceStore
from jobsaga.transport.base import SAGA, Delivery
from jobsaga.transport.wakeup import NumberListener
from tests.engine.places import LEASE, DatabasePlace
from tests.store.rows import NOW, TYPE, attempt, job, line, write

pytestmark = pytest.mark.django_db(transaction=True)
LARGE = {
    "jobsaga_jobsaga",
    "jobsaga_jobattemptsaga",
    "jobsaga_jobcheckpoint",
    "jobsaga_jobhistory",
    "jobsaga_transportmessage",
}
MANY, SOME = 4000, 300
INSTANCE = UUID(int=77)
ENDED = JobStates.COMPLETED


class Site:
    """A site that has run for a while: many ended jobs, some that wait, a few that run."""

    def __init__(self) -> None:
        self.place = DatabasePlace(ManualClock(NOW))
        self.place.register(INSTANCE)
        with self.place.store.transaction() as tx:
            tx.create_job_types([TYPE, *(f"type {n}" for n in range(20))])
        ended = [
            job(state=ENDED, finished_at=NOW - timedelta(seconds=n), job_type=f"type {n % 20}")
            for n in range(MANY)
        ]
        self.waiting = [job() for _ in range(SOME)]
        self.running = [job(state=JobStates.STARTED) for _ in range(20)]
        self.attempts = [attempt(job_id=each.id, instance_id=INSTANCE) for each in self.running]
        history = [
            line(each.id, at=NOW - timedelta(seconds=n), sequence=n % 2 or None, attempt_id=each.id)
            for n, each in enumerate(ended)
        ]
        history.reverse()  # as it comes about: the oldest first
        write(
            self.place,
            jobs=[*ended, *self.waiting, *self.running],
            attempts=[
                *self.attempts,
                *(attempt(job_id=each.id, holds_slot=False, state=AttemptStates.FINAL) for each in ended),
            ],
            checkpoints=[Checkpoint(job_id=each.id) for each in [*ended, *self.running]],
            history=history,
            type_instances=[TypeInstance(job_type=TYPE, instance_id=INSTANCE, concurrent_job_limit=50)],
        )
        for endpoint in (SAGA, "elsewhere"):
            self.place.transport.send([(endpoint, CancelJob(job_id=uuid7()))] * (MANY // 2))
        self.transport = self.place.transport
        _analyze()

    def ask(self, question: Callable[[Site, Any], object]) -> list[str]:
        """The statements that it takes to answer."""
        with (
            CaptureQueriesContext(connections[settings.DATABASE]) as queries,
            self.place.store.transaction() as tx,
        ):
            question(self, tx)
        return [query["sql"] for query in queries.captured_queries if _can_be_explained(query["sql"])]


QUESTIONS: dict[str, Callable[[Site, Any], object]] = {
    "receive": lambda site, tx: site.transport.receive(SAGA, 100),
    "receive and acknowledge": lambda site, tx: site.transport.ack(site.transport.receive(SAGA, 100)),
    "receive and defer": lambda site, tx: site.transport.defer(site.transport.receive(SAGA, 100)),
    "still before": lambda site, tx: site.transport.still_before(
        site.transport.receive(SAGA, 100), site.transport.receive(SAGA, 50)
    ),
    "drop": lambda site, tx: site.transport.drop("instance-1"),
    "tidy": lambda site, tx: site.transport.tidy(NOW, 100),
    "lock jobs": lambda site, tx: tx.jobs([each.id for each in site.waiting[:100]]),
    "lock jobs that are gone": lambda site, tx: tx.jobs([uuid7() for _ in range(100)]),
    "lock attempts": lambda site, tx: tx.attempts([each.id for each in site.attempts]),
    "lock checkpoints": lambda site, tx: tx.checkpoints([each.id for each in site.running]),
    "waiting jobs": lambda site, tx: tx.waiting_jobs(TYPE, 50),
    "waiting jobs behind another": lambda site, tx: tx.waiting_jobs(TYPE, 50, beyond=site.waiting[9]),
    "waiting jobs of a type that has none": lambda site, tx: tx.waiting_jobs("type 3", 50),
    "slots": lambda site, tx: tx.job_types([TYPE, "type 1"], NOW),
    "types with work": lambda site, tx: tx.types_with_work(NOW),
    "due": lambda site, tx: tx.due(NOW, 1000),
    "silent": lambda site, tx: tx.silent(NOW, timedelta(seconds=10), LEASE, 1000),
    "expired": lambda site, tx: tx.expire_instances(NOW),
    "update jobs": lambda site, tx: _update(site, "jobs", site.running, reason="x", version=2),
    "update attempts": lambda site, tx: _update(site, "attempts", site.attempts, given_up=True),
    "prune, nothing": lambda site, tx: tx.prune(NOW, 100, _keep(timedelta(days=30))),
    "prune": lambda site, tx: tx.prune(NOW, 100, _keep(timedelta(seconds=MANY // 2))),
    "finalize": lambda site, tx: write(site.place, finalized=[each.id for each in site.waiting[:10]]),
    "a heartbeat": lambda site, tx: InstanceStore(site.place.alias, INSTANCE, LEASE).beat([TYPE]),
    "claim": lambda site, tx: site.place.claim(INSTANCE, [each.id for each in site.attempts[:3]]),
    "a job's state": lambda site, tx: get_job_state(site.waiting[0].id),
    "save": lambda site, tx: site.place.save(site.running[0].id, uuid7(), {}, advanced=True),
}


def test_no_question_walks_over_a_large_table() -> None:
    """In one test, because it takes a while to make the rows."""
    site, walks = Site(), {}
    for name, question in QUESTIONS.items():
        for sql in site.ask(question):
            if (walked := _walked(sql) & LARGE) and not _ends_early(sql):
                walks[name] = (walked, sql)
    assert walks == {}


@pytest.mark.mariadb
def test_to_ask_for_the_last_numbers_reads_no_table() -> None:
    """The listener asks some fifty times a second."""
    site = Site()
    for endpoint in (SAGA, "elsewhere"):
        listener = NumberListener(site.place.alias, endpoint)
        sql, params = listener._question()
        listener.close()
        with connections[site.place.alias].cursor() as cursor:
            cursor.execute("EXPLAIN " + sql, params)
            rows = _as_dicts(cursor)
        assert {row["Extra"] for row in rows} <= {"Select tables optimized away", "No tables used"}


@pytest.mark.mariadb
def test_with_few_rows_too_no_row_is_locked_that_is_not_meant() -> None:
    """The server prefers to walk over a table that it believes empty; that would wait for others' rows."""
    place = DatabasePlace(ManualClock(NOW))
    only = job()
    write(place, jobs=[only])
    place.transport.send([(SAGA, CancelJob(job_id=uuid7()))])
    with CaptureQueriesContext(connections[place.alias]) as queries, place.store.transaction():
        write(place, jobs=[(only, only.but(reason="x"))])
        place.transport.defer(place.transport.receive(SAGA, 5))
        place.transport.ack([Delivery(SAGA, "", 1)])
        write(place, finalized=[only.id])
    _analyze()
    written = [q["sql"] for q in queries.captured_queries if q["sql"].startswith(("UPDATE", "DELETE"))]
    assert len(written) == 5
    assert [sql for sql in written if _walked(sql) & LARGE] == []


def _update(site: Site, table: str, rows: list[Any], **fields: Any) -> None:
    write(site.place, **{table: [(each, each.but(**fields)) for each in rows]})


def _keep(retention: timedelta) -> Retention:
    return Retention(jobs=retention, history=retention, logs=retention)


def _analyze() -> None:
    connection = connections[settings.DATABASE]
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute(f"ANALYZE TABLE {', '.join(sorted(LARGE))}")
            cursor.fetchall()
        else:
            cursor.execute("ANALYZE")


def _ends_early(sql: str) -> bool:
    """History is pruned from its beginning: the keys are in the order of time, so the first rows are the oldest."""
    return "jobsaga_jobhistory" in sql and "ORDER BY" in sql and "LIMIT" in sql


def _can_be_explained(sql: str) -> bool:
    return (
        " times: " in sql
        or (sql.startswith(("SELECT", "DELETE")) and " FROM " in sql)
        or sql.startswith("UPDATE")
    )


def _walked(sql: str) -> set[str]:
    """The tables that this statement reads from end to end, according to the database."""
    connection = connections[settings.DATABASE]
    reading = {"postgresql": _walked_postgresql, "mysql": _walked_mysql, "sqlite": _walked_sqlite}
    with connection.cursor() as cursor:
        return reading[connection.vendor](cursor, sql)


def _walked_postgresql(cursor: Any, sql: str) -> set[str]:
    """Of a table of a few pages the planner prefers to read all: only when there is no other way, here."""
    cursor.execute("SET enable_seqscan = off")
    cursor.execute("EXPLAIN (FORMAT JSON) " + sql.replace("%", "%%"))
    (plan,) = cursor.fetchone()
    cursor.execute("RESET enable_seqscan")
    nodes = [(json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]]
    walked = set()
    for node in nodes:
        nodes += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan":
            walked.add(node["Relation Name"])
    return walked


def _walked_mysql(cursor: Any, sql: str) -> set[str]:
    cursor.execute("EXPLAIN " + sql.replace("%", "%%"))
    return {_table(sql, row["table"]) for row in _as_dicts(cursor) if row["type"] in ("ALL", "index")}


def _walked_sqlite(cursor: Any, sql: str) -> set[str]:
    sql = sql.rsplit(" times: ", maxsplit=1)[-1].replace("%s", "NULL")
    cursor.execute("EXPLAIN QUERY PLAN " + sql.replace("%", "%%"))
    steps = [row[3].split() for row in cursor.fetchall()]
    return {_table(sql, step[1]) for step in steps if step[0] == "SCAN" and "INDEX" not in step}


def _as_dicts(cursor: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _table(sql: str, name: str | None) -> str:
    """The table that a plan names, perhaps by the short name which a subquery gave it."""
    short = re.search(rf"""[`"](\w+)[`"] {name}\b""", sql)
    return short[1] if short else name or ""
