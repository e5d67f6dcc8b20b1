"""Headers that pika cannot read, in the messages of strangers: they end no connection."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pika
import pytest

from jobsaga.clock import ManualClock
from jobsaga.conf import settings
from jobsaga.messages import CancelJob
from jobsaga.models import DeadLetter
from jobsaga.remote import JobClient, RemoteUnavailable
from jobsaga.remote.contract import REQUESTS, GetJobState, encode
from jobsaga.transport.base import SAGA
from jobsaga.transport.rabbitmq.headers import readable, without_headers
from jobsaga.transport.rabbitmq.queues import DEAD
from tests.engine.rabbit_place import RabbitPlace, close_all
from tests.engine.world import World
from tests.processes import wait_for
from tests.remote.conftest import open_desk

#: When that was in milliseconds, which is a time after the year 9999 in seconds.
MILLISECONDS = b"T" + struct.pack(">Q", 1_767_225_600_000)
NESTED = b"F" + struct.pack(">I", 0)
for _ in range(5000):
    NESTED = b"F" + struct.pack(">I", len(NESTED) + 2) + b"\x01a" + NESTED
UNREADABLE = {"milliseconds": MILLISECONDS, "no time at all": b"T" + b"\xff" * 8, "nested": NESTED}


class Raw(bytes):
    """A header's value as it goes over the line."""


@pytest.fixture(autouse=True)
def raw_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's library, which writes what pika would not."""
    usual = pika.data.encode_value

    def encode_value(pieces: list[bytes], value: Any) -> int:
        if not isinstance(value, Raw):
            return usual(pieces, value)
        pieces.append(bytes(value))
        return len(value)

    monkeypatch.setattr(pika.data, "encode_value", encode_value)


def properties(value: bytes, **more: Any) -> pika.BasicProperties:
    return pika.BasicProperties(headers={"sent": Raw(value)}, **more)


MORE: list[dict[str, Any]] = [
    {},
    {"content_type": "application/json"},
    {"content_type": "a", "content_encoding": "utf-8", "reply_to": "me", "timestamp": 5, "delivery_mode": 2},
]


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_all_but_the_headers_is_read(value: bytes, more: dict[str, Any]) -> None:
    encoded = b"".join(properties(value, **more).encode())
    found = readable(encoded)
    assert found.headers is None
    assert {name: getattr(found, name) for name in more} == more
    with pytest.raises(Exception):  # noqa: B017, PT011 - pika's own, of many kinds
        pika.BasicProperties().decode(encoded)


def test_of_what_is_wrong_otherwise_nothing_is_read() -> None:
    assert readable(b"\xff\xff\xff") == pika.BasicProperties()
    assert without_headers(b"".join(properties(MILLISECONDS).encode())) == b"\x00\x00"


@pytest.fixture
def world() -> Iterator[World]:
    yield World(RabbitPlace(ManualClock()))
    close_all()


@pytest.mark.rabbitmq
@pytest.mark.django_db(transaction=True)
def test_they_disturb_no_queue(world: World) -> None:
    """Neither the sagas', nor that of what is given up, nor that of the requests."""
    transport: Any = world.transport
    job_id, queues, url = world.submit(), transport.address.queues, world.place.url  # type: ignore[attr-defined]
    requests = open_desk(url)
    answers: list[bytes] = []
    try:
        with pika.BlockingConnection(transport.address.parameters) as connection:
            channel = connection.channel()
            mailbox = channel.queue_declare("", exclusive=True).method.queue
            channel.basic_consume(mailbox, lambda *said: answers.append(said[-1]), auto_ack=True)
            wait_for(lambda: has_opened(url), 20, "the desk to open")
            for value in UNREADABLE.values():
                question = encode(GetJobState(job_id=job_id), uuid4())
                channel.basic_publish(
                    "", queues.name(REQUESTS), question, properties(value, reply_to=mailbox)
                )
                for endpoint in (SAGA, DEAD):
                    channel.basic_publish("", queues.name(endpoint), b"no message", properties(value))
                transport.sent[SAGA] += 1
            world.say(CancelJob(job_id=job_id))
            assert world.state(job_id) == "Canceled"
            wait_for(lambda: (world.lap(), letters())[1] == 2 * len(UNREADABLE), 20, "the letters")
            wait_for(lambda: answered(connection, answers) == len(UNREADABLE), 20, "the answers")
    finally:
        requests.close()


def has_opened(url: str) -> bool:
    """Whether the queue of requests is there."""
    try:
        with JobClient(url, timeout=5) as client:
            return client.get_job_state(UUID(int=1)).current_state == "NotFound"
    except RemoteUnavailable:
        return False


def answered(connection: Any, answers: list[bytes]) -> int:
    connection.process_data_events(time_limit=0.1)
    return sum(json.loads(each)["type"] == "JobState" for each in answers)


def letters() -> int:
    return DeadLetter.objects.using(settings.DATABASE).count()
