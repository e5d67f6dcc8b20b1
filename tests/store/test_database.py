"""What only a database has: other connections, row locks, isolation levels, packets, and its own clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from django.test.utils import CaptureQueriesContext

from jobsaga.clock import ManualClock, SystemClock
from jobsaga.conf import settings
from jobsaga.ids import uuid7
from jobsaga.models import sql
from jobsaga.sagas import Attempt, Checkpoint, Job, TypeInstance
from jobsaga.store import checkpoint
from jobsaga.store.base import Changes
from jobsaga.store.django import DjangoStore
from jobsaga.store.rows import COUNTED, MODELS
from tests.engine.places import LEASE, DatabasePlace
from tests.processes import wait_for
from tests.store.rows import NOW, TYPE, attempt, job, stored_checkpoint, stored_job, update, write
from tests.threads import in_thread

ROW_LOCKS = [pytest.mark.postgresql, pytest.mark.mariadb]


@pytest.fixture
def place() -> DatabasePlace:
    return DatabasePlace(ManualClock())


@pytest.mark.parametrize("record", MODELS, ids=lambda record: record.__name__)
def test_the_fields_of_a_record_are_the_columns_of_its_model(record: Any) -> None:
    columns = {field.attname for field in MODELS[record]._meta.concrete_fields}
    if record is TypeInstance:  # known by its type and its instance
        columns -= {"id"}
    assert {field.name for field in fields(record)} - COUNTED == columns


@pytest.mark.parametrize("record", [Job, Attempt, Checkpoint], ids=lambda record: record.__name__)
def test_a_bare_record_is_what_a_bare_row_would_be(record: Any) -> None:
    """Where a record and its model both have a default, it is the same one."""
    defaults = {f.attname: f for f in MODELS[record]._meta.concrete_fields if f.has_default()}
    bare = {f.name: f for f in fields(record)}
    differing = {
        name: (field.get_default(), bare[name])
        for name, field in defaults.items()
        if field.get_default()
        != (bare[name].default_factory() if callable(bare[name].default_factory) else bare[name].default)
    }
    assert differing == {}


class TestRowsThatAnotherHolds:
    pytestmark = [pytest.mark.django_db(transaction=True), *ROW_LOCKS]

    @pytest.mark.parametrize("what", ["job", "attempt", "checkpoint", "job_type"])
    def test_a_row_that_another_holds_is_busy_and_the_others_are_not(
        self, place: DatabasePlace, what: str
    ) -> None:
        held, free = _make(place, what), _make(place, what)
        with place.hold(what, held), place.store.transaction() as tx:
            found = _ask(tx, what, [held, free, _unknown(what)])
            assert (found.rows.keys(), found.busy) == ({free}, {held})

    def test_a_waiting_job_that_another_holds_is_passed_over(self, place: DatabasePlace) -> None:
        held, free = job(priority=1), job()
        write(place, jobs=[held, free])
        with place.hold("job", held.id), place.store.transaction() as tx:
            assert tx.waiting_jobs(TYPE, 1) == [free]

    def test_a_client_waits_for_its_job(self, place: DatabasePlace) -> None:
        held = job()
        write(place, jobs=[held])
        found: list[Any] = []

        def ask() -> None:
            with place.store.transaction() as tx:
                found.append(tx.jobs([held.id], wait=True).rows[held.id])

        with transaction.atomic(using=place.alias):
            update(place, held, reason="changed under the lock")
            waiting = in_thread(ask)
            waiting.join(0.3)
            assert waiting.is_alive()
        waiting.join(10)
        assert [each.reason for each in found] == ["changed under the lock"]

    def test_the_sweep_does_not_wait_for_a_worker_that_is_frozen_in_a_heartbeat(
        self, place: DatabasePlace
    ) -> None:
        frozen, other = uuid7(), uuid7()
        place.register(frozen)
        place.register(other)
        with place.hold("instance", frozen), place.store.transaction() as tx:
            assert tx.expire_instances(NOW + LEASE) == [other]
        with place.store.transaction() as tx:
            assert tx.expire_instances(NOW + LEASE) == [frozen]


class TestIsolation:
    """What was committed before a lock was given is seen by the next statement, whatever the site has chosen."""

    pytestmark = [pytest.mark.django_db(transaction=True), *ROW_LOCKS]

    @pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
    def test_a_statement_sees_what_was_committed_before_it(self, place: DatabasePlace, level: str) -> None:
        with isolation(place.alias, level), place.store.transaction() as tx:
            assert tx.waiting_jobs(TYPE, 10) == []
            assert tx.types_with_work(NOW) == []
            new = attempt(instance_id=None)
            in_thread(lambda: write(place, attempts=[new])).join(10)
            assert place.attempts(None) == [new]

    def test_the_callers_own_transaction_keeps_its_level(self, place: DatabasePlace) -> None:
        with isolation(place.alias, "repeatable read"), transaction.atomic(using=place.alias):
            assert place.attempts(None) == []
            with place.store.transaction() as tx:
                tx.write(Changes(jobs=[(None, job())]))
            in_thread(lambda: write(place, attempts=[attempt()])).join(10)
            assert place.attempts(None) == []


@contextmanager
def isolation(alias: str, level: str) -> Iterator[None]:
    """The site has set this isolation level for its database."""
    connection: Any = connections[alias]
    given: Any = level
    if connection.vendor == "postgresql":
        from psycopg import IsolationLevel

        given = IsolationLevel[level.upper().replace(" ", "_")]
    options = connection.settings_dict["OPTIONS"]
    before = dict(options)
    options["isolation_level"] = given
    connection.close()
    try:
        yield
    finally:
        options.clear()
        options.update(before)
        connection.close()


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_transaction_begins_as_a_writer_where_the_site_says_nothing(
    place: DatabasePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection: Any = connections[place.alias]
    options = {k: v for k, v in connection.settings_dict["OPTIONS"].items() if k != "transaction_mode"}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    connection.close()
    with CaptureQueriesContext(connection) as queries:
        with place.store.transaction() as tx:
            tx.waiting_jobs(TYPE, 1)
        with transaction.atomic(using=place.alias):
            pass
    begun = [query["sql"] for query in queries.captured_queries if query["sql"].startswith("BEGIN")]
    connection.close()
    assert begun == ["BEGIN IMMEDIATE", "BEGIN"]


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("said", "patience"), [({}, 20_000), ({"timeout": 3}, 3_000)])
def test_it_waits_for_its_turn_as_a_worker_does_where_the_site_says_nothing(
    place: DatabasePlace, monkeypatch: pytest.MonkeyPatch, said: dict[str, int], patience: int
) -> None:
    connection: Any = connections[place.alias]
    options = {k: v for k, v in connection.settings_dict["OPTIONS"].items() if k != "timeout"}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {**options, **said})
    connection.close()

    def waits() -> int:
        with connection.cursor() as cursor:
            return int(cursor.execute("PRAGMA busy_timeout").fetchone()[0])

    before = waits()
    with place.store.transaction():
        within = waits()
    after = waits()
    connection.close()
    assert (within, after) == (patience, before)


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_transaction_may_be_the_first_thing_that_a_connection_does() -> None:
    began: list[bool] = []

    def begin_first() -> None:
        with DjangoStore().transaction():
            began.append(True)

    in_thread(begin_first).join(20)
    assert began == [True]


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
@pytest.mark.mariadb
class TestTransientErrors:
    def test_a_deadlock(self, place: DatabasePlace) -> None:
        one, two = job(), job()
        write(place, jobs=[one, two])
        errors: list[Exception] = []
        first_locked, second_locked = Event(), Event()

        def lock(mine: Job, other: Job, done: Event, wait_for_other: Event) -> None:
            try:
                with place.store.transaction() as tx:
                    tx.jobs([mine.id], wait=True)
                    done.set()
                    assert wait_for_other.wait(10)
                    tx.jobs([other.id], wait=True)
            except Exception as error:  # noqa: BLE001 - one of the two is told
                errors.append(error)

        threads = [
            in_thread(lambda: lock(one, two, first_locked, second_locked)),
            in_thread(lambda: lock(two, one, second_locked, first_locked)),
        ]
        for thread in threads:
            thread.join(20)
        assert len(errors) == 1
        assert place.store.is_transient(errors[0])
        assert not place.store.is_poison(errors[0])

    def test_a_connection_that_the_server_closed(self, place: DatabasePlace) -> None:
        def lose_it() -> None:
            with place.store.transaction() as tx:
                end_session(place.alias)
                tx.waiting_jobs(TYPE, 1)

        with pytest.raises(OperationalError) as raised:
            lose_it()
        assert place.store.is_transient(raised.value)
        place.store.refresh()
        with place.store.transaction() as tx:
            assert tx.waiting_jobs(TYPE, 1) == []


def end_session(alias: str) -> None:
    """Another session ends the one that this thread uses, as an administrator would."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(
            {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}[connection.vendor]
        )
        (session,) = cursor.fetchone()

    def end() -> None:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}[connection.vendor],
                [session],
            )

    in_thread(end).join(10)


@pytest.mark.django_db(transaction=True)
@pytest.mark.mariadb
def test_many_large_rows_are_more_than_one_packet(place: DatabasePlace) -> None:
    """100 results of the largest size allowed are 25 MB; the server takes 16."""
    with connections[place.alias].cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        (packet,) = cursor.fetchone()
    before = [job() for _ in range(100)]
    write(place, jobs=before)
    result = '"\\' * (settings.MAX_MESSAGE_BYTES // 4 - 10)
    assert 100 * len(result) * 2 > packet * 1.4
    after = [each.but(result=result) for each in before]
    write(place, jobs=list(zip(before, after, strict=True)))
    assert stored_job(place.store, before[99].id) == after[99]


@pytest.mark.django_db
def test_the_time_is_the_databases() -> None:
    machine, store = SystemClock(), DjangoStore()
    with store.transaction() as tx:
        before, now = machine.now(), tx.now()
        wait_for(lambda: tx.now() > now, what="time to pass within a transaction")
    assert now.utcoffset() == timedelta(0)
    assert abs(now - before) < timedelta(seconds=5)


@pytest.mark.django_db
def test_an_insert_that_skips_what_is_there_still_refuses_what_is_wrong(place: DatabasePlace) -> None:
    from jobsaga.models import JobHistory

    wrong = [(uuid7(), NOW, None)]
    with pytest.raises(Exception) as raised, transaction.atomic(using=place.alias):  # noqa: PT011 - asked below
        sql.insert(
            connections[place.alias], JobHistory, ("job_id", "at", "kind"), wrong, ignore_conflicts=True
        )
    assert place.store.is_poison(raised.value)


@pytest.mark.django_db
class TestSavingAJobsState:
    @pytest.mark.parametrize("state", [{"frame": 1}, None, [], "🎬"])
    def test_only_the_current_attempt_may(self, place: DatabasePlace, state: Any) -> None:
        mine, other = uuid7(), uuid7()
        row = Checkpoint(job_id=uuid7(), attempt_id=mine, state={"frame": 0})
        write(place, checkpoints=[row])
        assert not checkpoint.save(row.job_id, other, "stolen", advanced=True)
        assert not checkpoint.save(uuid7(), mine, "no such job", advanced=True)
        assert stored_checkpoint(place.store, row.job_id) == row
        assert checkpoint.save(row.job_id, mine, state, advanced=True)
        assert stored_checkpoint(place.store, row.job_id) == row.but(state=state, advanced_by=mine)

    def test_a_save_of_the_same_state_is_a_save_and_no_advance(self, place: DatabasePlace) -> None:
        mine = uuid7()
        row = Checkpoint(job_id=uuid7(), attempt_id=mine, state={"frame": 0})
        write(place, checkpoints=[row])
        for _ in range(2):
            assert checkpoint.save(row.job_id, mine, {"frame": 0}, advanced=False)
        assert stored_checkpoint(place.store, row.job_id) == row


def _make(place: DatabasePlace, what: str) -> Any:
    if what == "job":
        new = job()
        write(place, jobs=[new])
        return new.id
    if what == "attempt":
        row = attempt()
        write(place, attempts=[row])
        return row.id
    if what == "checkpoint":
        fence = Checkpoint(job_id=uuid7())
        write(place, checkpoints=[fence])
        return fence.job_id
    name = uuid7().hex
    with place.store.transaction() as tx:
        tx.create_job_types([name])
    return name


def _ask(tx: Any, what: str, keys: list[Any]) -> Any:
    return tx.job_types(keys, NOW) if what == "job_type" else getattr(tx, f"{what}s")(keys)


def _unknown(what: str) -> Any:
    return "unknown" if what == "job_type" else uuid7()
