"""Who stands still, eats too much, or hangs in a query is ended: a fault that says why, under the retry policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobsaga import JobCancellation, JobOptions, Retry
from jobsaga.clock import ManualClock
from jobsaga.consumers import consumers
from jobsaga.consumers.registry import Candidate
from jobsaga.exceptions import InvalidOptions, JobStalled, JobTimeout
from jobsaga.messages import CancelKind, JobAttemptCanceled, JobAttemptCompleted, JobAttemptFaulted
from jobsaga.worker.inline import LimitToken
from jobsaga.worker.limits import Limits
from jobsaga.worker.running import Rung, Running
from tests.hours.conftest import HourDriver, inline
from tests.hours.hands import Hands
from tests.worker.driving import start_job

Drive = Callable[[str], HourDriver]
EVERYWHERE = pytest.mark.parametrize("kind", ["process", "thread", "task"])


# standing still


@EVERYWHERE
@pytest.mark.parametrize("what", ["stand_still", "claim_to_be_alive"])
def test_a_job_that_does_not_get_on_is_a_fault(drive: Drive, kind: str, what: str) -> None:
    end = drive(kind).run(what)
    assert isinstance(end, JobAttemptFaulted)
    assert (end.fault.type, end.suspect) == ("JobStalled", False)
    assert end.fault.message == (
        "Neither its progress nor its saved state has changed for its stall_timeout of 1 s"
    )
    assert end.retry_delay == timedelta(seconds=7)
    assert timedelta(seconds=1) <= end.duration < timedelta(seconds=5)


@EVERYWHERE
def test_a_job_that_gets_on_may_take_longer(drive: Drive, kind: str) -> None:
    end = drive(kind).run("get_on", seconds=2.5)
    assert isinstance(end, JobAttemptCompleted)


def test_a_cancel_that_comes_first_stays_a_cancel(drive: Drive) -> None:
    driver = drive("process")
    attempt = driver.start("stand_still")
    driver.poll_until(lambda: driver.started(attempt))
    driver.executor.cancel(attempt, CancelKind.USER, "enough")
    end = driver.end_of(attempt)
    assert isinstance(end, JobAttemptCanceled)
    assert end.reason == "enough"


def limits(stall: float | None = None, timeout: float | None = None) -> Limits:
    return Limits(JobOptions(stall_timeout=stall, job_timeout=timeout), 100)


def test_the_first_limit_counts() -> None:
    both = limits(stall=10, timeout=25)
    assert (both.deadline(), both.overstepped(109.9), both.overstepped(110)) == (
        110,
        None,
        CancelKind.STALLED,
    )
    both.stir(109)
    assert (both.deadline(), both.overstepped(118.9), both.overstepped(119)) == (
        119,
        None,
        CancelKind.STALLED,
    )
    both.stir(118)
    assert (both.deadline(), both.overstepped(125)) == (125, CancelKind.TIMEOUT)
    assert limits().deadline() is None
    assert limits().overstepped(10**9) is None


def test_who_watches_waits_as_long_as_the_news_may_take() -> None:
    assert limits(stall=10).deadline(0.1) == 111


def test_a_machine_that_stood_still_is_forgiven() -> None:
    """The instance itself was away: who knows what it could have heard."""
    start = start_job("jobsapp.Hour")
    definition = consumers.for_type_name("jobsapp.Hour")
    running = Running(start, definition)
    running.wait(1000)
    running.begin(100)
    assert running.deadline == pytest.approx(101.1)
    running.stir(150)
    assert running.overstepped(151) is None
    running.ask(CancelKind.USER, "enough", 151)
    asked = running.deadline
    running.stir(160)
    assert (running.rung, running.deadline) == (Rung.ASKED, asked)


@pytest.mark.django_db
def test_what_counts_as_getting_on() -> None:
    job = Hands(stall_timeout=100)
    context = job.attempt()
    job.running.options = job.options
    news: list[UUID] = []
    object.__setattr__(job.running._host, "stirred", news.append)

    def stirs(act: Callable[[], object]) -> bool:
        job.clock.advance(50)
        before = len(news)
        act()
        return len(news) > before

    assert stirs(lambda: context.set_job_progress(1, 10))
    assert not stirs(lambda: context.set_job_progress(1, 10))
    assert stirs(lambda: context.set_job_progress(1, 10, "another message"))
    assert stirs(lambda: context.save_job_state("a"))
    assert not stirs(lambda: context.save_job_state("a"))
    assert not stirs(lambda: context.log("still here"))
    assert stirs(lambda: list(context.iterate([1, 2], progress=False)))


@pytest.mark.django_db
def test_news_are_few() -> None:
    job = Hands()
    context = job.attempt()
    job.running.options = JobOptions(stall_timeout=100)
    news: list[UUID] = []
    object.__setattr__(job.running._host, "stirred", news.append)
    for number in range(1000):
        context.set_job_progress(number)
        job.clock.advance(0.1)
    assert len(news) == 10


def test_inline_the_token_knows() -> None:
    clock = ManualClock()
    options = JobOptions(stall_timeout=10)
    token = LimitToken(Limits(options, clock.monotonic()), options, clock.monotonic)
    clock.advance(9)
    assert not token.is_cancellation_requested
    clock.advance(1)
    with pytest.raises(JobCancellation, match="stall_timeout of 10 s"):
        token.raise_if_cancellation_requested()
    assert token.kind == "stalled"


def test_inline_a_job_that_looks_is_stalled() -> None:
    driver = inline("jobsapp.HourInThread")
    end = driver.run("wait_for_the_token")
    assert (end.fault.type, end.retry_delay) == ("JobStalled", timedelta(seconds=7))


@pytest.mark.parametrize(
    ("retry", "delay"),
    [
        (Retry.interval(1, 7).only(JobStalled), 7),
        (Retry.interval(1, 7).only(JobTimeout), None),
        (Retry.interval(1, 7).only(TimeoutError), 7),
        (Retry.interval(1, 7).ignore(JobStalled), None),
    ],
    ids=["stalled", "timeout", "both", "all but this"],
)
def test_a_policy_can_choose(retry: Retry, delay: int | None) -> None:
    from jobsaga.worker.limits import overstepped

    said: dict[str, Any] = {"job_id": uuid4(), "attempt_id": uuid4(), "timestamp": ManualClock().now()}
    options = JobOptions(stall_timeout=1, retry=retry)
    end = overstepped(CancelKind.STALLED, start_job("jobsapp.Hour"), options, said)
    assert end.retry_delay == (None if delay is None else timedelta(seconds=delay))


# memory


def test_a_job_that_eats_too_much_is_a_fault_and_its_neighbour_is_not_touched(drive: Drive) -> None:
    driver = drive("jobsapp.SmallHour")
    neighbour = driver.start("get_on", seconds=2)
    end = driver.run("eat", megabytes=3000)
    assert isinstance(end, JobAttemptFaulted)
    assert (end.fault.type, end.suspect) == ("JobMemoryExceeded", False)
    assert end.fault.message == "It used more memory than its max_memory of 400 MB"
    assert end.retry_delay == timedelta(seconds=7)
    assert driver.end_of(neighbour).result == "got on"


def test_a_job_that_asks_for_too_much_at_once_is_refused(drive: Drive) -> None:
    driver = drive("jobsapp.SmallHour")
    end = driver.run("eat_at_once", megabytes=2000)
    assert (end.fault.type, end.retry_delay) == ("JobMemoryExceeded", timedelta(seconds=7))
    assert "MemoryError" in end.fault.traceback
    assert driver.run("eat_at_once", megabytes=100).result == 100_000_000


def test_the_next_job_of_the_process_has_no_such_limit(drive: Drive) -> None:
    pid = drive("jobsapp.SmallHour").run("nothing").result
    driver = drive("jobsapp.SilentHour")
    assert driver.run("nothing").result == pid
    assert driver.run("eat_at_once", megabytes=800).result == 800_000_000


@pytest.mark.parametrize("size", [0, -1, True, "much", "5 apples", 1.5])
def test_a_wrong_size_is_refused(size: Any) -> None:
    with pytest.raises(InvalidOptions, match=r'max_memory must be a number of bytes, or a text like "512M"'):
        JobOptions(max_memory=size)


def test_sizes() -> None:
    sizes = {"512K": 2**19, "512M": 2**29, "2 G": 2**31, "2GB": 2**31, "1TiB": 2**40, 5: 5}
    assert {size: JobOptions(max_memory=size).max_memory for size in sizes} == sizes


@pytest.mark.parametrize("kind", ["thread", "task"])
def test_who_shares_a_process_cannot_have_a_limit(kind: str) -> None:
    options = JobOptions(max_memory="1G", job_type_name="x", isolation="thread" if kind == "thread" else None)

    def run(context: Any) -> None: ...

    async def arun(context: Any) -> None: ...

    with consumers.temporary():
        consumers.register(
            Candidate(run, lambda: None, run if kind == "thread" else arun, options, lambda: None)
        )  # type: ignore[arg-type,return-value]
        problems = [str(each.error) for each in consumers.problems()]
    assert any("has a max_memory, but shares its process" in each for each in problems)


# replaced


def test_a_process_is_replaced_after_so_many_jobs(drive: Drive, settings: Any) -> None:
    settings.JOBSAGA = {**settings.JOBSAGA, "MAX_JOBS_PER_CHILD": 1}
    driver = drive("process")
    assert len({driver.run("nothing").result for _ in range(5)}) == 5


# queries


@pytest.mark.parametrize("kind", ["process", "thread", "task"])
def test_a_query_that_hangs_is_canceled_after_the_grace(drive_with_database: Drive, kind: str) -> None:
    driver = drive_with_database(kind)
    attempt = driver.start("hang_in_a_query")
    told = driver.log_of(attempt, "asking").data
    begun = time.monotonic()
    driver.executor.cancel(attempt, CancelKind.USER, "enough")
    end = driver.end_of(attempt, 5)
    assert isinstance(end, JobAttemptCanceled)
    assert (end.kind, end.reason) == (CancelKind.USER, "enough")
    assert time.monotonic() - begun < 2.5
    if kind == "thread":
        assert told
        assert driver.run("nothing").result == told["pid"]  # nobody had to be killed
