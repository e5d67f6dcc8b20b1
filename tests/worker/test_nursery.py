"""The server and what becomes of everybody when somebody dies."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobsaga.messages import CancelKind, JobAttemptCanceled, JobAttemptFaulted
from jobsaga.worker import allotment, nursery
from jobsaga.worker import children as children_module
from jobsaga.worker.children import ChildProcesses
from jobsaga.worker.fork_server import ChildrenUnavailable, SiteNotLoaded
from jobsaga.worker.handle import Life
from tests.processes import ROOT, wait_for
from tests.worker.driving import Driver
from tests.worker.test_process_child import alive, until_all_are_idle


@pytest.fixture
def doomed() -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """An instance that runs, and the pids of all that it has started."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.worker.an_instance"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process, process.stdout as stdout:
        pids = json.loads(stdout.readline())
        assert all(alive(pid) for pid in pids.values())
        yield process, pids
        process.kill()
    wait_for(lambda: not any(alive(pid) for pid in pids.values()), 5)


def test_when_the_instance_is_killed_everything_ends(doomed: tuple[Any, dict[str, int]]) -> None:
    process, pids = doomed
    process.kill()
    wait_for(lambda: not any(alive(pid) for pid in pids.values()), 1, "all to be gone")


def test_when_instance_and_server_are_killed_at_once_everything_ends(
    doomed: tuple[Any, dict[str, int]],
) -> None:
    process, pids = doomed
    os.kill(process.pid, signal.SIGSTOP)  # so that it does not see the server go
    os.kill(pids["server"], signal.SIGKILL)
    process.kill()
    children = [pids[each] for each in ("job", "shared", "hog")]
    wait_for(lambda: not any(alive(pid) for pid in children), 1, "the children to be gone")
    os.kill(pids["program"], signal.SIGKILL)


def test_when_the_server_dies_its_jobs_are_lost_and_there_is_a_new_one() -> None:
    executor = ChildProcesses(label="test")
    driver = Driver(executor)
    try:
        attempt = driver.start("run_a_subprocess")
        told = driver.log_of(attempt, "started").data or {}
        server = executor._nursery._server
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        end = driver.end_of(attempt, 2)
        assert isinstance(end, JobAttemptFaulted)
        assert end.suspect
        assert "ended" in end.fault.message or "killed" in end.fault.message
        wait_for(lambda: not alive(told["pid"]) and not alive(told["child"]), 1)
        assert driver.run("give", value=1).result == 1
    finally:
        executor.close()


def test_close_ends_all(children: ChildProcesses) -> None:
    executor = ChildProcesses(label="test")
    driver = Driver(executor)
    attempt = driver.start("run_a_subprocess")
    told = driver.log_of(attempt, "started").data or {}
    executor.close()
    assert not alive(told["pid"])
    assert not alive(told["child"])


def test_a_site_that_cannot_be_loaded_is_told_with_its_traceback(settings: Any) -> None:
    settings.SETTINGS_MODULE = "tests.no_such_settings"
    with pytest.raises(
        ChildrenUnavailable, match=r"(?s)cannot be loaded.*No module named 'tests.no_such_settings'"
    ):
        ChildProcesses(label="test")


def test_a_site_that_is_not_loaded_in_time_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may wait for a database that does not answer: a worker that comes back tries again."""
    settings.SETTINGS_MODULE = "tests.worker.hanging_settings"
    monkeypatch.setattr(nursery, "LOADING", 0.5)
    with pytest.raises(SiteNotLoaded, match=r"has not loaded the site within 0\.5 s"):
        ChildProcesses(label="test")


def test_who_shall_stop_does_not_wait_until_the_site_is_loaded(settings: Any) -> None:
    settings.SETTINGS_MODULE = "tests.worker.hanging_settings"
    executor = ChildProcesses(label="test", enough=lambda: True)
    server = executor._nursery._server
    assert server is not None
    executor.close()
    assert not alive(server.pid)


def test_settings_without_a_module_are_told(settings: Any) -> None:
    settings.SETTINGS_MODULE = None
    with pytest.raises(ChildrenUnavailable, match=r"settings\.configure"):
        ChildProcesses(label="test")


def test_a_site_with_threads_is_never_forked(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.SETTINGS_MODULE = "tests.worker.threaded_settings"
    executor = ChildProcesses(label="test", instance_properties={"zone": "b"})
    try:
        assert "Loading the site starts threads" in caplog.text
        driver = Driver(executor)
        fields = {"properties": {"tenant": "acme"}}
        told = driver.run("describe", fields=fields).result
        assert told["instance"]["zone"] == "b"
        until_all_are_idle(driver)
        assert driver.run("memory").result[0] == told["pid"]  # the agent is nothing that a job left behind
        assert b"spawned" in Path(f"/proc/{told['pid']}/cmdline").read_bytes()
        attempt = driver.start("run_a_subprocess")
        told = driver.log_of(attempt, "started").data or {}
        executor.cancel(attempt, CancelKind.USER, "enough")
        assert driver.end_of(attempt).kind is CancelKind.USER
        wait_for(lambda: not alive(told["child"]), 2)
        assert "killed by signal 9" in driver.run("die").fault.message
    finally:
        executor.close()


def test_what_finds_no_process_is_handed_back(
    children: ChildProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "PATIENCE", 0.5)
    monkeypatch.setattr(nursery, "PAUSE", 5)

    def no_fork(*args: object, **kwargs: object) -> None:
        raise OSError(24, "Too many open files")

    children.kill_all()
    driver = Driver(children)
    driver.poll_until(lambda: not children._nursery.children)
    server = children._nursery._server
    with monkeypatch.context() as patch:
        patch.setattr(server, "fork", no_fork)
        attempt = driver.start()
        end = driver.end_of(attempt, 3)
    assert isinstance(end, JobAttemptCanceled)
    assert end.kind is CancelKind.NOT_STARTED
    assert "Too many open files" in end.reason
    children._nursery._not_before = 0
    assert driver.run("give", value=1).result == 1


def test_what_its_process_took_and_never_began_is_handed_back(
    children: ChildProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was frozen at that moment: nobody else looks after a start that was taken."""
    monkeypatch.setattr(allotment, "BEGINNING", 0.5)
    monkeypatch.setattr(children_module, "PATIENCE", 0.5)
    driver = Driver(children)
    driver.run()
    until_all_are_idle(driver)
    (child,) = (each for each in children._nursery.children.values() if each.life is Life.IDLE)
    pid = child.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    attempt = driver.start("give", value=1)
    end = driver.end_of(attempt)
    assert isinstance(end, JobAttemptCanceled)
    assert end.kind is CancelKind.NOT_STARTED
    assert end.reason == "Its process did not begin it"
    wait_for(lambda: not alive(pid), 5)
    monkeypatch.undo()
    assert driver.run("give", value=1).result == 1


def test_another_thread_may_wake_the_instance(children: ChildProcesses) -> None:
    from threading import Timer
    from time import monotonic

    driver = Driver(children)
    children.kill_all()
    driver.poll_until(lambda: not children._nursery.children)
    timer = Timer(0.1, children.wake)
    timer.start()
    begun = monotonic()
    assert children.poll(10) == []
    assert monotonic() - begun < 5
    timer.join()


def test_reports_have_the_times_of_the_database(caplog: pytest.LogCaptureFixture) -> None:
    from datetime import UTC, datetime, timedelta

    caplog.set_level(logging.WARNING)
    ahead = timedelta(hours=3)
    executor = ChildProcesses(label="test", now=lambda: datetime.now(UTC) + ahead)
    try:
        end = Driver(executor).run()
    finally:
        executor.close()
    assert abs(end.timestamp - (datetime.now(UTC) + ahead)) < timedelta(seconds=30)
