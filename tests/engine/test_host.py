"""When a saga host does its next lap. What wakes it meanwhile is its listener's business, and tested there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobsaga.engine.engine import PRUNED_AT_ONCE
from jobsaga.engine.host import BUSY_PAUSE, PRUNE_AGAIN_AFTER, PRUNE_EVERY, SWEEP_EVERY, SagaHost
from jobsaga.engine.options import EngineOptions
from jobsaga.ids import uuid7
from jobsaga.messages import SubmitJob
from jobsaga.sagas import JobStates
from tests.engine.world import TYPE, World
from tests.engine.worlds import WITH_ROW_LOCKS


def submit_unseen(world: World, job_type: str = TYPE) -> None:
    """As a client does whose hint gets lost."""
    with world.store.transaction() as tx:
        turn = world.engine.fresh_turn(tx)
        turn.apply(SubmitJob(job_id=uuid7(), job_type=job_type))
        tx.write(turn.finish())


def rested(world: World) -> SagaHost:
    """A host with nothing left to do."""
    host = SagaHost(world.engine, world.clock)
    while host.lap() == 0.0:
        pass
    return host


def test_with_nothing_to_do_it_waits_until_its_sweep(world: World) -> None:
    assert BUSY_PAUSE < rested(world).lap() <= SWEEP_EVERY


def test_it_wakes_when_the_time_of_a_job_has_come(world: World) -> None:
    worker = world.worker(limit=1)
    began = world.clock.now()
    world.submit(start_at=began + timedelta(seconds=0.3))
    host = rested(world)
    pause = host.lap()
    assert pause == pytest.approx(0.3, abs=0.01)
    while pause:  # a float
        world.clock.advance(pause)
        pause = host.lap()
    assert world.clock.now() - began < timedelta(seconds=0.31)
    assert len(worker.receive()) == 1


def test_it_does_not_look_again_for_what_will_wake_it(world: World) -> None:
    """What is committed after its lap wakes it: a second look would cost as much as the first."""
    worker = world.worker(limit=2)
    host = rested(world)
    submit_unseen(world)
    assert host.lap() > 0.0
    assert len(worker.receive()) == 1


def test_after_a_full_batch_the_next_follows_at_once(world: World) -> None:
    world.engine.options = EngineOptions(batch=2)
    worker = world.worker(limit=3)
    world.submit_many(3)
    starts = worker.receive()
    host = rested(world)
    for start in starts:
        worker.started(start)
    assert host.lap() == 0.0
    assert host.lap() > 0.0
    assert {world.job(start.job_id).state for start in starts} == {JobStates.STARTED}


def test_a_job_without_a_hint_is_served_in_a_lap_full_of_reports(world: World) -> None:
    worker = world.worker(limit=1, types=(TYPE, "videos.Cut"))
    world.submit()
    (start,) = worker.receive()
    worker.started(start)
    submit_unseen(world, "videos.Cut")
    world.engine.process()
    assert [each.job_type for each in worker.receive()] == ["videos.Cut"]


@pytest.mark.parametrize("world", WITH_ROW_LOCKS, indirect=True)
def test_a_type_that_another_host_has_is_tried_again_soon(world: World) -> None:
    worker = world.worker()
    host = rested(world)
    submit_unseen(world)
    with world.hold_job_type():
        assert 0.0 < host.lap() <= BUSY_PAUSE
        assert worker.receive() == []
    host.lap()
    assert len(worker.receive()) == 1


def test_it_prunes_again_soon_while_there_is_more_than_one_bite(world: World) -> None:
    """Else more jobs would end than are ever removed: at 500 in ten seconds, from fifty a second on."""
    bites = [PRUNED_AT_ONCE, PRUNED_AT_ONCE + 1, 3, 0]
    world.engine.prune = lambda: bites.pop(0)
    host = rested(world)
    for left in (2, 1):
        world.clock.advance(PRUNE_AGAIN_AFTER)
        host.lap()
        assert len(bites) == left
    world.clock.advance(PRUNE_EVERY - SWEEP_EVERY)
    host.lap()
    assert len(bites) == 1


def test_what_fails_is_tried_again_at_the_next_lap(world: World) -> None:
    host = rested(world)
    lap, world.engine.process = world.engine.process, broken
    assert host.lap() == 0.0
    world.engine.process = lap
    assert host.lap() > 0.0


def broken() -> int:
    raise RuntimeError("out of order")
