"""``save_job_state`` in the job's own transaction: with its rows or not at all, and never by a zombie."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connections, transaction

from jobsaga import AttemptSuperseded
from jobsaga.exceptions import WrongTransaction
from jobsaga.models import JobCheckpoint
from jobsaga.store import checkpoint
from tests.hours.hands import ALIAS, MARKS, Hands
from tests.threads import in_thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job() -> Hands:
    return Hands()


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Another database than JOBSAGA's."""
    connections.settings["elsewhere"] = {
        **connections.settings[ALIAS],
        "ENGINE": "django.db.backends.sqlite3",
    }
    connections.settings["elsewhere"].update(NAME=":memory:", OPTIONS={})
    connection = connections["elsewhere"]
    # A test case refuses every database that was not there when it began.
    connection.ensure_connection = lambda: connection.connection or connection.connect()  # type: ignore[assignment]
    yield "elsewhere"
    if connection.connection is not None:
        connection.connection.close()  # Django leaves one in memory open
    del connections["elsewhere"], connections.settings["elsewhere"]


class Crash(Exception):
    pass


def atomic(**kwargs: Any) -> Any:
    return transaction.atomic(using=ALIAS, **kwargs)


def crash_after_saving(job: Hands) -> None:
    context = job.attempt()
    with atomic():
        MARKS.create(text="row")
        context.save_job_state("saved")
        raise Crash


def test_a_state_is_rolled_back_with_the_rows(job: Hands) -> None:
    with pytest.raises(Crash):
        crash_after_saving(job)
    assert (job.saved, MARKS.count()) == (None, 0)


def swallow(job: Hands) -> None:
    context = job.attempt()
    job.supersede()
    try:
        context.save_job_state("zombie")
    except AttemptSuperseded:
        return
    raise AssertionError("it was not refused")


def in_one_block(job: Hands) -> None:
    with atomic():
        MARKS.create(text="outer")
        swallow(job)


def in_a_savepoint(job: Hands) -> None:
    with atomic():
        MARKS.create(text="outer")
        with atomic():
            MARKS.create(text="inner")
            swallow(job)


def in_three_blocks(job: Hands) -> None:
    with atomic(), atomic(savepoint=False):
        MARKS.create(text="outer")
        with atomic(), atomic():
            swallow(job)


def without_autocommit(job: Hands) -> None:
    transaction.set_autocommit(False, using=ALIAS)
    try:
        MARKS.create(text="row")
        swallow(job)
        transaction.commit(using=ALIAS)
    finally:
        transaction.rollback(using=ALIAS)
        transaction.set_autocommit(True, using=ALIAS)


@pytest.mark.parametrize("work", [in_one_block, in_a_savepoint, in_three_blocks, without_autocommit])
def test_who_swallows_that_it_was_superseded_commits_nothing(job: Hands, work: Any) -> None:
    work(job)
    assert MARKS.count() == 0
    MARKS.create(text="the connection is fine")


@pytest.mark.django_db(transaction=False)
@pytest.mark.parametrize("work", [in_one_block, in_a_savepoint, in_three_blocks])
def test_within_a_test_case_only_the_jobs_own_blocks_are_undone(job: Hands, work: Any) -> None:
    MARKS.create(text="of the test")
    work(job)
    assert [mark.text for mark in MARKS.all()] == ["of the test"]


def test_a_transaction_of_another_database_is_refused_with_what_to_do(job: Hands, elsewhere: str) -> None:
    context = job.attempt()
    with transaction.atomic(using=elsewhere), pytest.raises(WrongTransaction) as caught:
        context.save_job_state("never")
    assert str(caught.value).startswith(
        f"The state of a job is saved in the database '{ALIAS}', but this transaction is one of 'elsewhere': they "
        f"would not be committed together. Use transaction.atomic(using='{ALIAS}') around both"
    )
    assert job.saved is None


def test_a_transaction_of_both_databases_is_fine(job: Hands, elsewhere: str) -> None:
    context = job.attempt()
    with transaction.atomic(using=elsewhere), atomic():
        context.save_job_state(1)
    with atomic(), transaction.atomic(using=elsewhere):
        context.save_job_state(2)
    assert job.saved == 2


def test_async_code_saves_by_itself(job: Hands) -> None:
    in_async(job.attempt().asave_job_state("saved"))
    assert job.saved == "saved"


@pytest.mark.parametrize("crashes", [False, True])
def test_async_code_saves_with_its_rows_in_one_function(job: Hands, crashes: bool) -> None:
    context = job.attempt()

    def step() -> None:
        with atomic():
            MARKS.create(text="row")
            context.save_job_state("saved")
            if crashes:
                raise Crash

    if crashes:
        with pytest.raises(Crash):
            in_async(sync_to_async(step)())
    else:
        in_async(sync_to_async(step)())
    assert (job.saved, MARKS.count()) == ((None, 0) if crashes else ("saved", 1))


def in_async(work: Coroutine[Any, Any, object]) -> None:
    """Await it in an event loop, and close the connections of its thread."""

    async def run() -> None:
        try:
            await work
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(run())


def _serializable() -> None:
    """The isolation level of this transaction."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


@pytest.mark.postgresql
def test_above_read_committed_a_moved_fence_is_superseded_too(job: Hands) -> None:
    """PostgreSQL then refuses the update, instead of finding no row."""
    context = job.attempt()
    with atomic():
        _serializable()
        MARKS.create(text="row")
        assert MARKS.count() == 1  # from here on this transaction sees the rows as they are now
        in_thread(job.supersede).join()
        with pytest.raises(AttemptSuperseded):
            context.save_job_state("zombie")
    assert (job.saved, MARKS.count()) == (None, 0)


@pytest.mark.parametrize(
    ("cause", "args", "is_one"),
    [
        (type("PgError", (Exception,), {"sqlstate": "40001"})(), (), True),
        (type("PgError", (Exception,), {"sqlstate": "40P01"})(), (), False),
        (None, (1020, "Record has changed since last read"), True),
        (None, (1213, "Deadlock"), False),
        (None, ("database is locked",), False),
    ],
)
def test_what_counts_as_changed_by_another(cause: Any, args: Any, is_one: bool) -> None:
    error = OperationalError(*args)
    error.__cause__ = cause
    assert checkpoint._was_changed_by_another(error) is is_one


def test_a_dropped_connection_is_made_anew_for_a_state_beside_positions(job: Hands) -> None:
    context = job.attempt()
    for _ in context.iterate([1, 2]):
        pass
    drop_the_connection()
    context.save_job_state("after")
    assert job.attempt().try_get_job_state() == "after"
    again = job.attempt()
    drop_the_connection()
    assert list(again.iterate([1, 2, 3])) == [3]
    assert JobCheckpoint.objects.using(ALIAS).count() == 1


def drop_the_connection() -> None:
    """As a server or a firewall does while a job does something else."""
    connection = connections[ALIAS]
    whose, end = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s)"),
        "mysql": ("SELECT connection_id()", "KILL %s"),
        "sqlite": ("SELECT 1", "SELECT %s"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(whose)
        number = cursor.fetchone()

    def from_another() -> None:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(end, number)

    in_thread(from_another).join()
