"""What is nobody's fault raises, and nothing is lost: the same lap, done again, succeeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.db import OperationalError

from jobsaga.clock import ManualClock
from jobsaga.store.django import DjangoTransaction
from jobsaga.transport.base import Delivery
from tests import brokers
from tests.engine.world import World
from tests.engine.worlds import COMMITTED, DATABASE, ROW_LOCKS
from tests.store.test_database import end_session

#: A transport that lives elsewhere is told after the commit.
INSIDE = ["receive", "lock", "write"]
AFTER_IT = ["ack", "send"]
STEPS = [*INSIDE, *([] if brokers.IS_CHOSEN else AFTER_IT)]


class Away(OperationalError):
    """The database is away."""


@contextmanager
def failing_at(world: World, step: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything up to this step of a lap succeeds."""

    def fail(*_: Any, **__: Any) -> Any:
        raise Away

    targets: dict[str, tuple[Any, str]] = {
        "receive": (world.transport, "receive"),
        "lock": (DjangoTransaction, "attempts"),
        "write": (DjangoTransaction, "write"),
        "ack": (world.transport, "ack"),
        "send": (world.transport, "send"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*targets[step], fail)
        yield


@pytest.mark.parametrize("world", DATABASE, indirect=True)
@pytest.mark.parametrize("step", STEPS)
def test_a_lap_that_fails_at_any_step_is_done_again_as_a_whole(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = world.worker(limit=2)
    first, second, third = world.submit_many(3)
    starts = worker.receive()
    for start in starts:
        worker.started(start)
        worker.complete(start)
    before = [world.job(each) for each in (first, second, third)]
    world.events.clear()
    with failing_at(world, step, monkeypatch), pytest.raises(Away):
        world.engine.process()
    assert [world.job(each) for each in (first, second, third)] == before
    assert len(world.arrived()) == 4
    assert (world.told(worker), world.dead(), world.events) == ([], [], [])
    world.lap()
    assert world.states([first, second, third]) == ["Completed", "Completed", "StartingJobAttempt"]
    assert len(world.told(worker)) == 1
    assert [event.name for event in world.events] == ["JobStarted", "JobCompleted"] * 2


@pytest.mark.rabbitmq
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", AFTER_IT)
def test_what_was_committed_stays_when_the_broker_cannot_be_told(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same messages come again, and change nothing; a start that was not sent is made good after its time."""
    from tests.engine.rabbit_place import RabbitPlace

    world = World(RabbitPlace(ManualClock()))
    worker = world.worker(limit=2)
    ids = world.submit_many(3)
    for start in worker.receive():
        worker.started(start)
        worker.complete(start)
    with failing_at(world, step, monkeypatch), pytest.raises(Away):
        world.engine.process()
    done = ["Completed", "Completed", "StartingJobAttempt"]
    assert world.states(ids) == done
    ends = world.job(ids[0]).version, world.job(ids[1]).version
    world.lap()
    assert world.states(ids) == done
    assert (world.job(ids[0]).version, world.job(ids[1]).version) == ends
    assert len(world.told(worker)) == (0 if step == "send" else 1)
    world.pass_time(20)
    (start, *_) = reversed(worker.receive())
    worker.started(start)
    worker.complete(start)
    world.lap()
    assert world.states(ids) == ["Completed"] * 3
    assert world.dead() == []


@pytest.mark.parametrize("world", DATABASE, indirect=True)
@pytest.mark.parametrize("step", sorted({"lock", "write", "send"} & set(STEPS)))
def test_a_sweep_that_fails_is_done_again(world: World, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    worker.fault(start, retry_delay=5)
    world.lap()
    world.clock.advance(5)
    worker.beat()
    with failing_at(world, step, monkeypatch), pytest.raises(Away):
        world.engine.sweep()
    assert world.state(job_id) == "WaitingToRetry"
    world.sweep()
    assert len(worker.receive()) == 1
    assert world.dead() == []


@pytest.mark.parametrize("world", COMMITTED, indirect=True)
@pytest.mark.postgresql
@pytest.mark.mariadb
def test_a_session_that_is_ended_in_the_middle_of_a_lap(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = world.worker()
    first, second = world.submit_many(2)
    (start,) = worker.receive()
    worker.started(start)
    worker.complete(start)
    receive = world.transport.receive

    def receive_and_lose(endpoint: str, limit: int) -> list[Delivery]:
        deliveries = receive(endpoint, limit)
        end_session(world.place.alias)  # type: ignore[attr-defined]
        return deliveries

    with monkeypatch.context() as patch:
        patch.setattr(world.transport, "receive", receive_and_lose)
        with pytest.raises(OperationalError) as raised:
            world.engine.process()
    assert world.store.is_transient(raised.value)
    world.store.refresh()
    assert world.states([first, second]) == ["StartingJobAttempt", "WaitingForSlot"]
    world.lap()
    assert world.states([first, second]) == ["Completed", "StartingJobAttempt"]
    assert world.dead() == []


@pytest.mark.parametrize("world", ROW_LOCKS, indirect=True)
def test_a_lap_waits_for_no_lock_of_someone_elses_code(world: World) -> None:
    """Every row of a job is held by others: the lap goes by, at once."""
    worker = world.worker(limit=3)
    ids = world.submit_many(3)
    starts = worker.receive()
    held: list[Callable[[], Any]] = [
        lambda: world.hold_job(ids[0]),
        lambda: world.place.hold("attempt", starts[1].attempt_id),
        lambda: world.hold_checkpoint(ids[2]),
    ]
    with ExitStack() as stack:
        for hold in held:
            stack.enter_context(hold())
        for start in starts:
            worker.started(start)
            worker.fault(start, retry_delay=0)
        world.engine.process()
        world.engine.sweep()
    world.clock.advance(1)
    world.lap()
    assert world.states(ids) == ["StartingJobAttempt"] * 3
