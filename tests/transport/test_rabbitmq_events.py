"""Public events at a real broker: bound queues get them, and whatever strangers do, the sagas are not disturbed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pika
import pytest

from jobsaga.ids import uuid7
from jobsaga.remote.events import LONGEST_KEY, Announcement
from jobsaga.transport.base import SAGA, Receipt
from jobsaga.transport.rabbitmq import announcer
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.transport import RabbitMQTransport
from tests.brokers import clean_up, transport_url
from tests.private_broker import PrivateBroker
from tests.processes import wait_for
from tests.transport.contract import note

pytestmark = [pytest.mark.rabbitmq, pytest.mark.django_db(transaction=True)]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(text: str = "", kind: str = "JobSubmitted", job_type: str = "videos.Convert") -> Announcement:
    return Announcement(id=uuid7(), at=NOON, kind=kind, job_type=job_type, body=json.dumps(text))


@pytest.fixture
def url() -> Iterator[str]:
    url = transport_url()
    yield url
    with pika.BlockingConnection(Address(url).parameters) as connection:
        connection.channel().exchange_delete(Address(url).queues.events)
    clean_up(url)


@pytest.fixture
def transport(url: str) -> Iterator[RabbitMQTransport]:
    yield from connected(url)


def connected(url: str) -> Iterator[RabbitMQTransport]:
    transport = RabbitMQTransport(Address(url))
    transport.here.inbox(SAGA)
    wait_for(lambda: transport.here.link.is_up, what="the connection")
    yield transport
    transport.close()


class Stranger:
    """Another service at the same broker."""

    def __init__(self, address: Address) -> None:
        self.exchange = address.queues.events
        self.connection = pika.BlockingConnection(address.parameters)
        self.channel: Any = self.connection.channel()

    def queue(self, key: str = "#", **arguments: Any) -> str:
        """Bind a queue of its own to the exchange, which may not be there yet."""
        self.channel.exchange_declare(self.exchange, "topic", durable=True)
        queue: str = self.channel.queue_declare("", exclusive=True, arguments=arguments).method.queue
        self.channel.queue_bind(queue, self.exchange, key)
        return queue

    def got(self, queue: str) -> list[tuple[str, pika.BasicProperties, Any]]:
        """What has come: routing key, properties, body."""
        found = []
        while (message := self.channel.basic_get(queue, auto_ack=True))[0] is not None:
            found.append((message[0].routing_key, message[1], json.loads(message[2])))
        return found


@pytest.fixture
def stranger(transport: RabbitMQTransport) -> Iterator[Stranger]:
    stranger = Stranger(transport.address)
    yield stranger
    stranger.connection.close()


def all_of(*events: Announcement) -> Receipt:
    return Receipt(taken=frozenset(each.id for each in events))


def sagas_are_heard(transport: RabbitMQTransport) -> bool:
    """What is sent to the sagas arrives over the same connection as before."""
    inbox = transport.here.inbox(SAGA)
    before = inbox.arrived
    transport.send([(SAGA, note("heard"))])
    wait_for(lambda: inbox.arrived == before + 1, what="the sagas")
    return True


def test_a_bound_queue_gets_them_in_order(transport: RabbitMQTransport, stranger: Stranger) -> None:
    queue = stranger.queue()
    events = [event(str(n)) for n in range(250)]
    assert transport.publish_events(events) == all_of(*events)
    got = stranger.got(queue)
    assert [body for _, _, body in got] == [str(n) for n in range(250)]
    key, properties, _ = got[0]
    assert key == "JobSubmitted.videos.Convert"
    assert (properties.content_type, properties.content_encoding) == ("application/json", "utf-8")
    assert (properties.type, properties.message_id) == ("JobSubmitted", str(events[0].id))
    assert (properties.delivery_mode, properties.app_id) == (2, "jobsaga")
    assert properties.timestamp == int(NOON.timestamp())


def test_the_exchange_has_the_name_that_is_promised() -> None:
    assert Address("amqp://broker/").queues.events == "jobsaga.events"
    assert Address("amqp://broker/?queue_prefix=shop").queues.events == "shop.events"


def test_a_queue_gets_what_it_asked_for(transport: RabbitMQTransport, stranger: Stranger) -> None:
    ends, converts = stranger.queue("JobCompleted.#"), stranger.queue("*.videos.Convert")
    events = [event("a"), event("b", "JobCompleted"), event("c", "JobCompleted", "videos.Cut")]
    transport.publish_events(events)
    assert [body for _, _, body in stranger.got(ends)] == ["b", "c"]
    assert [body for _, _, body in stranger.got(converts)] == ["a", "b"]


def test_the_program_of_the_docs(transport: RabbitMQTransport, stranger: Stranger) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/rabbitmq.md").read_text()
    program = next(
        each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "queue_bind" in each
    )
    url = transport.address.parameters
    program = program.replace("jobsaga.events", stranger.exchange).replace('"reports"', '"test-reports"')
    program = re.sub(r'pika.URLParameters\(".*?"\)', "parameters", program)
    done = event("done", "JobCompleted")

    def record(event_id: str, body: Any) -> None:
        assert event_id == "1"
        raise KeyboardInterrupt

    envelope = Announcement(
        id=done.id, at=NOON, kind=done.kind, job_type=done.job_type, body='{"id": "1", "body": {}}'
    )
    stranger.queue()
    stranger.channel.queue_declare("test-reports", durable=True, arguments={"x-queue-type": "quorum"})
    stranger.channel.queue_bind("test-reports", stranger.exchange, "JobCompleted.videos.#")
    transport.publish_events([event(), envelope])
    names: dict[str, Any] = {"parameters": url, "record": record}
    try:
        with pytest.raises(KeyboardInterrupt):
            exec(program, names)
    finally:
        names["connection"].close()
        stranger.channel.queue_delete("test-reports")


def test_nobody_needs_to_listen(transport: RabbitMQTransport) -> None:
    one = event()
    assert transport.publish_events([one]) == all_of(one)


def test_odd_names_of_job_types(transport: RabbitMQTransport, stranger: Stranger) -> None:
    queue, chance = stranger.queue(), random.Random(4)
    names = ["", ".", "a..b", "*.#", "#", "\0", "\n", "a" * 200, "🎬" * 200, "é" * 121 + "x" * 9, "\ud83c"]
    names += ["".join(chr(chance.randrange(1, 0xD800)) for _ in range(200)) for _ in range(50)]
    events = [event(job_type=name) for name in names]
    assert transport.publish_events(events) == all_of(*events)
    got = stranger.got(queue)
    assert [key for key, _, _ in got] == [each.routing_key for each in events]
    assert max(len(key.encode()) for key, _, _ in got) == LONGEST_KEY


def test_an_exchange_that_was_deleted_is_declared_again(
    transport: RabbitMQTransport, stranger: Stranger
) -> None:
    transport.publish_events([event()])
    stranger.channel.exchange_delete(stranger.exchange)
    queue: str = stranger.channel.queue_declare("", exclusive=True).method.queue
    lost = event("later")
    failed = transport.publish_events([lost])
    assert (failed.taken, failed.refused) == (frozenset(), {})
    assert "no exchange" in failed.error
    stranger.queue()
    stranger.channel.queue_bind(queue, stranger.exchange, "#")
    assert transport.publish_events([lost]) == all_of(lost)
    assert [body for _, _, body in stranger.got(queue)] == ["later"]
    assert sagas_are_heard(transport)


def test_an_exchange_of_another_kind_stops_the_events_and_nothing_else(
    transport: RabbitMQTransport, stranger: Stranger
) -> None:
    stranger.channel.exchange_declare(stranger.exchange, "fanout")
    life = transport.here.link._connection
    for _ in range(2):
        failed = transport.publish_events([event()])
        assert (failed.taken, failed.refused) == (frozenset(), {})
        assert "inequivalent arg" in failed.error
    assert sagas_are_heard(transport)
    assert transport.here.link._connection is life
    stranger.channel.exchange_delete(stranger.exchange)
    one = event()
    assert transport.publish_events([one]) == all_of(one)


def test_a_bound_queue_that_takes_no_more_makes_them_wait(
    transport: RabbitMQTransport, stranger: Stranger
) -> None:
    full = stranger.queue(**{"x-max-length": 1, "x-overflow": "reject-publish"})
    first, second = event("1"), event("2")
    transport.publish_events([first])
    receipt = transport.publish_events([second])
    assert (receipt.taken, receipt.refused) == (frozenset(), {})
    assert "is a queue full" in receipt.error
    stranger.got(full)
    assert transport.publish_events([second]) == all_of(second)
    assert sagas_are_heard(transport)


def test_a_broker_that_says_nothing_is_not_waited_for_long(
    transport: RabbitMQTransport, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, link = stranger.queue(), transport.here.link
    monkeypatch.setattr(announcer.Announcer, "_confirmed", lambda *_: None)
    receipt = announcer.publish(link, [event("unheard")], patience=0.3)
    assert (receipt.taken, receipt.error) == (frozenset(), "it has not confirmed the events in time")
    monkeypatch.undo()
    again = event("again")
    assert transport.publish_events([again]) == all_of(again)
    assert [body for _, _, body in stranger.got(queue)] == ["unheard", "again"]
    assert sagas_are_heard(transport)


def test_without_a_connection_they_wait(url: str) -> None:
    transport = RabbitMQTransport(Address(url))
    try:
        one = event()
        receipt = transport.publish_events([one])
        assert (receipt.taken, receipt.error) == (frozenset(), "it is not connected yet")
        wait_for(lambda: transport.here.link.is_up, what="the connection")
        assert transport.publish_events([one]) == all_of(one)
    finally:
        transport.close()
    assert transport.publish_events([one]).error == "it is not connected yet"
    transport.close()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """A broker that takes no message of more than 10,000 bytes."""
    broker = PrivateBroker(tmp_path_factory.mktemp("strict"), more="max_message_size = 10000")
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def test_one_that_is_too_large_is_refused_alone(strict: PrivateBroker) -> None:
    for transport in connected(transport_url(strict.url)):
        stranger = Stranger(transport.address)
        queue = stranger.queue()
        events = [event("a"), event("b" * 20_000), event("c"), event("d" * 10_001), event("e")]
        receipt = transport.publish_events(events)
        assert receipt.taken == {events[n].id for n in (0, 2, 4)}
        assert set(receipt.refused) == {events[1].id, events[3].id}
        assert "20002" in receipt.refused[events[1].id]
        assert receipt.error == ""
        assert dict.fromkeys(body for _, _, body in stranger.got(queue)) == {"a": None, "c": None, "e": None}
        assert sagas_are_heard(transport)
        stranger.connection.close()
