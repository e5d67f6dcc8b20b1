"""The client and a desk, at a real broker."""

from __future__ import annotations

import logging
import math
import os
import pprint
import socket
import time
import traceback
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from uuid import UUID, uuid4

import pika
import pytest

from jobsaga import get_job_state
from jobsaga.exceptions import InvalidMessage
from jobsaga.models import JobSaga, RemoteRequest
from jobsaga.remote import JobClient, RemoteFault, RemoteTimeout, RemoteUnavailable, contract
from jobsaga.remote.contract import REQUESTS
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.requests import Requests
from tests.brokers import broker_url, transport_url
from tests.faults.ledger import ALIAS
from tests.private_broker import PrivateBroker
from tests.processes import wait_for
from tests.remote.conftest import GIVE, TYPE, history, letters, open_desk

pytestmark = [pytest.mark.rabbitmq, pytest.mark.django_db(transaction=True)]
CANARY = "canary-in-the-mine"


def jobs() -> int:
    return JobSaga.objects.using(ALIAS).count()


def declare(url: str) -> None:
    """The queue of requests, and nobody who takes from it."""
    address = Address(url)
    with pika.BlockingConnection(address.parameters) as connection:
        queue = address.queues.of(REQUESTS)
        connection.channel().queue_declare(queue.name, durable=True, arguments=queue.arguments)


def test_the_life_of_a_job(desk: Requests, client: JobClient) -> None:
    """Every verb, over one connection."""
    ready(client)
    job_id = client.submit_job(TYPE, GIVE, properties={"Tier": "gold"}, priority=2)
    assert client.get_job_state(job_id).current_state == "WaitingForSlot"
    assert client.run_job(job_id).refused == "it is runnable already"
    assert client.cancel_job(job_id, "enough").reason == "enough"
    assert client.retry_job(job_id, "more").current_state == "WaitingForSlot"
    client.cancel_job(job_id)
    assert client.finalize_job(job_id).current_state == "NotFound"
    later = client.schedule_job(timedelta(days=1), TYPE, GIVE)
    state = client.get_job_state(later)
    assert state.current_state == "WaitingToStart"
    assert state.next_start_date is not None
    assert abs(state.next_start_date - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)
    assert client.run_job(later).current_state == "WaitingForSlot"


def ready(client: JobClient) -> None:
    """Wait until the desk has declared its queue."""

    def asks() -> bool:
        try:
            return client.get_job_state(UUID(int=1)).current_state == "NotFound"
        except RemoteUnavailable:
            return False

    wait_for(asks, 20, "the desk to open")


def test_who_asked_is_in_the_history(desk: Requests, client: JobClient, url: str) -> None:
    ready(client)
    with JobClient(url, actor="billing") as other:
        job_id = other.submit_job(TYPE, GIVE)
        other.cancel_job(job_id)
    assert history(job_id) == [("JobSubmitted", "remote:billing"), ("CancelJob", "remote:billing")]


def test_the_site_refuses(desk: Requests, client: JobClient) -> None:
    ready(client)
    with pytest.raises(RemoteFault) as caught:
        client.submit_job("jobsapp.ActInProces", GIVE)
    assert (caught.value.code, caught.value.near[0]) == ("UnknownJobType", TYPE)
    with pytest.raises(RemoteFault, match=r"InvalidMessage: message\.what") as caught:
        client.submit_job(TYPE, {"what": 3})
    assert caught.value.field == "message.what"
    with pytest.raises(RemoteFault, match="JobNotFound"):
        client.cancel_job(uuid4())
    assert letters() == []


@pytest.mark.parametrize("value", [object(), "\ud800", math.nan])
def test_what_is_no_request_is_not_sent(client: JobClient, value: object) -> None:
    """No desk answers here, and no queue is there."""
    with pytest.raises(InvalidMessage, match="cannot be written"):
        client.submit_job(TYPE, {"x": value})
    with pytest.raises(InvalidMessage, match="cannot be written"):
        client.submit_job(TYPE, GIVE, properties={"x": value})
    with pytest.raises(InvalidMessage, match="time zone"):
        client.schedule_job(datetime(2030, 1, 1), TYPE)
    with pytest.raises(InvalidMessage, match="properties"):
        client.submit_job(TYPE, GIVE, properties=[1])  # type: ignore[arg-type]
    with pytest.raises(InvalidMessage, match="priority"):
        client.submit_job(TYPE, GIVE, priority=2**40)


def test_nobody_answers(url: str) -> None:
    """What is known is told; the request is carried out when a desk opens, and its repeat makes no second job."""
    declare(url)
    with JobClient(url) as client:
        began = time.monotonic()
        with pytest.raises(RemoteTimeout, match="RabbitMQ has it, durably") as caught:
            client.submit_job(TYPE, GIVE, timeout=0.5)
        assert 0.4 < time.monotonic() - began < 3
        late = caught.value
        assert (late.sent, late.request_id is not None, late.job_id is not None) == (True, True, True)
        with pytest.raises(RemoteTimeout):
            client.get_job_state(UUID(int=1), timeout=0.2)
        opened = open_desk(url)
        try:
            again = client.submit_job(TYPE, GIVE, job_id=late.job_id, timeout=20)
            assert again == late.job_id
            wait_for(lambda: RemoteRequest.objects.using(ALIAS).count() == 2, 20, "both to be handled")
            assert jobs() == 1
        finally:
            opened.close()
    assert letters() == [], "the question that nobody waits for has expired in silence"


def test_left_at_the_broker(url: str) -> None:
    declare(url)
    with JobClient(url) as client:
        request_id = client.send(contract.SubmitJob(job_type=TYPE, message=GIVE))
        client.send(contract.SubmitJob(job_type="no.Such"))
    opened = open_desk(url)
    try:
        wait_for(letters, 20, "the other to be refused")
    finally:
        opened.close()
    assert get_job_state(request_id).current_state == "WaitingForSlot"
    assert [reason.split(":")[0] for _, reason in letters()] == ["UnknownJobType"]


def test_a_repeat_with_the_same_request_id(desk: Requests, client: JobClient) -> None:
    ready(client)
    job_id, request_id = client.submit_job(TYPE, GIVE), uuid4()
    client.cancel_job(job_id, request_id=request_id)
    client.retry_job(job_id)
    again = client.cancel_job(job_id, request_id=request_id)
    assert (again.current_state, again.remark) == ("WaitingForSlot", "this request was carried out before")


def test_the_site_takes_no_requests(url: str) -> None:
    with JobClient(url) as client, pytest.raises(RemoteUnavailable, match="REMOTE_REQUESTS"):
        client.get_job_state(uuid4())


def test_the_broker_does_not_know_us() -> None:
    address = Address(broker_url()).parameters
    with JobClient(f"amqp://nobody@{address.host}:{address.port}/", password=CANARY) as client:
        with pytest.raises(RemoteUnavailable, match="refuses this user") as caught:
            client.get_job_state(uuid4())
        assert CANARY not in shown(caught.value)
    with (
        JobClient(f"{broker_url()}no-such-host") as client,
        pytest.raises(RemoteUnavailable, match="no-such-host"),
    ):
        client.get_job_state(uuid4())


def test_no_broker(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = JobClient("amqp://shop@127.0.0.1:1/", password=CANARY)
    with (
        client,
        pytest.raises(RemoteTimeout, match=r"could not be reached \(.*refused.*nothing was sent") as caught,
    ):
        client.submit_job(TYPE, GIVE, timeout=0.5)
    assert not caught.value.sent
    for each in (shown(caught.value), caplog.text, pprint.pformat([client, vars(client)])):
        assert CANARY not in each


def shown(error: BaseException) -> str:
    """A traceback with the local variables of jobsaga's own frames, as a debug page has it."""
    lines = traceback.format_exception(error)
    trace = error.__traceback__
    while trace is not None:
        if "/jobsaga/" in trace.tb_frame.f_code.co_filename:
            lines.append(pprint.pformat(trace.tb_frame.f_locals))
        trace = trace.tb_next
    return "\n".join(lines)


@pytest.mark.parametrize("url", ["http://shop:canary-in-the-mine@h/", "amqp://s:canary-in-the-mine@h:x/"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="The URL of the broker") as caught:
        JobClient(url)
    assert CANARY not in shown(caught.value)


def test_two_threads_at_once_are_told(url: str) -> None:
    declare(url)
    with JobClient(url) as client:
        begun = Event()
        waits = Thread(target=lambda: (begun.set(), quietly(client, 2.0)))
        waits.start()
        begun.wait()
        time.sleep(0.3)  # it is in the middle of its wait, which lasts two seconds
        with pytest.raises(RuntimeError, match="another thread"):
            client.get_job_state(uuid4())
        waits.join()
        quietly(client, 0.1)  # one after the other they may


def quietly(client: JobClient, timeout: float) -> None:
    with pytest.raises(RemoteTimeout):
        client.get_job_state(uuid4(), timeout=timeout)


def test_a_wait_that_is_interrupted(url: str) -> None:
    """The next one lasts as long as it should, not until the end of the one before."""
    declare(url)
    with JobClient(url) as client:
        quietly(client, 0.1)
        client._line._loop.call_later(0.2, interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.get_job_state(uuid4(), timeout=0.5)
        began = time.monotonic()
        quietly(client, 1.0)
        assert time.monotonic() - began > 0.9


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_fork_has_a_connection_of_its_own(desk: Requests, client: JobClient) -> None:
    ready(client)
    pid = os.fork()
    if pid == 0:
        try:
            found = client.get_job_state(UUID(int=1)).current_state == "NotFound"
            os._exit(0 if found else 1)
        except BaseException:  # noqa: BLE001 - its exit code tells
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert client.get_job_state(UUID(int=1)).current_state == "NotFound"


def test_a_connection_that_was_closed_in_the_meantime(desk: Requests, client: JobClient) -> None:
    ready(client)
    cut(client)
    ready(client)
    assert client.get_job_state(client.submit_job(TYPE, GIVE)).current_state == "WaitingForSlot"


def cut(client: JobClient) -> None:
    """As a firewall does it to a connection that is idle for long."""
    client._line._connection._transport._sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.timeout(240)
def test_the_broker_restarts_while_somebody_waits(managed: PrivateBroker) -> None:
    """The request is said again on the next connection, and carried out once."""
    url = transport_url(managed.url)
    declare(url)
    answers: list[UUID] = []
    with JobClient(url) as client:
        waits = Thread(target=lambda: answers.append(client.submit_job(TYPE, GIVE, timeout=120)))
        waits.start()
        wait_for(
            lambda: client._line._parcel is not None and client._line._parcel.confirmed, 30, "the request"
        )
        managed.ctl("stop_app")
        managed.ctl("start_app")
        opened = open_desk(url)
        try:
            waits.join(60)
        finally:
            opened.close()
    assert len(answers) == 1
    assert jobs() == 1
    assert get_job_state(answers[0]).current_state == "WaitingForSlot"
