"""What strangers put on the queue of requests, with nothing but AMQP; and what becomes of it."""

from __future__ import annotations

import json
import pickle
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pika
import pytest

from jobsaga import get_job_state
from jobsaga.desk.desk import Desk
from jobsaga.models import DeadLetter, JobSaga
from jobsaga.remote import JobClient, RemoteUnavailable, contract
from jobsaga.remote.contract import REQUESTS
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.inbox import Held
from jobsaga.transport.rabbitmq.letters import letter
from jobsaga.transport.rabbitmq.queues import DEAD
from jobsaga.transport.rabbitmq.requests import PREFETCH, Answer, Asked, Hopeless, Later, Requests
from tests.faults.ledger import ALIAS
from tests.processes import wait_for
from tests.remote.conftest import GIVE, TYPE, letters
from tests.threads import close_connections

pytestmark = [pytest.mark.rabbitmq, pytest.mark.django_db(transaction=True)]


class Stranger:
    """Another program: plain pika."""

    def __init__(self, url: str) -> None:
        self.address = Address(url)
        self.connection = pika.BlockingConnection(self.address.parameters)
        self.channel = self.connection.channel()
        self.requests = self.address.queues.name(REQUESTS)
        queue = self.address.queues.of(REQUESTS)
        self.channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
        self.mailbox = self.channel.queue_declare("", exclusive=True).method.queue

    def say(self, body: bytes, **properties: Any) -> None:
        self.channel.basic_publish("", self.requests, body, pika.BasicProperties(**properties))

    def hear(self, count: int) -> list[tuple[Any, dict[str, Any]]]:
        """So many answers: properties and envelope."""
        heard: list[tuple[Any, dict[str, Any]]] = []

        def more() -> bool:
            _, properties, body = self.channel.basic_get(self.mailbox, auto_ack=True)
            if body is not None:
                heard.append((properties, json.loads(body)))
            return len(heard) >= count

        wait_for(more, 30, f"{count} answers")
        return heard


@pytest.fixture
def stranger(url: str) -> Iterator[Stranger]:
    stranger = Stranger(url)
    yield stranger
    stranger.connection.close()


def submit(job_id: UUID, **more: Any) -> bytes:
    body = {"job_type": TYPE, "message": GIVE, "job_id": str(job_id), **more}
    return json.dumps({"version": 1, "type": "SubmitJob", "id": str(uuid4()), "body": body}).encode()


def test_with_a_mailbox_of_its_own(desk: Requests, stranger: Stranger) -> None:
    job_id = uuid4()
    stranger.say(submit(job_id), reply_to=stranger.mailbox, correlation_id="mine")
    ((properties, said),) = stranger.hear(1)
    assert (properties.correlation_id, properties.type) == ("mine", "JobSubmissionAccepted")
    assert (properties.content_type, properties.message_id) == ("application/json", said["id"])
    assert (said["version"], said["type"], said["body"]) == (1, properties.type, {"job_id": str(job_id)})
    assert get_job_state(job_id).current_state == "WaitingForSlot"


GARBAGE: list[bytes] = [
    b"",
    random.Random(7).randbytes(1000),
    pickle.dumps({"version": 1, "type": "SubmitJob"}),
    b"[" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"version":1,"type":"SubmitJob","id":"%s","body":{"job_type":"a","message":' % str(UUID(int=4)).encode()
    + b"[" * 50_000 + b"]" * 50_000 + b"}}",
    b"x" * 10_000_000,
    json.dumps({"version": 3, "type": "SubmitJob", "id": str(UUID(int=5)), "body": {}}).encode(),
    json.dumps({"version": 1, "type": "DropTables", "id": str(UUID(int=5)), "body": {}}).encode(),
    json.dumps({"version": 1, "type": "SubmitJob", "id": 5, "body": {}}).encode(),
    submit(uuid4(), priority="high"),
    submit(uuid4(), message={"what": ["give"]}),
    submit(uuid4(), message={"what": "a\x00b"}),
    submit(uuid4(), properties={"n": 10**40}),
]  # fmt: skip


def test_whatever_they_send(desk: Requests, stranger: Stranger) -> None:
    """Each is a dead letter with a reason, or a fault to who waits; the requests between them are not affected."""
    good = [uuid4() for _ in GARBAGE]
    for garbage, job_id in zip(GARBAGE, good, strict=True):
        stranger.say(garbage)
        stranger.say(garbage, reply_to=stranger.mailbox, correlation_id="fault", content_type="\U0001f4a9")
        stranger.say(submit(job_id), reply_to=stranger.mailbox, correlation_id="good")
    answers = stranger.hear(2 * len(GARBAGE))
    kinds = [(properties.correlation_id, said["type"]) for properties, said in answers]
    assert kinds == [("fault", "Fault"), ("good", "JobSubmissionAccepted")] * len(GARBAGE)
    codes = {said["body"]["code"] for _, said in answers if said["type"] == "Fault"}
    assert codes == {
        "MalformedRequest", "TooLarge", "UnsupportedVersion", "UnknownRequestType", "InvalidMessage",
    }  # fmt: skip
    assert len(letters()) == len(GARBAGE)
    assert {endpoint for endpoint, _ in letters()} == {"requests"}
    assert all(reason.partition(":")[0] in codes for _, reason in letters())
    assert max(map(len, DeadLetter.objects.using(ALIAS).values_list("body", flat=True))) <= 10_000
    assert JobSaga.objects.using(ALIAS).count() == len(good)


@pytest.mark.parametrize(
    "reply_to", ["amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.nonsense", "no-such-queue"]
)
def test_an_answer_that_reaches_nobody(
    desk: Requests, stranger: Stranger, client: JobClient, reply_to: str
) -> None:
    """It is lost, as answers may be, and the next is not."""
    job_id = uuid4()
    if reply_to == "amq.rabbitmq.reply-to":
        stranger.channel.basic_consume(reply_to, lambda *_: None, auto_ack=True)
    stranger.say(submit(job_id), reply_to=reply_to)
    assert client.get_job_state(UUID(int=1)).current_state == "NotFound"
    wait_for(lambda: get_job_state(job_id).current_state == "WaitingForSlot", 20, "the job")


def test_a_question_into_our_own_queues(desk: Requests, stranger: Stranger) -> None:
    """What would be answered there is not; there is no echo either."""
    for name in (stranger.requests, stranger.address.queues.name("saga")):
        stranger.say(b"{}", reply_to=name)
    wait_for(lambda: len(letters()) == 2, 20, "the letters")
    stranger.say(submit(uuid4()), reply_to=stranger.mailbox)
    stranger.hear(1)
    assert len(letters()) == 2


def test_the_queue_is_deleted(desk: Requests, stranger: Stranger, client: JobClient) -> None:
    """It is declared again, and requests are taken again."""
    client.get_job_state(UUID(int=1))
    stranger.channel.queue_delete(stranger.requests)

    def is_back() -> bool:
        try:
            return client.get_job_state(UUID(int=1)).current_state == "NotFound"
        except RemoteUnavailable:
            return False

    wait_for(is_back, 20, "the queue")


def opened(url: str, handle: Any) -> Requests:
    requests = Requests(Address(url), handle, ended=close_connections)
    requests.start()
    return requests


def test_what_must_wait_holds_up_nobody(url: str, stranger: Stranger) -> None:
    """One whose row is held, say: the others are answered meanwhile, and it when its time has come."""
    seen: list[bytes] = []

    def handle(asked: Asked) -> Answer | None:
        seen.append(asked.body)
        if asked.body == b"held" and seen.count(b"held") < 4:
            raise Later("it is held")
        return Answer("Fault", "1", json.dumps(asked.body.decode()).encode(), "")

    requests = opened(url, handle)
    try:
        for body in (b"held", b"free", b"also free"):
            stranger.say(body, reply_to=stranger.mailbox)
        assert [said for _, said in stranger.hear(3)] == ["free", "also free", "held"]
    finally:
        requests.close()


def test_what_is_hopeless_goes_to_the_dead_and_holds_up_nobody(stranger: Stranger) -> None:
    def handle(asked: Asked) -> Answer | None:
        if asked.body == b"{}":
            raise Hopeless
        return Answer("Fault", "1", b"{}", "")

    for _ in range(PREFETCH):
        stranger.say(b"{}", reply_to=stranger.mailbox)
    stranger.say(b"good", reply_to=stranger.mailbox)
    requests = Requests(stranger.address, handle, ended=close_connections)
    requests.start()
    try:
        stranger.hear(1)
    finally:
        requests.close()
    dead = stranger.address.queues.name(DEAD)
    held: list[Any] = []

    def all_dead() -> bool:
        _, properties, body = stranger.channel.basic_get(dead, auto_ack=True)
        held.extend([] if body is None else [Held(body, properties.headers)])
        return len(held) == PREFETCH

    wait_for(all_dead, 30, "the dead letters")
    found = letter(held[0], datetime.now(UTC), 1000)
    assert (found.endpoint, found.body) == (REQUESTS, "{}")
    assert "could neither handle it nor refuse it" in found.reason


def test_a_window_of_slow_ones(stranger: Stranger) -> None:
    """A database that is away takes seconds to say so, to each of them: the connection outlives that, and the broker
    does not count one more host that had them and was cut off.
    """
    seen: list[bytes] = []
    connections: set[Any] = set()

    def slow(asked: Asked) -> Answer | None:
        seen.append(asked.body)
        connections.add(requests._connection)
        if seen.count(asked.body) == 1:
            time.sleep(0.4)
            raise Later("the database is away")
        return None

    stranger.address.parameters.heartbeat = 2
    for number in range(PREFETCH):
        stranger.say(b"%d" % number)
    requests = Requests(stranger.address, slow, ended=close_connections)
    requests.start()
    try:
        wait_for(lambda: len(seen) >= 2 * PREFETCH, 40, "all of them, twice")
        assert len(connections) == 1
    finally:
        requests.close()


def test_a_mailbox_without_a_name(desk: Requests, stranger: Stranger) -> None:
    """Bytes that are no text: nobody waits there for an answer, and nobody waits behind it."""
    for _ in range(PREFETCH):
        stranger.say(b"{}", reply_to=b"\xff\xfe")
    stranger.say(submit(uuid4()), reply_to=stranger.mailbox)
    stranger.hear(1)
    assert len(letters()) == PREFETCH


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_desk_that_ends_in_the_middle(url: str, stranger: Stranger) -> None:
    """Its work was committed, and the broker was not told: the next desk is given it again, and does nothing twice."""
    job_id = uuid4()
    body = submit(job_id)
    first = Desk()

    def dies(asked: Asked) -> Answer | None:
        first.handle(asked)
        raise SystemExit

    requests = opened(url, dies)
    stranger.say(body, reply_to=stranger.mailbox)
    wait_for(lambda: get_job_state(job_id).current_state == "WaitingForSlot", 20, "the job")
    wait_for(lambda: not requests._thread.is_alive(), 20, "its death")
    requests = opened(url, Desk().handle)
    try:
        ((_, said),) = stranger.hear(1)
        assert said["body"] == {"job_id": str(job_id)}
        assert JobSaga.objects.using(ALIAS).count() == 1
    finally:
        requests.close()


def test_out_of_order_and_doubled(desk: Requests, stranger: Stranger) -> None:
    """A hundred requests for five jobs, each three times, shuffled: the last state is one that some order gives."""
    jobs = [uuid4() for _ in range(5)]
    said = [submit(each) for each in jobs]
    for kind in ("CancelJob", "RetryJob", "RunJob"):
        said += [contract.encode(getattr(contract, kind)(job_id=each), uuid4()) for each in jobs]
    doubled = said * 3
    random.Random(5).shuffle(doubled)
    for body in doubled:
        stranger.say(body, reply_to=stranger.mailbox)
    answers = stranger.hear(len(doubled))
    kinds = {answer["type"] for _, answer in answers}
    assert kinds <= {"JobSubmissionAccepted", "JobState", "Fault"}
    assert {answer["body"]["code"] for _, answer in answers if answer["type"] == "Fault"} <= {"JobNotFound"}
    assert JobSaga.objects.using(ALIAS).count() == 5
    assert {get_job_state(each).current_state for each in jobs} <= {"WaitingForSlot", "Canceled"}
