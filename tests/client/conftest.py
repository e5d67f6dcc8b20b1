"""The sagas and workers that the client's tests need beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobsaga.clock import ManualClock, use_clock
from jobsaga.engine.events import publish
from jobsaga.messages import StartJob
from tests.client.acts import TYPE
from tests.engine.workers import ScriptedWorker
from tests.engine.world import World
from tests.engine.worlds import database_place


class Site(World):
    """A world that runs the test app's jobs, under a clock that the client follows too."""

    def worker(self, limit: int = 1, types: Any = (TYPE,), **options: Any) -> ScriptedWorker:
        return super().worker(limit, types, **options)

    def start(self) -> tuple[ScriptedWorker, StartJob]:
        """A new worker takes the one job that waits, and starts it."""
        worker = self.worker()
        (start,) = worker.receive()
        worker.started(start)
        self.lap()
        return worker, start


@pytest.fixture
def world() -> Iterator[Site]:
    clock = ManualClock()
    with use_clock(clock):
        yield Site(database_place(clock), publish=publish)
