"""Real worker processes for scenarios, and the check of the invariants when a scenario is over."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from jobsaga.models import JobInstance
from jobsaga.models.workers import InstanceState
from tests.conformance.invariants import problems
from tests.conformance.surfaces import ALIAS, Diary, state
from tests.processes import Site, Worker

Seen = TypeVar("Seen")

#: A worker counts as lost after 3 seconds instead of 15.
QUICK: dict[str, Any] = {"HEARTBEAT_INTERVAL": 0.5, "HEARTBEAT_TIMEOUT": 3, "SUSPECT_JOB_RETRY_DELAY": 0.1}
ERRORS = (" ERROR ", " CRITICAL ", "Traceback (most recent call last)")
#: What the log tells of a job's own fault, with its traceback: that is the scenario's.
FAULT = re.compile(
    r"^[^\n]* jobsaga\.worker: Job \S+ faulted\b.*?(?=^\d{4}-\d\d-\d\d |\Z)", re.MULTILINE | re.DOTALL
)


@dataclass
class Deployment:
    """A site with a diary. Jobs wait for files in its directory, and a test makes the files."""

    site: Site
    diary: Diary
    directory: Path
    #: Texts in error lines of the log that belong to the scenario.
    expected_errors: list[str] = field(default_factory=list)
    _files: int = 0
    _read: dict[Path, int] = field(default_factory=dict)

    def worker(self, *args: str, ready: int = 1) -> Worker:
        """Start a worker and wait until so many are ready."""
        worker = self.site.worker(*args)
        self.wait_for(lambda: len(living()) == ready, what=f"{ready} workers")
        return worker

    def vanish(self, worker: Worker) -> None:
        """End all its processes as if its machine were gone: none sees another end, and says so."""
        self.site.freeze(worker)
        self.site.kill_tree(worker)

    def sign(self) -> Path:
        """A file that is not there yet, for jobs to wait for; ``touch`` it to let them go on."""
        self._files += 1
        return self.directory / f"sign-{self._files}"

    def wait_for(self, predicate: Callable[[], Seen], timeout: float = 20, what: str = "") -> Seen:
        return self.site.wait_for(predicate, timeout, what)

    def reaches(self, job_id: UUID, wanted: str, timeout: float = 20) -> None:
        """Wait until the job is in this state."""
        self.wait_for(lambda: state(job_id) == wanted, timeout, f"{wanted}; job {job_id} is {state(job_id)}")

    def begins(self, job_id: UUID, times: int = 1, timeout: float = 20) -> None:
        """Wait until so many attempts of the job have come to its handler."""
        begun = lambda: len(self.diary.begins(job_id)) >= times  # noqa: E731
        self.wait_for(begun, timeout, f"attempt {times} of job {job_id}")

    def check(self) -> None:
        """All is quiet soon, and in order; no error was logged since the last check."""
        try:
            self.site.wait_for(lambda: not problems(), 10, "everything to be in order")
        except AssertionError:
            assert problems() == [], self.site.log()
        assert self.errors() == []

    def errors(self) -> list[str]:
        """New error lines of the logs that no scenario has announced, and that are no faults of its jobs."""
        found = []
        for worker in self.site.all:
            log = worker.log()
            new, self._read[worker.log_path] = log[self._read.get(worker.log_path, 0) :], len(log)
            lines = FAULT.sub("", new).splitlines()
            found += [line for line in lines if any(mark in line for mark in ERRORS)]
        return [line for line in found if not any(text in line for text in self.expected_errors)]


def living() -> list[JobInstance]:
    """The worker instances that are registered, running, and have announced their types."""
    rows = JobInstance.objects.using(ALIAS).filter(state=InstanceState.RUNNING, job_types__isnull=False)
    return list(rows.distinct())
