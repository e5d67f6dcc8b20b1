"""Executors for tests: one set of children for all tests of a module, or children that see the test's database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections

from jobsaga.worker.children import ChildProcesses
from jobsaga.worker.executor import Executor
from jobsaga.worker.inline import InlineExecutor
from tests.worker.driving import TYPES, Driver

PROPERTIES = {"zone": "b"}


@pytest.fixture(scope="module")
def children() -> Iterator[ChildProcesses]:
    executor = ChildProcesses(instance_properties=PROPERTIES, label="test")
    yield executor
    executor.close()


@pytest.fixture(params=TYPES)
def anywhere(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Wherever a job can run."""
    inline = request.param.startswith("inline")
    connections.close_all()  # a test before this one may have left some; an inline executor looks after them
    executor: Executor = (
        InlineExecutor(instance_properties=PROPERTIES) if inline else request.getfixturevalue("children")
    )
    driver = Driver(executor, request.param)
    yield driver
    executor.kill_all()
    driver.poll_until(lambda: not executor.running())


@pytest.fixture(params=["process", "thread", "task"])
def in_child(request: pytest.FixtureRequest, children: ChildProcesses) -> Iterator[Driver]:
    """In any kind of child."""
    driver = Driver(children, request.param)
    yield driver
    children.kill_all()


@pytest.fixture
def in_process(children: ChildProcesses) -> Iterator[Driver]:
    """In a process child."""
    yield Driver(children, "process")
    children.kill_all()
