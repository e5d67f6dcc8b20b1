"""Worker processes, started as anyone would start them: `manage.py runjobworker`.

Each has a session of its own, so that a Ctrl-C reaches only the demo, which then ends them in order. If the demo
itself is killed, the kernel asks them to end (on Linux).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dashboard import BASE_DIR

STOP_TIMEOUT = 30.0  # seconds for a worker to hand its jobs over
PR_SET_PDEATHSIG = 1


@dataclass
class Worker:
    """A process started by the demo, and where it writes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    asked_to_end: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> set[int]:
        """SIGKILL to its process group. Returns the ids of the processes that were below it."""
        below = descendants(self.pid)
        os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        return below

    def ask_to_end(self) -> None:
        """Send SIGTERM, once."""
        if self.is_running and not self.asked_to_end:
            self.asked_to_end = True
            self.process.terminate()

    def last_words(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def running(name: str, log: Path, *arguments: str, **environment: str) -> AbstractContextManager[Worker]:
    """Run a manage.py command beside the block; it is stopped with SIGTERM, in the end with SIGKILL."""
    return process(name, log, str(BASE_DIR / "manage.py"), *arguments, **environment)


@contextmanager
def process(name: str, log: Path, *arguments: str, **environment: str) -> Iterator[Worker]:
    """Run a Python program beside the block, in the same way."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one thread
        )
    worker = Worker(name, process, log)
    try:
        yield worker
    finally:
        _stop(worker)


def _stop(worker: Worker) -> None:
    worker.ask_to_end()
    if worker.is_running:
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):  # a second Ctrl-C waits no longer
            worker.process.wait(STOP_TIMEOUT)
    if worker.is_running:
        worker.kill()


def ask_all_to_end(workers: Iterable[Worker]) -> None:
    """Send SIGTERM to all, so that none takes over what another gives up."""
    for worker in workers:
        worker.ask_to_end()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def descendants(pid: int) -> set[int]:
    """The ids of all processes below this one."""
    parents = dict(_processes())
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_alive(pid: int) -> bool:
    """Whether the process still runs; one that has ended and was not waited for does not."""
    return pid in dict(_processes())


def wait_until_gone(pids: Iterable[int], timeout: float) -> set[int]:
    """Wait up to `timeout` seconds for processes to end; returns those that did not."""
    deadline = time.monotonic() + timeout
    left = set(pids)
    while left := left & dict(_processes()).keys():
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _processes() -> Iterator[tuple[int, int]]:
    """Each living process with its parent, zombies left out."""
    for line in _process_lines():
        pid, state, parent = line
        if not state.startswith("Z"):
            yield int(pid), int(parent)


def _process_lines() -> Iterator[list[str]]:
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,stat=,ppid="], capture_output=True, text=True, check=True
        )
        yield from (line.split() for line in listed.stdout.splitlines())
        return
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid, rest = folder.name, (folder / "stat").read_text(errors="replace")
            yield [pid, *rest.rpartition(")")[2].split()[:2]]
