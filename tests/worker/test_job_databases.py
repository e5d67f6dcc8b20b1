"""What jobs do with databases, and what of it the next job meets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connections

from jobsaga.messages import JobAttemptCompleted, JobAttemptFaulted, StartJob
from jobsaga.models import JobCheckpoint
from jobsaga.worker.children import ChildProcesses
from jobsaga.worker.inline import InlineExecutor
from tests.jobsapp.models import Mark
from tests.worker.driving import TYPES, Driver, start_job

ALIAS = settings.JOBSAGA["DATABASE"]
MARKS = Mark.objects.using(ALIAS)


@pytest.fixture
def drive(transactional_db: None) -> Iterator[Callable[[str], Driver]]:
    """Makes drivers of one executor whose children use the test's database."""
    executor = ChildProcesses(label="test")
    yield lambda kind: Driver(executor, kind)
    executor.close()


@pytest.fixture(params=["process", "thread", "task"])
def driver(request: pytest.FixtureRequest, drive: Callable[[str], Driver]) -> Driver:
    return drive(request.param)


def start_with_checkpoint(kind: str, what: str, *, owner: UUID | None = None, **args: Any) -> StartJob:
    """A start message of a job whose checkpoint belongs to ``owner``, or to this attempt."""
    start = start_job(TYPES[kind], what, **args)
    JobCheckpoint.objects.using(ALIAS).create(job_id=start.job_id, attempt_id=owner or start.attempt_id)
    return start


def saved(start: StartJob) -> Any:
    row = JobCheckpoint.objects.using(ALIAS).get(job=start.job_id)
    return row.state, row.advanced_by


def test_a_job_sees_the_databases_of_the_test(driver: Driver) -> None:
    end = driver.run("mark")
    assert isinstance(end, JobAttemptCompleted)
    assert end.result == 1
    assert MARKS.get().job_id == end.job_id


def test_state_is_saved_by_the_current_attempt(driver: Driver) -> None:
    start = start_with_checkpoint(driver.kind, "save_state", state={"frame": 3})
    driver.executor.start(start)
    assert isinstance(driver.end_of(start.attempt_id), JobAttemptCompleted)
    assert saved(start) == ({"frame": 3}, start.attempt_id)


def test_the_same_state_again_is_no_step_forward(driver: Driver) -> None:
    fields = {"job_state": {"frame": 3}}
    start = start_with_checkpoint(driver.kind, "save_state", state={"frame": 3}, fields=fields)
    driver.executor.start(start)
    assert isinstance(driver.end_of(start.attempt_id), JobAttemptCompleted)
    assert saved(start) == ({"frame": 3}, None)


def test_a_superseded_attempt_saves_nothing_and_is_no_fault_of_the_job(driver: Driver) -> None:
    start = start_with_checkpoint(driver.kind, "save_state", owner=UUID(int=1), state={"frame": 3})
    driver.executor.start(start)
    end = driver.end_of(start.attempt_id)
    assert isinstance(end, JobAttemptFaulted)
    assert end.fault.type == "jobsaga.exceptions.AttemptSuperseded"
    assert (end.suspect, end.retry_delay) == (True, None)
    assert saved(start) == (None, None)


def test_a_swallowed_superseded_commits_nothing(drive: Callable[[str], Driver]) -> None:
    for kind in ("process", "thread"):
        driver = drive(kind)
        start = start_with_checkpoint(kind, "save_in_transaction", owner=UUID(int=1), state={"frame": 3})
        driver.executor.start(start)
        assert driver.end_of(start.attempt_id).result == "swallowed"
    assert not MARKS.exists()


def test_a_state_that_cannot_be_stored_is_refused_in_the_job(driver: Driver) -> None:
    end = driver.run("save_state", state="x" * 300_000)
    assert end.fault.message.startswith("job state takes 300002 bytes as JSON")


@pytest.mark.parametrize("what", ["leave_a_transaction_open", "leave_autocommit_off"])
@pytest.mark.parametrize("kind", ["process", "thread"])
def test_an_open_transaction_is_rolled_back_and_the_next_job_is_fine(
    drive: Callable[[str], Driver], kind: str, what: str
) -> None:
    driver = drive(kind)
    pid = driver.run(what).result
    end = driver.run("mark")
    assert end.result == 1
    assert [(mark.job_id, mark.process_id) for mark in MARKS.all()] == [(end.job_id, pid)]


@pytest.mark.postgresql
def test_a_session_is_named_after_its_attempt(drive: Callable[[str], Driver]) -> None:
    for kind in ("process", "thread"):
        driver = drive(kind)
        first, second = driver.run("application_name"), driver.run("application_name")
        assert [each.result[0] for each in (first, second)] == [str(first.attempt_id), str(second.attempt_id)]


@pytest.mark.postgresql
def test_a_kept_session_is_named_anew(settings: Any, transactional_db: None) -> None:
    """With CONN_MAX_AGE the next job gets the same session, with its own name on it."""
    settings.SETTINGS_MODULE = "tests.worker.kept_settings"
    executor = ChildProcesses(label="test")
    try:
        ends = [Driver(executor).run("application_name") for _ in range(2)]
    finally:
        executor.close()
    assert [each.result[0] for each in ends] == [str(each.attempt_id) for each in ends]
    assert ends[0].result[1] == ends[1].result[1]


@pytest.mark.mariadb
def test_a_kept_session_holds_the_lock_of_its_present_attempt_alone(
    settings: Any, transactional_db: None
) -> None:
    """By that lock the session of an attempt that was given up is found, and ended: it must not be another's."""
    settings.SETTINGS_MODULE = "tests.worker.kept_settings"
    executor = ChildProcesses(label="test")
    try:
        driver = Driver(executor)
        starts = [
            start_with_checkpoint("process", what, state=1) for what in ("save_state", "save_in_transaction")
        ]
        for start in starts:
            executor.start(start)
            driver.end_of(start.attempt_id)
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(
                "SELECT IS_USED_LOCK(%s), IS_USED_LOCK(%s)", [f"jobsaga-{each.attempt_id}" for each in starts]
            )
            first, second = cursor.fetchone()
        assert first is None
        assert second is not None
    finally:
        executor.close()


@pytest.mark.postgresql
def test_a_pool_is_no_hindrance(settings: Any, transactional_db: None) -> None:
    """It passes no fork, is left out where one job runs at a time, and each job has its name on its session."""
    settings.SETTINGS_MODULE = "tests.worker.pooled_settings"
    executor = ChildProcesses(label="test")
    try:
        for kind in ("process", "thread", "task"):
            driver = Driver(executor, kind)
            ends = [driver.run("mark" if kind == "task" else "application_name") for _ in range(3)]
            assert all(isinstance(each, JobAttemptCompleted) for each in ends)
            if kind != "task":
                assert [each.result[0] for each in ends] == [str(each.attempt_id) for each in ends]
        process = Driver(executor)
        assert len({process.run("mark") and process.run("memory").result[0] for _ in range(3)}) == 1
    finally:
        executor.close()


@pytest.mark.django_db
def test_inline_jobs_live_in_the_transaction_of_the_test() -> None:
    """And their end does not close the connection under it."""
    MARKS.create(text="of the test")
    for kind in ("inline", "inline task"):
        driver = Driver(InlineExecutor(), kind)
        driver.run("mark")
    assert MARKS.count() == 3


def test_inline_jobs_keep_no_connection_open(transactional_db: None) -> None:
    Driver(InlineExecutor(), "inline").run("mark")
    assert connections[ALIAS].connection is None


def test_a_cancel_that_an_async_job_left_behind_does_not_swallow_its_last_word(
    drive: Callable[[str], Driver],
) -> None:
    tasks = drive("task")
    end = tasks.run("leave_a_cancel_behind")
    assert isinstance(end, JobAttemptCompleted)
    assert end.result is True
    assert isinstance(tasks.run("mark"), JobAttemptCompleted)
