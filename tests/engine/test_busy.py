"""Rows that someone else holds: their messages wait, in order, and nobody waits with them."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction

from jobsaga.conf import settings
from jobsaga.ids import uuid7
from jobsaga.messages import (
    AddOrUpdateRecurringJob,
    CancelJob,
    CancelRecurringJob,
    FinalizeJob,
    Message,
    RunJob,
)
from jobsaga.sagas.states import JobTypeStates
from jobsaga.transport.base import SAGA
from jobsaga.transport.database import DatabaseTransport
from tests.engine.places import MemoryPlace
from tests.engine.world import TYPE, World
from tests.engine.worlds import ROW_LOCKS, WITH_ROW_LOCKS, make_world
from tests.threads import in_thread


@pytest.fixture(params=WITH_ROW_LOCKS)
def world(request: pytest.FixtureRequest) -> World:
    return make_world(request.param)


def test_a_message_of_a_busy_job_waits_and_the_others_do_not(world: World) -> None:
    worker = world.worker(limit=2)
    ids = world.submit_many(2)
    first, second = worker.receive()
    with world.hold_job(first.job_id):
        worker.started(first)
        worker.started(second)
        world.lap()
        assert world.state(second.job_id) == "Started"
    world.clock.advance(0.05)
    world.lap()
    assert world.states(ids) == ["Started", "Started"]


def test_later_messages_of_a_busy_job_wait_too(world: World) -> None:
    """Also those that need no row of it: its log stays in order."""
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    with world.hold_job(job_id):
        worker.started(start)
        worker.log(start, "half way")
        worker.progress(start, 0.5)
        worker.complete(start, result="done")
        assert world.lap() == 0
        assert world.arrived() == []
        assert [row.kind for row in world.history(job_id)][-1] != "JobLog"
    world.clock.advance(0.05)
    assert world.lap() == 4
    assert world.path(job_id)[-2:] == ["Started", "Completed"]
    assert world.job(job_id).progress_value == 0.5
    assert "half way" in [row.message for row in world.history(job_id)]
    assert world.dead() == []


def test_a_command_does_not_overtake_what_was_put_off(world: World) -> None:
    """Canceled and added again: it goes on. The other way round it would be canceled."""
    worker = world.worker()
    job_id = uuid7()
    world.command(nightly(job_id, "0 0 3 * * *"))
    world.command(RunJob(job_id=job_id, run=1))
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    with world.hold_job(job_id):
        ask(world, CancelRecurringJob(job_id=job_id))
    ask(world, nightly(job_id, "0 0 4 * * *"))
    assert (world.state(job_id), world.job(job_id).cron) == ("Started", "0 0 3 * * *")
    world.clock.advance(0.05)
    world.lap()
    worker.cancel(start)
    world.lap()
    assert (world.job(job_id).recurring, world.job(job_id).cron) == (True, "0 0 4 * * *")
    assert world.arrived() == []


def nightly(job_id: UUID, cron: str) -> AddOrUpdateRecurringJob:
    return AddOrUpdateRecurringJob(job_id=job_id, name="nightly", job_type=TYPE, cron=cron, time_zone="UTC")


def ask(world: World, message: Message) -> None:
    """As a client does, whatever the transport: through the rows."""
    in_memory = isinstance(world.place, MemoryPlace)
    transport = world.transport if in_memory else DatabaseTransport(clock=world.clock)
    transport.send([(SAGA, message)])
    world.lap()


def test_the_longer_it_is_busy_the_longer_its_messages_wait(world: World) -> None:
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    with world.hold_job(job_id):
        worker.started(start)
        for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2):
            world.lap()
            world.clock.advance(pause - 0.01)
            assert world.arrived() == []
            world.clock.advance(0.01)
    world.lap()
    assert world.state(job_id) == "Started"


@pytest.mark.parametrize("world", ROW_LOCKS, indirect=True)
def test_an_attempt_that_is_held_makes_its_job_busy(world: World) -> None:
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    with world.place.hold("attempt", start.attempt_id):
        worker.started(start)
        world.lap()
    assert world.state(job_id) == "StartingJobAttempt"
    world.clock.advance(0.05)
    world.lap()
    assert world.state(job_id) == "Started"


def test_a_waiting_job_that_is_held_is_passed_over_for_a_moment(world: World) -> None:
    first, second = world.submit_many(2)
    with world.hold_job(first):
        worker = world.worker()
        (start,) = worker.receive()
        assert start.job_id == second
    worker.complete(start)
    world.lap()
    assert world.state(first) == "StartingJobAttempt"


class TestABusyJobType:
    """Another saga host gives out its slots just now."""

    def test_its_jobs_get_their_slots_a_moment_later(self, world: World) -> None:
        worker = world.worker()
        with world.hold_job_type():
            job_id = world.submit()
            assert world.state(job_id) == "WaitingForSlot"
            assert world.engine.to_do == {TYPE}, "the host comes back soon"
        world.lap()
        assert world.state(job_id) == "StartingJobAttempt"
        assert len(worker.receive()) == 1

    def test_reports_are_handled_all_the_same(self, world: World) -> None:
        """To free a slot is always safe, and needs no lock on the type."""
        worker = world.worker()
        first, second = world.submit_many(2)
        (start,) = worker.receive()
        worker.started(start)
        with world.hold_job_type():
            worker.complete(start)
            world.lap()
            assert world.states([first, second]) == ["Completed", "WaitingForSlot"]
            assert world.slots() == []
        world.lap()
        assert world.state(second) == "StartingJobAttempt"

    def test_an_announcement_waits_for_it_without_a_rush(self, world: World) -> None:
        world.worker().stops()
        job_id = world.submit()
        with world.hold_job_type():
            worker = world.worker()
            assert world.engine.process() == 0, "it was put off, not sent again at once"
        assert worker.receive() == []
        world.clock.advance(0.05)
        world.lap()
        assert [start.job_id for start in worker.receive()] == [job_id]

    def test_it_rests_although_it_missed_its_last_release(self, world: World) -> None:
        worker = world.worker()
        world.submit()
        (start,) = worker.receive()
        assert self._state(world) is JobTypeStates.ACTIVE
        with world.hold_job_type():
            worker.complete(start)
            world.lap()
        world.lap()
        assert self._state(world) is JobTypeStates.IDLE

    def _state(self, world: World) -> JobTypeStates:
        with world.store.transaction() as tx:
            return tx.job_types([TYPE], world.clock.now()).rows[TYPE].state


class TestAHeldCheckpoint:
    """The job's own transaction has saved its state, and is still open."""

    def test_reports_do_not_wait_for_it(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        with world.hold_checkpoint(job_id):
            worker.started(start)
            worker.fault(start, retry_delay=60)
            world.lap()
            assert world.state(job_id) == "WaitingToRetry"

    def test_a_retry_waits_for_it(self, world: World) -> None:
        """The next attempt is given the state that is saved by then."""
        worker = world.worker(limit=2)
        job_id = world.submit()
        (start,) = worker.receive()
        with world.hold_checkpoint(job_id):
            worker.started(start)
            worker.fault(start, retry_delay=0)
            world.lap()
            assert world.state(job_id) == "WaitingForSlot"
        world.lap()
        assert world.state(job_id) == "StartingJobAttempt"

    def test_a_job_behind_it_is_not_held_up(self, world: World) -> None:
        worker = world.worker()
        first, second = world.submit_many(2)
        (start,) = worker.receive()
        with world.hold_checkpoint(first):
            worker.fault(start, retry_delay=0)
            world.lap()
            assert world.states([first, second]) == ["WaitingForSlot", "StartingJobAttempt"]

    def test_a_finalization_waits_for_it(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.complete(start)
        world.lap()
        with world.hold_checkpoint(job_id):
            world.say(FinalizeJob(job_id=job_id))
            assert world.exists(job_id)
        world.clock.advance(0.05)
        world.lap()
        assert not world.exists(job_id)
        assert world.attempts(job_id) == []

    def test_a_clients_finalization_is_left_to_the_saga_hosts(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.complete(start)
        world.lap()
        with world.hold_checkpoint(job_id):
            world.command(FinalizeJob(job_id=job_id))
            assert world.exists(job_id)
        world.clock.advance(0.05)
        world.lap()
        assert not world.exists(job_id)


@pytest.mark.parametrize("world", ROW_LOCKS, indirect=True)
def test_a_client_that_holds_its_job_delays_nobody_else(world: World) -> None:
    """A web request cancels a waiting job and takes its time to commit."""
    worker = world.worker(limit=1)
    running, waiting, behind = world.submit_many(3)
    (start,) = worker.receive()
    with transaction.atomic(using=settings.DATABASE):
        with world.store.transaction() as tx:
            world.engine.execute(tx, CancelJob(job_id=waiting))

        def host() -> None:
            worker.complete(start)
            world.another_engine().process()

        thread = in_thread(host)
        thread.join(10)
        assert not thread.is_alive()
    assert world.states([running, waiting, behind]) == ["Completed", "Canceled", "StartingJobAttempt"]
