"""Thread jobs and async jobs share one process: what one of them does to the others, and what not."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from typing import Any

import pytest

from jobsaga.messages import CancelKind, JobAttemptCanceled, JobAttemptCompleted, JobAttemptFaulted
from jobsaga.worker import children as children_module
from jobsaga.worker import nursery
from jobsaga.worker.children import ChildProcesses
from tests.worker.driving import Driver


@pytest.fixture
def threads(children: ChildProcesses) -> Any:
    yield Driver(children, "thread")
    children.kill_all()


@pytest.fixture
def tasks(children: ChildProcesses) -> Any:
    yield Driver(children, "task")
    children.kill_all()


def pid_of(driver: Driver) -> int:
    """The process in which a job runs that is started now."""
    return int(driver.run("memory").result[0])


def test_threads_and_tasks_share_a_process_and_run_side_by_side(threads: Driver, tasks: Driver) -> None:
    waiting = [threads.start("finish_all_the_same") for _ in range(50)]
    for attempt in waiting:
        threads.log_of(attempt, "waiting")
    assert pid_of(tasks) == pid_of(threads)
    threads.said += tasks.said
    for attempt in waiting:
        threads.executor.cancel(attempt, CancelKind.USER, "on")
    assert {threads.end_of(attempt).result for attempt in waiting} == {"on"}


def test_a_job_for_which_there_is_no_thread_waits_for_one(threads: Driver) -> None:
    greedy = threads.start("use_up_all_threads")
    threads.log_of(greedy, "waiting")
    waiting = threads.start("give", value=1)
    heard = time.monotonic() + 0.5
    threads.poll_until(lambda: time.monotonic() > heard)  # the process has been told by now
    assert threads.cancel_once_it_waits(greedy, CancelKind.USER, "too many").kind is CancelKind.USER
    assert threads.end_of(waiting).result == 1


def test_a_dead_process_is_a_suspect_fault_of_all_its_jobs(threads: Driver) -> None:
    neighbour = threads.start("sleep")
    threads.log_of(neighbour, "sleeping")
    ends = [threads.run("die"), threads.end_of(neighbour)]
    for end in ends:
        assert isinstance(end, JobAttemptFaulted)
        assert (end.fault.message, end.suspect) == ("Its process was killed by signal 9 (SIGKILL)", True)
    assert threads.run("give", value=1).result == 1


@pytest.mark.parametrize(("kind", "what"), [("thread", "sleep"), ("task", "swallow_everything")])
def test_a_job_that_does_not_listen_waits_for_its_neighbours_to_end(
    children: ChildProcesses, kind: str, what: str
) -> None:
    driver = Driver(children, kind)
    neighbour = driver.start("finish_all_the_same")
    driver.log_of(neighbour, "waiting")
    deaf = driver.start(what)
    old = (driver.log_of(deaf, "sleeping" if kind == "thread" else "waiting").data or {})["pid"]
    children.cancel(deaf, CancelKind.USER, "enough")
    # Its ladder is climbed, its neighbour is not touched, and new work goes to another process.
    driver.poll_until(lambda: pid_of(driver) != old)
    assert {neighbour, deaf} <= children.running()
    children.cancel(neighbour, CancelKind.USER, "you too")
    assert driver.end_of(neighbour).result == "you too"
    end = driver.end_of(deaf)
    assert isinstance(end, JobAttemptCanceled)
    assert (end.kind, end.reason) == (CancelKind.USER, "enough")


@pytest.mark.parametrize("what", ["sleep", "hold_the_gil"])
def test_a_deaf_job_that_is_alone_is_ended_with_its_process(threads: Driver, what: str) -> None:
    attempt = threads.start_in_time(what)
    end = threads.end_of(attempt)
    assert isinstance(end, JobAttemptFaulted)
    assert (end.fault.type, end.retry_delay) == ("JobTimeout", timedelta(seconds=7))
    assert end.duration < timedelta(seconds=4)


def test_a_job_that_was_given_up_runs_until_its_process_can_go(threads: Driver) -> None:
    neighbour, superseded = threads.start("finish_all_the_same"), threads.start("sleep")
    threads.log_of(neighbour, "waiting")
    threads.log_of(superseded, "sleeping")
    threads.executor.kill(superseded)
    threads.said += threads.executor.poll(0)
    assert superseded in threads.executor.running()
    threads.executor.cancel(neighbour, CancelKind.USER, "go")
    assert threads.end_of(neighbour).result == "go"
    threads.poll_until(lambda: superseded not in threads.executor.running())
    assert threads.ends(superseded) == []


def test_a_process_that_hangs_is_killed(threads: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nursery, "LATE", 0.8)
    monkeypatch.setattr(nursery, "HUNG", 1.6)
    neighbour = threads.start("sleep", seconds=60)
    threads.log_of(neighbour, "sleeping")
    hog = threads.start("hold_the_gil", size=10**11)
    for attempt in (hog, neighbour):
        end = threads.end_of(attempt)
        assert isinstance(end, JobAttemptFaulted)
        assert end.suspect
        assert "killed by signal 9" in end.fault.message
    assert threads.run("give", value=1).result == 1


def test_a_child_is_not_blamed_for_a_machine_that_stood_still(
    threads: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = threads.start("finish_all_the_same")
    pid = (threads.log_of(attempt, "waiting").data or {})["pid"]
    os.kill(pid, signal.SIGSTOP)
    threads.said += threads.executor.poll(0)
    monkeypatch.setattr(nursery, "LATE", 0.1)
    monkeypatch.setattr(nursery, "HUNG", 0.2)
    time.sleep(1)  # neither the child speaks nor the instance listens
    os.kill(pid, signal.SIGCONT)
    threads.said += threads.executor.poll(0)
    monkeypatch.undo()
    threads.executor.cancel(attempt, CancelKind.USER, "still here")
    assert threads.end_of(attempt).result == "still here"


def test_a_blocked_event_loop_gets_no_new_jobs(tasks: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children_module, "BLOCKED_LOOP", 0.5)
    blocking = tasks.start("block_the_loop", seconds=3)
    old = (tasks.log_of(blocking, "blocking").data or {})["pid"]
    probes = []

    def went_elsewhere() -> bool:
        probes.append(tasks.start("memory"))
        ends = [end for probe in probes for end in tasks.ends(probe)]
        return any(end.result[0] != old for end in ends)  # type: ignore[attr-defined]

    tasks.poll_until(went_elsewhere)
    assert tasks.ends(blocking) == []
    assert isinstance(tasks.end_of(blocking), JobAttemptCompleted)
    # What was in the blocked process before that was noticed has only waited.
    assert tasks.end_of(probes[0]).result[0] == old
