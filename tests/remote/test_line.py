"""The client's line to a broker that is slow."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from jobsaga.remote import JobClient, line
from jobsaga.transport.rabbitmq.requests import Requests
from tests.private_broker import at
from tests.remote.test_client import ready

pytestmark = [pytest.mark.rabbitmq, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def slow(url: str) -> Iterator[str]:
    """A way to the same broker, whose every word comes a little later."""
    parts, threads = urlsplit(url), list[Thread]()
    server = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket, seconds: float) -> None:
        with suppress(OSError), source:
            while data := source.recv(65536):
                time.sleep(seconds)
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    def begin(*ways: tuple[socket.socket, socket.socket, float]) -> None:
        threads.extend(Thread(target=carry, args=way) for way in ways)
        for each in threads[-len(ways) :]:
            each.start()

    def accept() -> None:
        with suppress(OSError), server:
            while True:
                client, _ = server.accept()
                broker = socket.create_connection((parts.hostname or "", parts.port or 5672))
                begin((client, broker, 0), (broker, client, 0.3))

    threads.append(Thread(target=accept))
    threads[0].start()
    yield at(url, server.getsockname()[1])
    server.shutdown(socket.SHUT_RDWR)
    for each in threads:
        each.join(5)


def test_a_broker_that_confirms_later_than_it_is_waited_for(
    desk: Requests, client: JobClient, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is said again, and then waited for longer: else the answer would come too late each time."""
    ready(client)
    monkeypatch.setattr(line, "CONFIRM_TIMEOUT", 0.2)
    with JobClient(slow, timeout=40) as patient:
        assert patient.get_job_state(UUID(int=1)).current_state == "NotFound"
