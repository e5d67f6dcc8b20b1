"""A job in a process of its own: it can be ended, it can die, and it leaves nothing behind."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest

from jobsaga.messages import CancelKind, JobAttemptCanceled, JobAttemptCompleted, JobAttemptFaulted
from jobsaga.worker.handle import Life
from tests.processes import wait_for
from tests.worker.driving import Driver

KINDS = [CancelKind.USER, CancelKind.SHUTDOWN]


def alive(pid: int) -> bool:
    """Is there such a process, and not only what its parent has yet to collect?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# dying


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGKILL, "9 (SIGKILL)"), (signal.SIGSEGV, "11 (SIGSEGV)")], ids=["9", "11"]
)
def test_a_killed_job_is_a_suspect_fault_within_two_seconds(
    in_process: Driver, number: int, name: str
) -> None:
    neighbour = in_process.start("sleep", seconds=1)
    in_process.log_of(neighbour, "sleeping")
    begun = time.monotonic()
    end = in_process.run("die", signal_number=number)
    assert time.monotonic() - begun < 2
    assert isinstance(end, JobAttemptFaulted)
    assert end.fault.message == f"Its process was killed by signal {name}"
    assert (end.suspect, end.retry_delay) == (True, None)
    assert isinstance(in_process.end_of(neighbour), JobAttemptCompleted)


def test_a_job_that_ends_its_process_is_a_suspect_fault(in_process: Driver) -> None:
    end = in_process.run("leave_at_once", code=3)
    assert (end.fault.type, end.fault.message) == ("JobProcessDied", "Its process exited with code 3")
    assert end.suspect


def test_a_job_that_closes_what_it_does_not_own_ends_its_process(in_process: Driver) -> None:
    """As programs do that become daemons. It can say nothing more, so nobody must wait for its word."""
    end = in_process.run("close_every_descriptor")
    assert (end.fault.type, end.suspect) == ("JobProcessDied", True)


def test_the_last_progress_of_a_killed_job_is_not_lost(in_process: Driver) -> None:
    attempt = in_process.start("progress", upto=1000, pause=0.01)
    seen = in_process.poll_until(lambda: in_process.progress(attempt))[0]
    pid = children_of(in_process)[0]
    os.kill(pid, signal.SIGKILL)
    assert in_process.end_of(attempt).progress.value >= seen.progress.value


def children_of(driver: Driver) -> list[int]:
    """The pids of its process children."""
    nursery = driver.executor._nursery  # type: ignore[attr-defined]
    return [each.pid for each in nursery.children.values() if not each.shared]


def until_all_are_idle(driver: Driver) -> None:
    """So that the next job gets the process of the last one."""
    nursery = driver.executor._nursery  # type: ignore[attr-defined]
    driver.poll_until(lambda: all(each.life is Life.IDLE for each in nursery.children.values()))


def test_what_a_killed_job_has_started_ends_with_it(in_process: Driver) -> None:
    attempt = in_process.start("run_a_subprocess")
    told = in_process.log_of(attempt, "started").data
    assert told
    os.kill(told["pid"], signal.SIGKILL)
    in_process.end_of(attempt)
    wait_for(lambda: not alive(told["child"]), 2)


def test_a_death_is_seen_although_a_copy_holds_the_socket(in_process: Driver) -> None:
    begun = time.monotonic()
    attempt = in_process.start("leave_a_copy_and_die")
    assert in_process.end_of(attempt).suspect
    assert time.monotonic() - begun < 2
    copy = (in_process.lines(attempt)[0].data or {})["copy"]
    wait_for(lambda: not alive(copy), 2)


@pytest.mark.parametrize("text", ["\0\0\0\5hello", "hello, world\n"], ids=["a frame", "text"])
def test_a_job_that_writes_into_our_socket_ends_itself_only(in_process: Driver, text: str) -> None:
    end = in_process.run("write_into_every_descriptor", text=text)
    assert isinstance(end, JobAttemptFaulted)
    assert end.suspect
    assert in_process.run("give", value=1).result == 1


# being ended


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_does_not_look_is_told_by_an_exception(
    in_process: Driver, kind: CancelKind, tmp_path: Path
) -> None:
    attempt = in_process.start("sleep_and_clean_up", path=str(tmp_path / "trace"))
    in_process.log_of(attempt, "sleeping")
    in_process.executor.cancel(attempt, kind, "enough")
    end = in_process.end_of(attempt)
    assert isinstance(end, JobAttemptCanceled)
    assert (end.kind, end.reason) == (kind, "enough")
    assert (tmp_path / "trace").read_text() == "cleaned up"
    assert timedelta(seconds=0.5) <= end.duration < timedelta(seconds=2)


def test_the_exception_reaches_a_job_that_lets_no_other_thread_run(in_process: Driver) -> None:
    attempt = in_process.start("search_for_ever")
    in_process.log_of(attempt, "sleeping")
    in_process.executor.cancel(attempt, CancelKind.USER, "enough")
    end = in_process.end_of(attempt)
    assert (end.kind, end.reason) == (CancelKind.USER, "enough")
    assert end.duration < timedelta(seconds=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["swallow_everything", "hold_the_gil"])
def test_a_job_that_does_not_listen_is_killed(in_process: Driver, kind: CancelKind, what: str) -> None:
    attempt = in_process.start(what)
    in_process.log_of(attempt, "counting" if what == "hold_the_gil" else "sleeping")
    in_process.executor.cancel(attempt, kind, "enough")
    end = in_process.end_of(attempt)
    assert isinstance(end, JobAttemptCanceled)
    assert (end.kind, end.reason) == (kind, "enough")
    assert end.duration < timedelta(seconds=4)
    assert len(in_process.ends(attempt)) == 1


@pytest.mark.parametrize("what", ["sleep", "swallow_everything"])
def test_a_timeout_is_enforced(in_process: Driver, what: str) -> None:
    attempt = in_process.start_in_time(what)
    end = in_process.end_of(attempt)
    assert isinstance(end, JobAttemptFaulted)
    assert end.fault.type == "JobTimeout"
    assert (end.retry_delay, end.suspect) == (timedelta(seconds=7), False)
    assert end.duration < timedelta(seconds=4)


def test_the_first_request_to_end_counts(in_process: Driver) -> None:
    attempt = in_process.start("sleep")
    in_process.log_of(attempt, "sleeping")
    in_process.executor.cancel(attempt, CancelKind.USER, "by hand")
    in_process.executor.cancel(attempt, CancelKind.SHUTDOWN, "bye")
    end = in_process.end_of(attempt)
    assert (end.kind, end.reason) == (CancelKind.USER, "by hand")


def test_what_a_canceled_job_has_started_ends_with_it(in_process: Driver) -> None:
    attempt = in_process.start("run_a_subprocess")
    told = in_process.log_of(attempt, "started").data
    assert told
    in_process.executor.cancel(attempt, CancelKind.USER, "enough")
    assert in_process.end_of(attempt).kind is CancelKind.USER
    wait_for(lambda: not alive(told["child"]), 2)


def test_a_stray_sigterm_is_not_for_the_job(in_process: Driver) -> None:
    attempt = in_process.start("sleep", seconds=0.5)
    told = in_process.log_of(attempt, "sleeping").data
    assert told
    os.kill(told["pid"], signal.SIGTERM)
    assert in_process.end_of(attempt).result == "slept"


def test_a_job_that_was_given_up_is_ended_at_once_and_nothing_is_said(in_process: Driver) -> None:
    attempt = in_process.start("run_a_subprocess")
    told = in_process.log_of(attempt, "started").data
    assert told
    in_process.executor.kill(attempt)
    in_process.poll_until(lambda: attempt not in in_process.executor.running(), 2)
    wait_for(lambda: not alive(told["pid"]) and not alive(told["child"]), 2)
    assert in_process.ends(attempt) == []


def test_all_are_ended_at_once_and_there_can_be_new_ones(in_process: Driver) -> None:
    attempts = [in_process.start("sleep") for _ in range(3)]
    pids = [(in_process.log_of(each, "sleeping").data or {})["pid"] for each in attempts]
    in_process.executor.kill_all()
    wait_for(lambda: not any(alive(pid) for pid in pids), 10)
    assert in_process.executor.running() == set()
    assert in_process.run("give", value=1).result == 1
    assert not any(in_process.ends(each) for each in attempts)


# one after the other


def test_processes_are_reused(in_process: Driver) -> None:
    pids = set()
    waiting, running = 100, set()
    while waiting or running:
        while waiting and len(running) < 4:
            running.add(in_process.start("memory"))
            waiting -= 1
        done = in_process.poll_until(lambda: [each for each in running if in_process.ends(each)])
        running.difference_update(done)
        pids |= {in_process.ends(each)[0].result[0] for each in done}  # type: ignore[attr-defined]
    assert len(pids) <= 5


def test_memory_stays_flat(in_process: Driver) -> None:
    sizes = [in_process.run("memory").result[1] for _ in range(1000)]
    assert max(sizes[900:]) - max(sizes[300:400]) < 2_000_000


@pytest.mark.parametrize(
    "what", ["leave_a_thread", "leave_a_subprocess", "leave_an_orphan", "grow", "become_nicer"]
)
def test_a_process_is_replaced_when_its_job_left_something_behind(in_process: Driver, what: str) -> None:
    arguments = {"megabytes": 300} if what == "grow" else {}
    left = in_process.run(what, **arguments).result
    after = in_process.run("memory").result[0]
    pids = left if isinstance(left, list) else [left]
    assert after not in pids
    wait_for(lambda: not any(alive(pid) for pid in pids), 2)


def test_async_code_of_a_sync_job_is_nothing_that_it_left_behind(in_process: Driver) -> None:
    assert in_process.run("call_async_code").result == in_process.run("call_async_code").result


def test_a_job_finds_the_process_as_the_first_one_did(in_process: Driver) -> None:
    before = in_process.run("look_around").result
    assert in_process.run("make_a_mess").result == before[0]
    assert in_process.run("look_around").result == before
    assert before[3] is False  # SIGTERM has a handler


def test_an_alarm_that_a_job_has_set_is_not_for_the_next_one(in_process: Driver) -> None:
    left = in_process.run("leave_an_alarm", seconds=1).result
    until_all_are_idle(in_process)
    after = in_process.start("sleep", seconds=1.2)
    assert (in_process.log_of(after, "sleeping").data or {})["pid"] == left
    assert isinstance(in_process.end_of(after), JobAttemptCompleted)


def test_a_job_that_has_blocked_signals_does_not_make_the_next_one_deaf(
    in_process: Driver, tmp_path: Path
) -> None:
    left = in_process.run("block_all_signals").result
    until_all_are_idle(in_process)
    path = tmp_path / "cleaned"
    after = in_process.start("sleep_and_clean_up", path=str(path))
    assert (in_process.log_of(after, "sleeping").data or {})["pid"] == left
    in_process.executor.cancel(after, CancelKind.USER, "no need")
    assert isinstance(in_process.end_of(after), JobAttemptCanceled)
    assert path.exists()


def test_a_copy_that_the_job_forked_says_nothing(in_process: Driver) -> None:
    attempt = in_process.start("fork_and_return")
    assert in_process.end_of(attempt).result == "original"
    assert in_process.run().attempt_id != attempt
    assert len(in_process.ends(attempt)) == 1
    assert in_process.lines(attempt) == []


def test_a_job_can_terminate_what_it_forked(in_process: Driver) -> None:
    assert in_process.run("terminate_a_copy").result == -signal.SIGTERM


# output


def test_what_a_job_prints_is_logged_before_its_end(
    in_process: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jobsaga.output")
    attempt = in_process.start("speak", text="hello")
    in_process.end_of(attempt)
    assert [record.getMessage() for record in caplog.records if record.name == "jobsaga.output"] == [
        f"jobsapp.ActInProcess {attempt}: hello",
        f"jobsapp.ActInProcess {attempt}: hello from a subprocess",
        f"jobsapp.ActInProcess {attempt}: hello to stderr",
    ]


def waiting_in(stream: socket.socket) -> bytes:
    """What was sent and is not yet read."""
    try:
        return stream.recv(100_000, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def test_output_comes_before_the_end_although_both_are_there(
    in_process: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    in_process.run()
    caplog.set_level(logging.INFO, "jobsaga.output")
    children = in_process.executor._nursery.children.values()  # type: ignore[attr-defined]
    while not any(each.life is Life.IDLE for each in children):
        in_process.said += in_process.executor.poll(0.1)
    attempt = in_process.start("speak", text="hello")
    in_process.said += in_process.executor.poll(0)
    (child,) = [each for each in children if each.attempts]
    wait_for(lambda: b"JobAttemptCompleted" in waiting_in(child.job))
    while not in_process.ends(attempt):
        in_process.said += in_process.executor.poll(1)
    assert len([record for record in caplog.records if record.name == "jobsaga.output"]) == 3


def test_a_flood_of_output_does_not_stop_the_job(
    in_process: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jobsaga.output")
    assert isinstance(in_process.run("flood", megabytes=20), JobAttemptCompleted)
    assert all(len(record.getMessage()) < 9_000 for record in caplog.records)
    in_process.run("flood", megabytes=50)
    in_process.executor.kill_all()
    in_process.poll_until(lambda: not children_of(in_process))
    assert any("more lines were left out" in record.getMessage() for record in caplog.records)
