"""What a job says, logs and prints is kept with its history, and cannot fill the table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.test import override_settings

from jobsaga import Every, add_or_update_recurring_job, get_job_state, retry_job, submit_job
from jobsaga.messages import JobAttemptFaulted, WriteJobLog
from jobsaga.models import JobHistory, JobSaga
from jobsaga.testing import manual_clock, run_until_quiet
from jobsaga.worker.inline import InlineExecutor
from jobsaga.worker.instance import Instance
from jobsaga.worker.job_log import DATA_LENGTH
from tests.engine.world import World
from tests.engine.worlds import database_place
from tests.hours.conftest import HourDriver, inline
from tests.hours.hands import ALIAS, Hands
from tests.jobsapp.jobs.hours import Hour

Drive = Callable[[str], HourDriver]


@pytest.fixture(autouse=True)
def loggers_that_let_through() -> Any:
    """The test's site lets INFO through in its workers; here pytest has the root logger."""
    logging.getLogger("tests.hours").setLevel(logging.INFO)
    yield
    logging.getLogger("tests.hours").setLevel(logging.NOTSET)


def told(lines: list[WriteJobLog]) -> list[tuple[str, str]]:
    """Status and first line of each."""
    return [(each.status, each.message.splitlines()[0]) for each in lines]


@pytest.mark.parametrize("kind", ["inline", "process", "thread", "task"])
def test_records_of_logging_are_lines_of_the_jobs_log(drive: Drive, kind: str) -> None:
    driver = inline("thread") if kind == "inline" else drive(kind)
    attempt = driver.start("write_to_logging")
    driver.end_of(attempt)
    lines = [each for each in driver.lines(attempt) if each.status != "Output"]
    in_thread = [("INFO", "from a thread")] if kind == "process" else []
    assert told(lines) == [("", "own line"), ("INFO", "first record"), *in_thread, ("ERROR", "caught")]
    assert [each.sequence for each in lines] == list(range(1, len(lines) + 1))
    assert lines[-1].data == {"logger": "tests.hours"}
    assert "ValueError: seen" in lines[-1].message


def test_jobs_side_by_side_have_their_own_records(drive: Drive) -> None:
    driver = drive("thread")
    attempts = [driver.start("write_to_logging") for _ in range(5)]
    for attempt in attempts:
        driver.end_of(attempt)
        assert told(driver.lines(attempt)) == [
            ("", "own line"),
            ("INFO", "first record"),
            ("ERROR", "caught"),
        ]


def test_without_the_option_nothing_of_logging_is_kept(drive: Drive) -> None:
    driver = drive("jobsapp.SilentHour")
    attempt = driver.start("write_to_logging")
    driver.end_of(attempt)
    assert told(driver.lines(attempt)) == [("", "own line")]


def test_a_log_that_is_full_counts_what_it_leaves_out(drive: Drive) -> None:
    driver = drive("process")
    attempt = driver.start("write_much", lines=1500)
    driver.end_of(attempt)
    lines = driver.lines(attempt)
    assert len(lines) == 1002
    assert [each.message for each in lines[999:]] == [
        "line 999", "The log is full: what follows is left out", "500 lines were left out",
    ]  # fmt: skip


@pytest.mark.django_db
def test_the_data_of_a_line_is_cut_where_it_is_long() -> None:
    job = Hands()
    context = job.attempt()
    context.log("short", text="x" * 7_000)
    context.log("long", text="x" * 20_000, n=1)
    short, long = job.said
    assert isinstance(short, WriteJobLog)
    assert isinstance(long, WriteJobLog)
    assert short.data == {"text": "x" * 7_000}
    assert long.data is not None
    assert set(long.data) == {"cut"}
    cut = long.data["cut"]
    assert (cut[:12], cut[-11:], len(cut)) == ('{"text":"xxx', 'xxx","n":1}', DATA_LENGTH)
    assert "of 20017 characters, the middle was left out" in cut


@pytest.mark.django_db
def test_the_log_of_a_job_is_bounded_over_all_its_attempts() -> None:
    """The last attempt may always write half of it, and more if the others wrote less: the oldest lines make room."""
    with override_settings(JOBSAGA={**settings.JOBSAGA, "JOB_LOG_LINES": 20}):
        job_id = submit_job(Hour("write_much", {"lines": 4, "then_fail": True}))
        run_until_quiet()
        assert len(log_of(job_id)) == 4
        for seen in (8, 12, 14, 14):
            retry_job(job_id)
            run_until_quiet()
            assert len(log_of(job_id)) == seen
        JobSaga.objects.using(ALIAS).filter(id=job_id).update(
            message={"what": "write_much", "args": {"lines": 30, "then_fail": True}}
        )
        for _ in range(5):
            retry_job(job_id)
            run_until_quiet()
            assert len(log_of(job_id)) == 22, "what is full says so, in two lines more"
    assert [row.message for row in log_of(job_id)[10:]] == [
        *(f"line {number}" for number in range(10)), "The log is full: what follows is left out",
        "20 lines were left out",
    ]  # fmt: skip


@pytest.mark.django_db
def test_each_run_of_a_recurring_job_has_a_log_of_its_own() -> None:
    with override_settings(JOBSAGA={**settings.JOBSAGA, "JOB_LOG_LINES": 20}), manual_clock() as clock:
        job_id = add_or_update_recurring_job("talk", Hour("write_much", {"lines": 15}), Every(minutes=1))
        for run in range(1, 4):
            clock.advance(60)
            run_until_quiet()
            assert len(log_of(job_id)) == 15 * run


@pytest.mark.django_db
def test_a_worker_makes_room_when_it_takes_an_attempt() -> None:
    world = World(database_place(None))
    worker = world.worker()
    job_id = world.submit()
    (first,) = worker.receive()
    worker.started(first)
    for number in range(15):
        worker.log(first, f"line {number}")
    worker.fault(first, retry_delay=0)
    world.lap()
    world.sweep()
    (second,) = worker.take()
    assert (first.follows_another, second.follows_another) == (False, True)
    with override_settings(JOBSAGA={**settings.JOBSAGA, "JOB_LOG_LINES": 20}):
        instance = Instance(InlineExecutor(), world.transport, [], instance_id=worker.id)
        (claimed,) = instance._claim([second])
        instance.receiver.close()
    assert claimed.log_lines == 10
    assert [row.message for row in log_of(job_id)] == [f"line {number}" for number in range(5, 15)]


def log_of(job_id: UUID) -> list[JobHistory]:
    return list(JobHistory.objects.using(ALIAS).filter(job_id=job_id, kind="JobLog").order_by("id"))


# what is printed


def test_the_end_of_what_a_job_prints_is_kept_programs_included(drive: Drive) -> None:
    driver = drive("process")
    attempt = driver.start("speak")
    end = driver.end_of(attempt)
    (line,) = driver.lines(attempt)
    assert (line.sequence, line.status) == (0, "Output")
    assert line.message == "line 0\nfrom a program\nno end of line"
    assert driver.of(attempt)[-1] is end


def test_only_the_tail_is_kept_and_each_job_has_its_own(drive: Drive) -> None:
    driver = drive("process")
    first, second = driver.start("speak", lines=3000), None
    driver.end_of(first)
    second = driver.start("speak")
    driver.end_of(second)
    (line,) = driver.lines(first)
    assert line.message.startswith("line 2901\n")
    assert line.message.endswith("from a program\nno end of line")
    assert driver.lines(second)[0].message.startswith("line 0\n")


@pytest.mark.parametrize("kind", ["jobsapp.Hour", "jobsapp.PlainHour"])
def test_what_a_job_said_before_its_process_died_is_kept(drive: Drive, kind: str) -> None:
    driver = drive(kind)
    attempt = driver.start("speak_and_die")
    end = driver.end_of(attempt)
    assert isinstance(end, JobAttemptFaulted)
    assert "signal 6 (SIGABRT)" in end.fault.message
    assert driver.lines(attempt)[0].message.startswith("goodbye")


@pytest.mark.parametrize("kind", ["thread", "jobsapp.SilentHour", "jobsapp.PlainHour"])
def test_where_it_cannot_or_shall_not_be_kept_it_is_not(drive: Drive, kind: str) -> None:
    driver = drive(kind)
    attempt = driver.start("speak")
    driver.end_of(attempt)
    assert driver.lines(attempt) == []


def test_a_job_that_prints_nothing_has_no_line(drive: Drive) -> None:
    driver = drive("process")
    attempt = driver.start("nothing")
    driver.end_of(attempt)
    assert driver.lines(attempt) == []


@pytest.mark.django_db
def test_the_lines_are_in_the_history() -> None:
    job_id = submit_job(Hour("write_to_logging"))
    run_until_quiet()
    assert get_job_state(job_id).current_state == "Completed"
    rows = JobHistory.objects.using(ALIAS).filter(job_id=job_id, sequence__isnull=False)
    assert [(row.kind, row.status) for row in rows.order_by("sequence")] == [
        ("JobLog", ""), ("JobLog", "INFO"), ("JobLog", "ERROR"),
    ]  # fmt: skip
