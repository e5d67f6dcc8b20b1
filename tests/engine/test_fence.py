"""The fence: only the current attempt saves the job's state, and an attempt is given up only by moving it."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from jobsaga.conf import settings
from jobsaga.messages import CancelJob, CancelKind, RetryJob, StartJob
from jobsaga.sagas.states import AttemptStates
from jobsaga.store import checkpoint
from tests.engine.workers import ScriptedWorker
from tests.engine.world import World
from tests.engine.worlds import REAL_TIME_ROW_LOCKS, ROW_LOCKS, WITH_ROW_LOCKS, make_world
from tests.processes import wait_for
from tests.threads import in_thread


@pytest.fixture(params=WITH_ROW_LOCKS)
def world(request: pytest.FixtureRequest) -> World:
    return make_world(request.param)


def running(world: World) -> tuple[ScriptedWorker, StartJob]:
    """A worker, and an attempt that runs on it."""
    worker = world.worker()
    world.submit()
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    return worker, start


class TestSaving:
    def test_the_current_attempt_saves(self, world: World) -> None:
        worker, start = running(world)
        assert worker.save(start, {"frame": 1})
        saved = world.checkpoint(start.job_id)
        assert saved is not None
        assert (saved.attempt_id, saved.state, saved.advanced_by) == (
            start.attempt_id, {"frame": 1}, start.attempt_id,
        )  # fmt: skip

    def test_before_it_has_reported_its_start_too(self, world: World) -> None:
        worker = world.worker()
        world.submit()
        (start,) = worker.receive()
        assert worker.save(start, {"frame": 1})

    @pytest.mark.parametrize("how", ["lost", "faulted", "handed over", "canceled by deadline", "retried"])
    def test_an_attempt_that_was_given_up_saves_nothing(self, world: World, how: str) -> None:
        worker, start = running(world)
        assert worker.save(start, {"frame": 1})
        self._give_up(world, worker, start, how)
        assert not worker.save(start, {"frame": "stolen"})
        saved = world.checkpoint(start.job_id)
        assert saved is not None
        assert (saved.state, saved.advanced_by) == ({"frame": 1}, start.attempt_id)

    def _give_up(self, world: World, worker: ScriptedWorker, start: StartJob, how: str) -> None:
        other = world.worker()
        if how == "lost":
            worker.dies()
            world.pass_time(20)
            assert len(other.receive()) == 1
        elif how == "faulted":
            worker.fault(start, retry_delay=0)
            world.lap()
        elif how == "handed over":
            worker.cancel(start, CancelKind.SHUTDOWN)
            world.lap()
        elif how == "canceled by deadline":
            world.say(CancelJob(job_id=start.job_id))
            world.pass_time(41)
            assert world.state(start.job_id) == "Canceled"
        else:
            worker.fault(start)
            world.lap()
            world.command(RetryJob(job_id=start.job_id))

    def test_the_next_attempt_begins_with_what_was_saved_and_saves_itself(self, world: World) -> None:
        worker, start = running(world)
        worker.save(start, {"frame": 1})
        worker.fault(start, retry_delay=0)
        world.lap()
        (again,) = worker.receive()
        assert again.job_state == {"frame": 1}
        assert worker.save(again, {"frame": 2})
        assert not worker.save(start, {"frame": "stolen"})


class TestAZombie:
    """Its worker is gone, but a transaction of it is still open and holds the checkpoint."""

    def test_its_attempt_stays_suspect_and_its_job_is_not_given_to_another(self, world: World) -> None:
        worker, start = running(world)
        other = world.worker()
        with world.hold_checkpoint(start.job_id):
            worker.dies()
            world.pass_time(16.5)
            assert world.attempt(start.attempt_id).state is AttemptStates.SUSPECT
            assert world.state(start.job_id) == "Started"
            assert [each.id for each in world.slots()] == [start.attempt_id]
            assert other.receive() == []
        world.pass_time(3)
        assert world.attempt(start.attempt_id).state is AttemptStates.FAULTED
        (again,) = other.receive()
        assert again.job_id == start.job_id

    def test_what_it_saved_before_its_end_counts(self, world: World) -> None:
        """Its commit came before the fence was moved: the next attempt begins with it."""
        worker, start = running(world)
        other = world.worker()
        with world.hold_checkpoint(start.job_id):
            worker.dies()
            world.pass_time(16)
        assert worker.save(start, {"frame": 99})
        world.pass_time(3)
        (again,) = other.receive()
        assert again.job_state == {"frame": 99}

    def test_a_cancel_waits_for_it(self, world: World) -> None:
        _, start = running(world)
        world.say(CancelJob(job_id=start.job_id))
        with world.hold_checkpoint(start.job_id):
            world.pass_time(41)
            assert world.state(start.job_id) == "CancellationPending"
        world.pass_time(1)
        assert world.state(start.job_id) == "Canceled"

    def test_a_timeout_waits_for_it(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start, job_timeout=1.0, job_cancellation_timeout=1.0)
        world.lap()
        with world.hold_checkpoint(job_id):
            world.pass_time(13)
            assert world.state(job_id) == "Started"
        world.pass_time(1)
        assert world.state(job_id) == "WaitingToRetry"

    @pytest.mark.parametrize("world", ROW_LOCKS, indirect=True)
    def test_a_save_that_waits_for_the_fence_finds_it_moved(self, world: World) -> None:
        """The zombie comes back to life in the very moment in which it is given up."""
        worker, start = running(world)
        begun, saved = Event(), list[bool]()
        with transaction.atomic(using=settings.DATABASE):
            list(world.place.rows("JobCheckpoint").select_for_update().filter(pk=start.job_id))  # type: ignore[attr-defined]

            def save() -> None:
                begun.set()
                saved.append(checkpoint.save(start.job_id, start.attempt_id, "stolen", advanced=True))

            thread = in_thread(save)
            assert begun.wait(10)
            worker.dies()
            world.pass_time(15, step=15)
            assert world.state(start.job_id) == "WaitingToRetry"
        thread.join(10)
        assert saved == [False]


@pytest.mark.parametrize("world", REAL_TIME_ROW_LOCKS, indirect=True)
def test_the_session_of_a_zombie_is_ended_when_its_grace_is_over(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """In real time, with a real session that holds the row, and never comes back by itself."""
    world.engine.options = replace(world.options, zombie_grace=timedelta(seconds=0.5))
    worker, start = running(world)
    saved, ended, errors = Event(), Event(), list[Exception]()

    def zombie() -> None:
        """User code that saves its state in a transaction, and is then stopped for good."""
        try:
            with transaction.atomic(using=settings.DATABASE):
                assert checkpoint.save(start.job_id, start.attempt_id, "half a frame", advanced=True)
                saved.set()
                ended.wait(30)
                with connections[settings.DATABASE].cursor() as cursor:
                    cursor.execute("SELECT 1")
        except Exception as error:  # noqa: BLE001 - asked for below
            errors.append(error)

    thread = in_thread(zombie)
    assert saved.wait(10)
    worker.stops()
    try:
        wait_for(
            lambda: world.sweep() and world.state(start.job_id) != "Started", 20, "the zombie to be given up"
        )
    finally:
        ended.set()
        thread.join(10)
    assert [type(error) for error in errors] == [OperationalError]
    saved_state: Any = world.checkpoint(start.job_id)
    assert (saved_state.state, saved_state.attempt_id) == (None, None), "its transaction was rolled back"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
