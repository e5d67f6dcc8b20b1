"""Children for the tests of limits and logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from jobsaga.worker.children import ChildProcesses
from jobsaga.worker.inline import InlineExecutor
from tests.client.conftest import world  # noqa: F401 - a fixture
from tests.faults.conftest import (
    ledger,  # noqa: F401 - a fixture
    quick,  # noqa: F401 - a fixture
)
from tests.worker.driving import Driver, start_job

KINDS = {"process": "jobsapp.Hour", "thread": "jobsapp.HourInThread", "task": "jobsapp.HourInTask"}


class HourDriver(Driver):
    """Starts the jobs of ``jobs.hours``."""

    def start(self, what: str = "nothing", *, fields: dict[str, Any] | None = None, **args: Any) -> UUID:
        """Start an attempt that does ``what``; its id."""
        start = start_job(KINDS.get(self.kind, self.kind), what, fields=fields, **args)
        self.executor.start(start)
        return start.attempt_id


def inline(kind: str) -> HourDriver:
    """A driver of jobs in this very process."""
    connections.close_all()  # a test before this one may have left some; an inline executor looks after them
    return HourDriver(InlineExecutor(), kind)


@pytest.fixture(scope="module")
def children() -> Iterator[ChildProcesses]:
    executor = ChildProcesses(label="test")
    yield executor
    executor.close()


@pytest.fixture
def drive(children: ChildProcesses) -> Iterator[Callable[[str], HourDriver]]:
    """Makes drivers for a kind of job, or a type's name."""
    yield lambda kind: HourDriver(children, kind)
    children.kill_all()


@pytest.fixture
def drive_with_database(transactional_db: None) -> Iterator[Callable[[str], HourDriver]]:
    """The same, with children that use the test's database."""
    executor = ChildProcesses(label="test")
    yield lambda kind: HourDriver(executor, kind)
    executor.close()
