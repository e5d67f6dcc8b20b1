"""How many statements it takes: as many for a hundred jobs as for five."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.apps import apps
from django.db import connections
from django.test.utils import CaptureQueriesContext

from jobsaga import submit_job, submit_jobs
from jobsaga.conf import settings
from jobsaga.messages import StartJob
from tests.engine.workers import ScriptedWorker
from tests.engine.world import World
from tests.engine.worlds import COMMITTED, make_world
from tests.jobsapp.jobs.acting import ActInProcess

NOT_DATA = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET ", "SELECT pg_notify")


@pytest.fixture(params=COMMITTED)
def world(request: pytest.FixtureRequest) -> World:
    return make_world(request.param)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements on rows that are executed in the block."""
    statements: list[str] = []
    with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
        yield statements
    statements += [
        query["sql"] for query in queries.captured_queries if not query["sql"].startswith(NOT_DATA)
    ]


def another(world: World) -> World:
    """The same world, with nothing in it yet."""
    for model in apps.get_app_config("jobsaga").get_models():
        model._default_manager.using(settings.DATABASE).all().delete()
    return make_world("database")


def lap_after(world: World, count: int, say: Callable[[ScriptedWorker, StartJob], None]) -> list[str]:
    """The statements of one lap over what *count* attempts say, with as many jobs waiting for their slots."""
    worker = world.worker(limit=count)
    world.submit_many(2 * count)
    for start in worker.receive():
        say(worker, start)
    with counted() as statements:
        assert world.engine.process() >= count
    assert world.dead() == []
    return statements


def started_and_completed(worker: ScriptedWorker, start: StartJob) -> None:
    worker.started(start)
    worker.complete(start, result={"n": 1})


def completed_only(worker: ScriptedWorker, start: StartJob) -> None:
    worker.complete(start)


def failed(worker: ScriptedWorker, start: StartJob) -> None:
    worker.started(start)
    worker.fault(start, retry_delay=0)


def progress_and_log(worker: ScriptedWorker, start: StartJob) -> None:
    worker.progress(start, 0.5)
    worker.log(start, "a line")


@pytest.mark.parametrize(
    ("say", "at_most"),
    [(started_and_completed, 16), (completed_only, 16), (failed, 16), (progress_and_log, 10)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_batch_takes_as_many_statements_for_a_hundred_jobs_as_for_five(
    world: World, say: Callable[[ScriptedWorker, StartJob], None], at_most: int
) -> None:
    few, many = lap_after(world, 5, say), lap_after(another(world), 100, say)
    assert len(many) <= len(few) <= at_most, "\n".join(few)


def test_a_lap_without_work(world: World) -> None:
    world.worker()
    with counted() as statements:
        assert world.engine.process() == 0
    assert len(statements) <= 3, "\n".join(statements)


def sweep_over(world: World, count: int) -> list[str]:
    """A sweep that finds *count* retries due, *count* attempts lost, and as many that were not taken."""
    worker = world.worker(limit=3 * count)
    world.submit_many(3 * count)
    starts = worker.receive()
    for start in starts[:count]:
        worker.started(start)
        worker.fault(start, retry_delay=15)
    for start in starts[count : 2 * count]:
        worker.started(start)
    world.lap()
    worker.dies()
    world.clock.advance(15)
    with counted() as statements:
        world.engine.sweep()
    return statements


def test_a_sweep_takes_as_many_statements_for_a_hundred_jobs_as_for_five(world: World) -> None:
    few, many = sweep_over(world, 5), sweep_over(another(world), 100)
    assert len(many) <= len(few) <= 25, "\n".join(few)


def test_a_sweep_that_finds_nothing(world: World) -> None:
    worker = world.worker(limit=50)
    world.submit_many(100)
    for start in worker.receive():
        worker.started(start)
    world.lap()
    with counted() as statements:
        assert world.engine.sweep() == 0
    assert len(statements) <= 8, "\n".join(statements)


def test_to_submit_a_job(world: World) -> None:
    with counted() as statements:
        submit_job(ActInProcess("give"))
    assert len(statements) <= 4, "\n".join(statements)


def test_to_submit_a_thousand_jobs(world: World) -> None:
    with counted() as statements:
        ids = submit_jobs([ActInProcess("give")] * 1000)
    assert len(set(ids)) == 1000
    assert len(statements) <= 4, "\n".join(statements)
    assert set(world.states(ids)) == {"WaitingForSlot"}


def test_to_take_a_hundred_starts(world: World) -> None:
    worker = world.worker(limit=100)
    world.submit_many(100)
    with counted() as statements:
        assert len(worker.receive()) == 100
    assert len(statements) <= 4, "\n".join(statements)
