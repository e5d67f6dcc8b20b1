"""The worker's processes, and the CPU time that they, the database's server and everybody else use up (Linux).

All processes that descend from the worker carry its mark in their environment, whatever session they are in.
The server's share is counted where it can be told apart: PostgreSQL's processes bear the name of the database
they work for, MariaDB is one process. SQLite works inside the others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

TICK = os.sysconf("SC_CLK_TCK")


class Worker:
    """``manage.py runjobworker`` with its saga host and its children."""

    def __init__(self, log: Path, *options: str) -> None:
        self.log_path, self.mark = log, uuid4().hex
        environment = {**os.environ, "JOBSAGA_BENCH_WORKER": self.mark}
        command = [sys.executable, "-m", "django", "runjobworker", *options]
        with log.open("wb") as file:
            self.process = _start(command, environment, file)

    def log(self) -> str:
        """All that it has printed."""
        return self.log_path.read_text(errors="replace")

    def stop(self) -> int:
        """Ask it to end, and wait; its exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        """End what is left of it, and wait until it is gone."""
        while left := self._processes():
            for entry in left:
                with suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)
            self.process.poll()
            time.sleep(0.05)

    def cpu(self) -> float:
        """Seconds of CPU that its processes have used so far, those that ended before included."""
        return sum(_times(entry, ended_children=True) for entry in self._processes())

    def _processes(self) -> list[Path]:
        mark = f"JOBSAGA_BENCH_WORKER={self.mark}".encode()
        return [entry for entry in _processes() if mark in _read(entry, "environ")]


def _start(command: list[str], environment: dict[str, str], log: IO[Any]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def server_cpu(database: dict[str, Any]) -> float | None:
    """Seconds of CPU that the database's server has used so far for this database; None if that is not known."""
    if "postgresql" in database["ENGINE"]:
        words = (b"postgres:", str(database["NAME"]).encode())
    elif "mysql" in database["ENGINE"]:
        words = (b"mariadbd",)
    else:
        return None
    found = [entry for entry in _processes() if all(word in _read(entry, "cmdline") for word in words)]
    return sum(_times(entry, ended_children=False) for entry in found) if found else None


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU used so far, by the worker, the server and the whole machine."""

    worker: float
    server: float | None
    machine: float

    @classmethod
    def now(cls, worker: Worker, database: dict[str, Any]) -> Cpu:
        return cls(worker.cpu(), server_cpu(database), machine_cpu())


def machine_cpu() -> float:
    """Seconds of CPU that were not idle since the machine was started."""
    first = Path("/proc/stat").read_text().partition("\n")[0]
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, first.split()[1:])
    return (user + nice + system + irq + softirq) / TICK


def _processes() -> Iterator[Path]:
    return Path("/proc").glob("[0-9]*")


def _read(entry: Path, name: str) -> bytes:
    try:
        return (entry / name).read_bytes()
    except OSError:
        return b""


def _times(entry: Path, *, ended_children: bool) -> float:
    fields = _read(entry, "stat").rpartition(b")")[2].split()
    return sum(map(int, fields[11 : 15 if ended_children else 13])) / TICK
