"""A worker is announced when it can be reached: a start that came before would come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest
from django.conf import settings
from django.db import connections

from jobsaga.consumers import consumers
from jobsaga.messages import SetConcurrentJobLimit
from jobsaga.models import TransportMessage
from jobsaga.transport.base import SAGA
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.transport import RabbitMQTransport
from jobsaga.worker.inline import InlineExecutor
from jobsaga.worker.instance import Instance
from tests.brokers import clean_up, transport_url
from tests.faults.proxy import Proxy
from tests.private_broker import at
from tests.processes import wait_for

pytestmark = [pytest.mark.rabbitmq, pytest.mark.django_db(transaction=True)]
ALIAS = settings.JOBSAGA["DATABASE"]


class Watched(RabbitMQTransport):
    """Counts the looks into its queue, and notes for each announcement whether the broker has the worker's queue."""

    looks = 0
    endpoint = ""

    def __init__(self, address: Address, broker: Address) -> None:
        super().__init__(address)
        self.broker = broker
        self.was_there: list[bool] = []

    def take(self, endpoint: str, limit: int) -> Any:
        self.looks += 1
        return super().take(endpoint, limit)

    def send(self, messages: Any) -> None:
        self.was_there += [
            self._has_queue() for _, each in messages if isinstance(each, SetConcurrentJobLimit)
        ]
        super().send(messages)

    def _has_queue(self) -> bool:
        with pika.BlockingConnection(self.broker.parameters) as connection:
            channel = connection.channel()
            try:
                channel.queue_declare(self.broker.queues.name(self.endpoint), passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return False
            return True


@pytest.fixture
def cable() -> Iterator[tuple[Proxy, Watched]]:
    """A broker that does not answer until the cable is plugged in, and the way to it."""
    url = transport_url()
    parts = urlsplit(url)
    proxy = Proxy((parts.hostname or "", parts.port or 5672))
    proxy.open.clear()
    transport = Watched(Address(at(url, proxy.port)), Address(url))
    yield proxy, transport
    proxy.open.set()
    transport.close()
    proxy.close()
    clean_up(url, endpoints=[transport.endpoint])


def test_a_worker_is_announced_when_its_queue_is_there_and_not_before(cable: tuple[Proxy, Watched]) -> None:
    proxy, transport = cable
    instance = Instance(InlineExecutor(), transport, consumers.all()[:2])
    transport.endpoint = instance.endpoint
    for part in (instance.receiver, instance.lease, instance.reporter):
        part._after = connections.close_all  # type: ignore[attr-defined]
    announced = TransportMessage.objects.using(ALIAS).filter(endpoint=SAGA)
    try:
        instance.begin()
        wait_for(lambda: transport.looks >= 2, what="the worker to look for work")
        assert not announced.exists()
        proxy.open.set()
        wait_for(lambda: announced.count() == 2, what="the worker to be announced")
        assert transport.was_there == [True, True]
    finally:
        instance.receiver.close()
        instance.lease.close()
        instance.reporter.close()
