"""The contract, filled by RabbitMQ with a database beside it; and what only a broker can get wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobsaga.clock import ManualClock
from jobsaga.store.django import DjangoStore
from jobsaga.transport.base import SAGA, Transport
from jobsaga.transport.rabbitmq.address import Address
from tests.brokers import clean_up, transport_url
from tests.transport.contract import Post, TransportContract, reasons
from tests.transport.settled import SettledTransport

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
def url() -> Iterator[str]:
    """Queues of this test's own."""
    url = transport_url()
    yield url
    clean_up(url)


@pytest.fixture
def post(url: str) -> Iterator[Post]:
    clock, made = ManualClock(), list[SettledTransport]()

    def make() -> Transport:
        made.append(SettledTransport(Address(url), clock=clock))
        return made[-1]

    yield Post(make(), clock, DjangoStore().transaction, make)
    for each in made:
        each.close()


@pytest.mark.django_db
class TestRabbitMQTransport(TransportContract):
    def test_what_was_sent_is_there_for_another_process(self, post: Post) -> None:
        """What another has received and not acknowledged comes back when its connection ends."""
        post.send("a", "b")
        post.transport.close()
        another = post.another()
        another.sent[SAGA] = 2  # type: ignore[attr-defined]
        assert reasons(another.take(SAGA, 1)) == ["a"]
        another.close()
        third = post.another()
        third.sent[SAGA] = 1  # type: ignore[attr-defined]
        assert reasons(third.take(SAGA, 10)) == ["b"]
