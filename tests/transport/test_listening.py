"""Waiting for a message, in real time: who is woken, by what, and when not."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest
from django.db import connections, transaction

from jobsaga.conf import settings
from jobsaga.ids import uuid7
from jobsaga.transport.base import SAGA, Listener, Transport, instance_endpoint
from jobsaga.transport.database import DatabaseTransport
from jobsaga.transport.memory import MemoryTransport
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.transport import RabbitMQTransport
from tests.brokers import clean_up, transport_url
from tests.threads import in_thread
from tests.transport.contract import note

COMMITTING = pytest.mark.django_db(transaction=True)
DATABASE = pytest.param("database", marks=COMMITTING)
RABBITMQ = pytest.param("rabbitmq", marks=[COMMITTING, pytest.mark.rabbitmq])
LONG, SHORT = 20.0, 0.3
SOON = 3.0

Listen = Callable[[str], Listener]


@pytest.fixture(params=["memory", DATABASE, RABBITMQ])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    if request.param != "rabbitmq":
        yield MemoryTransport() if request.param == "memory" else DatabaseTransport()
        return
    url = transport_url()
    transport = RabbitMQTransport(Address(url))
    yield transport
    transport.close()
    clean_up(url)


@pytest.fixture
def listen(transport: Transport) -> Iterator[Listen]:
    """Listeners that have settled: they have told of what may have come before they listened."""
    made: list[Listener] = []

    def start(endpoint: str) -> Listener:
        made.append(transport.listen(endpoint))
        settle(made[-1])
        return made[-1]

    yield start
    for each in made:
        each.close()


def settle(listener: Listener) -> None:
    """Wait until it has nothing to tell."""
    end = time.monotonic() + SOON
    while listener.wait(0.1):
        assert time.monotonic() < end, "a listener that always has something to tell"


def later(run: Callable[[], Any], seconds: float = 0.2) -> Thread:
    """Do it from another thread, when the caller waits already."""

    def after_a_while() -> None:
        time.sleep(seconds)
        run()

    return in_thread(after_a_while)


def seconds_of(listener: Listener, timeout: float = LONG) -> tuple[bool, float]:
    """What a wait says, and how long it took."""
    began = time.monotonic()
    said = listener.wait(timeout)
    return said, time.monotonic() - began


def test_a_new_listener_may_have_missed_something(transport: Transport) -> None:
    transport.send([(SAGA, note("sent before"))])
    listener = transport.listen(SAGA)
    assert listener.wait(LONG)
    listener.close()


def test_it_waits_no_longer_than_it_was_told(listen: Listen) -> None:
    said, took = seconds_of(listen(SAGA), SHORT)
    assert not said
    assert SHORT * 0.9 <= took < SOON


def test_a_message_wakes_it(transport: Transport, listen: Listen) -> None:
    listener = listen(SAGA)
    sending = later(lambda: transport.send([(SAGA, note("a"))]))
    said, took = seconds_of(listener)
    sending.join()
    assert said
    assert took < SOON
    assert len(transport.take(SAGA, 10)) == 1


def test_a_message_that_came_before_the_wait_is_not_slept_over(transport: Transport, listen: Listen) -> None:
    listener = listen(SAGA)
    later(lambda: transport.send([(SAGA, note("a"))]), 0).join()
    said, took = seconds_of(listener)
    assert said
    assert took < SOON


def test_it_goes_on_waiting_afterwards(transport: Transport, listen: Listen) -> None:
    listener = listen(SAGA)
    for _ in range(3):
        later(lambda: transport.send([(SAGA, note("a"))]), 0).join()
        assert seconds_of(listener)[1] < SOON
        settle(listener)


def test_an_instance_is_woken_by_its_own_messages(transport: Transport, listen: Listen) -> None:
    endpoint = instance_endpoint(uuid7())
    listener = listen(endpoint)
    sending = later(lambda: transport.send([(endpoint, note("a"))]))
    said, took = seconds_of(listener)
    sending.join()
    assert said
    assert took < SOON


def test_wake_from_another_thread(listen: Listen) -> None:
    listener = listen(SAGA)
    waking = later(listener.wake)
    said, took = seconds_of(listener)
    waking.join()
    assert said
    assert took < SOON


def test_wake_before_the_wait_counts_and_counts_once(listen: Listen) -> None:
    listener = listen(SAGA)
    for _ in range(3):
        listener.wake()
    assert listener.wait(LONG)
    assert not listener.wait(SHORT)


def test_wake_never_blocks_nor_fails(transport: Transport) -> None:
    """However often it is called while nobody waits, and after the end too."""
    listener = transport.listen(SAGA)
    for _ in range(100_000):
        listener.wake()
    listener.close()
    listener.wake()


@pytest.mark.parametrize("transport", [DATABASE], indirect=True)
class TestInADatabase:
    def test_nothing_is_told_before_the_commit(self, transport: Transport, listen: Listen) -> None:
        listener = listen(SAGA)
        with transaction.atomic(using=settings.DATABASE):
            transport.send([(SAGA, note("a"))])
            assert not listener.wait(SHORT)
        assert seconds_of(listener)[1] < SOON

    def test_a_job_wakes_the_sagas(self, listen: Listen) -> None:
        from jobsaga import submit_job
        from tests.jobsapp.jobs.acting import Act, ActInProcess

        assert issubclass(ActInProcess, Act)
        listener = listen(SAGA)
        submitting = later(lambda: submit_job(ActInProcess("give")))
        said, took = seconds_of(listener)
        submitting.join()
        assert said
        assert took < SOON

    @pytest.mark.postgresql
    @pytest.mark.mariadb
    def test_a_listener_survives_its_connection(
        self, transport: Transport, listen: Listen, caplog: pytest.LogCaptureFixture
    ) -> None:
        listener: Any = listen(SAGA)
        with caplog.at_level(logging.ERROR):
            later(lambda: end_session_of(listener), 0).join()
            assert listener.wait(LONG), "it lets the caller look for itself"
            settle(listener)
            sending = later(lambda: transport.send([(SAGA, note("a"))]))
            said, took = seconds_of(listener)
            sending.join()
        assert said
        assert took < SOON

    @pytest.mark.postgresql
    @pytest.mark.mariadb
    def test_a_database_that_is_away_is_waited_for_without_a_rush(
        self, listen: Listen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        listener: Any = listen(SAGA)
        later(lambda: end_session_of(listener), 0).join()
        monkeypatch.setitem(listener._connection.settings_dict, "PORT", "1")
        began, waits = time.monotonic(), 0
        while time.monotonic() - began < 1.5:
            assert listener.wait(0.5)
            waits += 1
        assert waits <= 5
        monkeypatch.undo()
        settle(listener)

    @pytest.mark.mariadb
    def test_a_commit_that_was_overtaken_is_heard_a_little_later(
        self, transport: Transport, listen: Listen
    ) -> None:
        listener = listen(SAGA)
        with transaction.atomic(using=settings.DATABASE):
            transport.send([(SAGA, note("a"))])
            later(lambda: transport.send([(SAGA, note("b"))]), 0).join()
            assert listener.wait(LONG), "b has the higher number, and is there first"
        assert seconds_of(listener)[1] < SOON

    @pytest.mark.sqlite
    def test_its_own_process_is_heard_too(self, transport: Transport, listen: Listen) -> None:
        listener = listen(SAGA)
        transport.send([(SAGA, note("a"))])
        assert listener.wait(LONG)

    def test_it_can_wait_when_the_process_has_many_files_open(self, listen: Listen) -> None:
        """``select`` cannot: a worker with hundreds of children has more than 1024."""
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        files = []
        try:
            while not files or files[-1] < 1100:
                files.append(os.dup(0))
            listener = listen(SAGA)
            assert not listener.wait(0.05)
            listener.wake()
            assert listener.wait(LONG)
        finally:
            for each in files:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def end_session_of(listener: Any) -> None:
    """Another session ends the listener's, as an administrator would."""
    raw = listener._connection.connection
    with connections[settings.DATABASE].cursor() as cursor:
        if listener._connection.vendor == "postgresql":
            cursor.execute("SELECT pg_terminate_backend(%s)", [raw.info.backend_pid])
        else:
            cursor.execute("KILL %s", [raw.thread_id()])
