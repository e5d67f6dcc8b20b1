"""The demo's processes: found with all that is below them, killed together, stopped in order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.demo.workers import Worker, descendants, is_alive, running, wait_until_gone
from tests.processes import wait_for

TREE = """
import subprocess, sys, time
below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(below.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Worker]:
    command = [sys.executable, "-c", TREE]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    yield Worker("tree", process, tmp_path / "log")
    process.stdout.close()
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()


def test_a_kill_takes_the_whole_group(tree: Worker) -> None:
    (child,) = descendants(tree.pid)
    assert child in descendants(os.getpid())
    assert is_alive(child)
    assert tree.kill() == {child}
    assert not tree.is_running
    assert wait_until_gone([child], timeout=5) == set()


def test_a_process_that_does_not_end_is_named(tree: Worker) -> None:
    assert wait_until_gone([tree.pid], timeout=0.1) == {tree.pid}


def test_a_command_runs_for_the_time_of_the_block_and_is_logged(tmp_path: Path) -> None:
    program = "print('up'); import time; time.sleep(60)"
    with running("shell", tmp_path / "log", "shell", "--command", program) as worker:
        wait_for(lambda: "up" in worker.last_words())
    assert not worker.is_running


def test_the_last_words_of_a_command_that_failed(tmp_path: Path) -> None:
    with running("worker", tmp_path / "log", "nonsense") as worker:
        assert worker.process.wait(30) == 1
    assert "Unknown command: 'nonsense'" in worker.last_words()
