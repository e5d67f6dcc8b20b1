"""Real processes for tests: workers that are started, stopped, killed, and always cleaned up.

A ``Site`` stands for one deployment. Its processes use the test database of the test that made it, so what a
worker writes the test reads with the ORM, and the other way round. Each process leads a session of its own
and carries the site's mark in its environment, and one of its own; by these marks every descendant is found,
whatever session it moved to, and ended with the site.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

from django.conf import settings as django_settings
from django.db import connections

from tests import brokers
from tests.databases import url_for

ROOT = Path(__file__).resolve().parent.parent
Seen = TypeVar("Seen")


def wait_for(predicate: Callable[[], Seen], timeout: float = 20, what: str = "") -> Seen:
    """Call ``predicate`` until it answers something true, and return that; fail after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        seen = predicate()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what or predicate}, last saw {seen!r}")
        time.sleep(0.02)


@dataclass
class Worker:
    """A process that a ``Site`` started: ``process`` is the Popen, ``log`` the path of all it printed."""

    process: subprocess.Popen[bytes]
    log_path: Path
    mark: str

    @property
    def pid(self) -> int:
        """Its process id, which is its session's and process group's too."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Has it not ended yet?"""
        return self.process.poll() is None

    def log(self) -> str:
        """All that it and its children have printed so far."""
        return self.log_path.read_text(errors="replace")

    def tree(self) -> set[int]:
        """The ids of all its living processes, itself and those in other sessions included (Linux only)."""
        return _marked(self.mark)

    def find(self, name: str) -> int | None:
        """The id of its process with this name; None if there is none."""
        found = (pid for pid in self.tree() if name == _file(pid, "comm").decode().strip())
        return next(found, None)


@dataclass
class Site:
    """A deployment on the test's database. ``jobsaga`` is laid over its JOBSAGA settings.

    Where the tests run on RabbitMQ it has queues of its own there, and its sagas are in processes of their own.
    """

    directory: Path
    jobsaga: dict[str, Any] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    #: The saga host beside the workers, where the tests run on RabbitMQ.
    host: Worker | None = None
    mark: str = field(default_factory=lambda: uuid4().hex)
    root: Path = ROOT
    command: tuple[str, ...] = (sys.executable, "-m", "django")

    def __post_init__(self) -> None:
        if brokers.IS_CHOSEN:
            self.jobsaga.setdefault("TRANSPORT", brokers.transport_url())

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of the site's processes: this one's, the test database and the site's mark."""
        databases = {alias: url_for(connections[alias].settings_dict) for alias in connections}
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "JOBSAGA_TEST_DATABASE": databases[django_settings.JOBSAGA["DATABASE"]],
            "JOBSAGA_TEST_SETTINGS": json.dumps(self.jobsaga),
            "JOBSAGA_TEST_SITE": self.mark,
            "PYTHONFAULTHANDLER": "1",
            "PYTHONUNBUFFERED": "1",
        }
        if len(databases) > 1:
            environment["JOBSAGA_TEST_DEFAULT_DATABASE"] = databases["default"]
        return {**environment, **extra}

    def manage(self, *args: str, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end. A failure shows what it printed, unless ``check`` is false."""
        done = subprocess.run(
            [*self.command, *args],
            cwd=self.root,
            env=self.environment(),
            timeout=timeout,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{args} gave {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self, *args: str, **environment: str) -> Worker:
        """Start a management command in a session of its own and return at once."""
        self.workers.append(self._start(str(len(self.workers)), *args, **environment))
        return self.workers[-1]

    def _start(self, name: str, *args: str, **environment: str) -> Worker:
        log_path = self.directory / f"{name}-{args[0]}.log"
        mark = f"JOBSAGA_TEST_WORKER={self.mark}-{name}."
        key, _, value = mark.partition("=")
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [*self.command, *args],
                cwd=self.root,
                env=self.environment(**environment, **{key: value}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Worker(process, log_path, mark)

    def worker(self, *args: str, **environment: str) -> Worker:
        """Start ``manage.py runjobworker`` with these arguments. On RabbitMQ it has the jobs only, and there is
        one saga host for all workers; unless the arguments say what it has.
        """
        if brokers.IS_CHOSEN and not {"--sagas-only", "--jobs-only"} & set(args):
            self.host = self.host or self._start("host", "runjobworker", "--sagas-only", **environment)
            args = (*args, "--jobs-only")
        return self.start("runjobworker", *args, **environment)

    def stop(self, worker: Worker, timeout: float = 30) -> int:
        """Ask it to end, as a service manager does (SIGTERM), and return its exit code."""
        worker.process.terminate()
        try:
            return worker.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {timeout} s after SIGTERM:\n{worker.log()}") from None

    def kill9(self, worker: Worker) -> None:
        """Kill its whole process group, as a crash would, and wait until it is gone."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.process.wait(10)

    def kill_tree(self, worker: Worker) -> None:
        """Kill it with all its descendants, as if its machine were gone, and wait until they are."""
        while tree := worker.tree():
            for pid in tree:
                _signal(pid, signal.SIGKILL)
        worker.process.wait(10)

    def freeze(self, worker: Worker) -> None:
        """Stop it with all its descendants, as a suspended machine would."""
        stopped: set[int] = set()
        while running := worker.tree() - stopped:
            for pid in running:
                _signal(pid, signal.SIGSTOP)
            stopped |= running

    def thaw(self, worker: Worker) -> None:
        """Let a frozen worker go on."""
        for pid in worker.tree():
            _signal(pid, signal.SIGCONT)

    def pause(self, worker: Worker) -> None:
        """Freeze its whole process group, as a suspended machine would."""
        os.killpg(worker.pid, signal.SIGSTOP)

    def resume(self, worker: Worker) -> None:
        """Let a frozen process group go on."""
        os.killpg(worker.pid, signal.SIGCONT)

    def processes(self) -> set[int]:
        """The ids of all living processes of this site, children in other sessions included (Linux only)."""
        return _marked(f"JOBSAGA_TEST_SITE={self.mark}")

    def wait_for(self, predicate: Callable[[], Seen], timeout: float = 20, what: str = "") -> Seen:
        """``wait_for``, which tells what the processes printed when it fails."""
        try:
            return wait_for(predicate, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def log(self) -> str:
        """All that the site's processes have printed so far, process by process."""
        return "\n".join(f"--- {each.log_path.name}\n{each.log()}" for each in self.all)

    @property
    def all(self) -> list[Worker]:
        """Its workers, and the saga host that was started for them."""
        return [*([self.host] if self.host else []), *self.workers]

    def close(self) -> None:
        """End everything that is left, at once, and wait until it is gone."""
        for worker in self.all:
            if worker.alive:
                self.kill9(worker)
        for pid in self.processes():
            _signal(pid, signal.SIGKILL)
        wait_for(lambda: not self.processes(), 10, "the site's processes to be gone")
        if str(self.jobsaga.get("TRANSPORT", "")).startswith("amqp"):
            brokers.clean_up(self.jobsaga["TRANSPORT"], _instances())


def _instances() -> list[UUID]:
    from jobsaga.models import JobInstance

    return list(JobInstance.objects.using(django_settings.JOBSAGA["DATABASE"]).values_list("id", flat=True))


def _marked(mark: str) -> set[int]:
    """All living processes with this in what they were started with; a zombie shows nothing."""
    pids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return {pid for pid in pids if mark.encode() in _file(pid, "environ")}


def _file(pid: int, name: str) -> bytes:
    """What /proc tells of a process; nothing when it is gone, a zombie, or someone else's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
