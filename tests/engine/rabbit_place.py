"""The third place: rows in the test's database, messages through RabbitMQ. Chosen by JOBSAGA_TEST_TRANSPORT."""

from __future__ import annotations

from typing import Any

from jobsaga.clock import Clock
from jobsaga.messages import Message, decode
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.letters import text
from tests.brokers import clean_up, transport_url
from tests.engine.places import DatabasePlace
from tests.transport.settled import SettledTransport

_open: list[RabbitPlace] = []


class RabbitPlace(DatabasePlace):
    """JOBSAGA's database, and queues of its own on the broker until ``close_all``."""

    def __init__(self, clock: Clock | None) -> None:
        super().__init__(clock)
        self.url = transport_url()
        self.transport: Any = SettledTransport(Address(self.url), self.alias, clock)
        _open.append(self)

    def waiting_for(self, endpoint: str) -> list[Message]:
        self.transport.settle(endpoint)
        held = self.transport.here.inbox(endpoint).visible(self.now(), 1000)
        return [decode(text(each.body), "instance") for _, each in held]

    def close(self) -> None:
        sent = list(self.transport.sent)
        self.transport.close()
        clean_up(self.url, endpoints=sent)


def close_all() -> None:
    """End the connections that a test has used, and delete its queues."""
    while _open:
        _open.pop().close()
