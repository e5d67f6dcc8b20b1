"""What a broker adds to the contract: bodies of strangers, dead letters, queues that are not there, forks."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pika
import pytest

from jobsaga.clock import ManualClock
from jobsaga.ids import uuid7
from jobsaga.messages import CancelJob, decode, encode
from jobsaga.models import DeadLetter, TransportMessage
from jobsaga.transport.base import SAGA, backoff
from jobsaga.transport.rabbitmq.queues import DEAD, DELIVERY_LIMIT
from jobsaga.transport.rabbitmq.transport import SETTLING
from tests.engine.rabbit_place import RabbitPlace, close_all
from tests.engine.world import World
from tests.processes import wait_for
from tests.transport.contract import note
from tests.transport.settled import SettledTransport

pytestmark = [pytest.mark.rabbitmq, pytest.mark.django_db(transaction=True)]


#: It would call os.system.
PICKLE = (
    b"\x80\x04\x95\x1d"
    + bytes(7)
    + b"\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."
)


@pytest.fixture
def world() -> Iterator[World]:
    yield World(RabbitPlace(ManualClock()))
    close_all()


@pytest.fixture
def channel(world: World) -> Iterator[Any]:
    """A stranger at the same broker."""
    with pika.BlockingConnection(world.place.transport.address.parameters) as connection:  # type: ignore[attr-defined]
        yield connection.channel()


def throw_in(world: World, channel: Any, *bodies: bytes) -> None:
    """A stranger puts these into the sagas' queue, and all has arrived."""
    transport: Any = world.transport
    for body in bodies:
        channel.basic_publish("", transport.address.queues.name(SAGA), body)
    transport.sent[SAGA] += len(bodies)


def letters() -> list[DeadLetter]:
    return list(DeadLetter.objects.order_by("id"))


def garbage(seed: int) -> Iterator[bytes]:
    """Bodies that are no message, of many kinds."""
    chance = random.Random(seed)
    good = encode(CancelJob(job_id=uuid7(), reason="good")).encode()
    yield from (
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"1e999",
        b"\x80\x04\x95",
        b"\xff\xfe{}",
        b"{" * 100_000,
    )
    yield from (b"[" * 100_000, b'{"a":' * 20_000 + b"1" + b"}" * 20_000, b'{"type":"Format"}')
    yield PICKLE
    yield good.replace(b'"CancelJob"', b'"CancelJobV9"')
    yield good.replace(b'"good"', b"5")
    yield good.replace(b'"good"', b'"\xed\xa0\x80"')
    for _ in range(200):
        yield chance.randbytes(chance.randrange(1, 300))
    for _ in range(100):
        cut = chance.randrange(1, len(good) - 1)
        yield good[:cut] + bytes([chance.choice(b'\x00\xff"{')]) * 2


@pytest.mark.parametrize("seed", [1])
def test_bodies_of_strangers_become_dead_letters_and_harm_nobody(
    world: World, channel: Any, seed: int
) -> None:
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    bodies = list(garbage(seed))
    throw_in(world, channel, *bodies[: len(bodies) // 2])
    worker.started(start)
    throw_in(world, channel, *bodies[len(bodies) // 2 :])
    worker.complete(start)
    world.lap()
    assert world.state(job_id) == "Completed"
    assert len(letters()) == len(bodies)
    assert all(letter.reason for letter in letters())
    assert world.transport.take(SAGA, 10) == []


def test_a_body_of_ten_megabytes_is_a_dead_letter_of_its_beginning(world: World, channel: Any) -> None:
    job_id = world.submit()
    throw_in(world, channel, b'{"type":"CancelJob"' + b" " * 10 * 1024 * 1024)
    world.say(CancelJob(job_id=job_id))
    (letter,) = letters()
    assert "10485779 bytes" in letter.reason
    assert letter.body.startswith('{"type":"CancelJob"')
    assert len(letter.body) == 10_000
    assert world.state(job_id) == "Canceled"


def test_what_rabbitmq_has_given_up_can_be_read(world: World, channel: Any) -> None:
    """Each saga host that had it has died of it."""
    transport: Any = world.transport
    transport.send([(SAGA, note("it killed them all"))])
    transport.close()
    queue, dead = (transport.address.queues.name(each) for each in (SAGA, DEAD))
    handed_out = 0
    while not channel.queue_declare(dead, passive=True).method.message_count:
        method, _, _ = channel.basic_get(queue)
        if method is not None:
            handed_out += 1
            channel.basic_nack(method.delivery_tag, requeue=True)
    assert DELIVERY_LIMIT <= handed_out <= DELIVERY_LIMIT + 1, "its first host counts too"
    transport.sent.clear()
    transport.sent[DEAD] = 1
    transport.settle(DEAD)
    world.lap()
    (letter,) = letters()
    assert "delivery_limit" in letter.reason
    assert decode(letter.body, "saga").reason == "it killed them all"
    assert channel.queue_declare(dead, passive=True).method.message_count == 0


def test_a_start_whose_worker_cannot_be_reached_goes_to_another_at_once(world: World) -> None:
    """Its queue is gone, and its lease is not over yet. Nothing is waited for, and no retry is spent."""
    transport: Any = world.transport
    world.worker()
    gone = world.workers[0]
    transport.declares_for_others = False
    job_id = world.submit()
    wait_for(lambda: transport.here.unreachable, what="the start to come back")
    transport.declares_for_others = True
    here = world.worker()
    first, second = world.attempts(job_id)
    assert (first.instance_id, first.outcome, first.holds_slot) == (gone.id, "NotStarted", False)
    assert second.instance_id == here.id
    job = world.job(job_id)
    assert (job.retry_attempt, job.suspect_retries, job.policy_retries) == (0, 0, 0)


def test_while_the_broker_is_away_no_slot_is_given(world: World) -> None:
    worker = world.worker()
    transport: Any = world.transport
    transport.here.link.is_blocked = True
    job_id = world.submit()
    assert world.state(job_id) == "WaitingForSlot"
    assert world.engine.to_do == set()
    transport.here.link.is_blocked = False
    world.lap()
    assert len(worker.receive()) == 1


def test_a_message_that_waits_long_is_moved_to_the_rows(world: World) -> None:
    """There it takes no place among those that are not acknowledged, and any host finds it."""
    transport: Any = world.transport
    transport.send([(SAGA, note("waits")), (SAGA, note("passes"))])
    for tries in range(6):
        with world.store.transaction():
            waiting = [each for each in transport.receive(SAGA, 10) if "waits" in each.body]
        assert [each.tries for each in waiting] == [tries]
        transport.defer(waiting)
        world.clock.advance(backoff(tries))
    (row,) = TransportMessage.objects.all()
    assert (row.endpoint, row.tries) == (SAGA, 6)
    assert len(transport.here.inbox(SAGA)) == 1
    with world.store.transaction():
        again = transport.receive(SAGA, 10)
    assert [decode(each.body, "saga").reason for each in again] == ["waits", "passes"]
    transport.ack(again)
    assert not TransportMessage.objects.exists()


def test_what_a_connection_loses_comes_again(world: World) -> None:
    transport: Any = world.transport
    transport.send([(SAGA, note("a")), (SAGA, note("b"))])
    with world.store.transaction():
        first, second = transport.receive(SAGA, 10)
    transport.ack([first])
    link = transport.here.link
    link.call(lambda: link._break("cut by the test"))
    wait_for(lambda: transport.here.inbox(SAGA).arrived >= 3 and link.is_up, what="b to come again")
    transport.ack([second])  # of the old connection: says nothing of the new one
    with world.store.transaction():
        again = transport.receive(SAGA, 10)
    assert decode(again[-1].body, "saga").reason == "b"
    assert again[-1].token != second.token


def test_a_fork_has_a_connection_of_its_own(world: World) -> None:
    """Pika's may be used by one thread of one process."""
    transport: Any = world.transport
    transport.send([(SAGA, note("parent"))])
    pid = os.fork()
    if pid == 0:  # pragma: no cover
        code = 1
        try:
            assert transport.here.link._thread is None
            transport.here.link.ship([(SAGA, "CancelJob", encode(note("child")).encode())]).settled.wait(10)
            transport.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    transport.sent[SAGA] += 1
    transport.send([(SAGA, note("parent again"))])
    found = {decode(each.body, "saga").reason for each in transport.take(SAGA, 10)}
    assert found == {"parent", "child", "parent again"}


def test_nobody_is_judged_before_the_queue_is_read(world: World) -> None:
    """The last words of a worker that is silent now may lie there."""
    transport: Any = world.transport
    transport.send([(SAGA, note(str(number))) for number in range(3)])
    transport.close()
    late: Any = SettledTransport(transport.address, clock=world.clock)
    try:
        assert not late.is_current(), "not connected"
        late.sent[SAGA] = 3
        with world.store.transaction():
            assert len(late.receive(SAGA, 2)) == 2
        wait_for(lambda: late.here.link.up_for() >= SETTLING)
        assert not late.is_current(), "there was more"
        with world.store.transaction():
            late.receive(SAGA, 10)
        assert late.is_current()
        late.here.link.distrust()
        wait_for(lambda: not late.is_current(), what="the connection to be lost")
    finally:
        late.close()
