"""What needs no broker: what is declared, what is acknowledged, what is sent again."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from jobsaga.remote.contract import REQUESTS
from jobsaga.transport.base import SAGA, instance_endpoint
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.inbox import Ack, Inbox, Token
from jobsaga.transport.rabbitmq.outbox import KEEP, WINDOW, Outbox, Parcel, Shipment
from jobsaga.transport.rabbitmq.queues import DEAD, Queue, Queues
from tests.transport.contract import NOW

INSTANCE = instance_endpoint(UUID(int=1))


def test_the_queues_are_declared_as_ever() -> None:
    """A running site has these queues: other arguments need another version in their names."""
    queues = Queues("shop")
    for endpoint in (SAGA, REQUESTS):
        assert queues.of(endpoint) == Queue(
            f"shop.v1.{endpoint}",
            {
                "x-queue-type": "quorum",
                "x-delivery-limit": 20,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": "shop.v1.dead",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
    assert queues.of(DEAD) == Queue("shop.v1.dead", {"x-queue-type": "classic"})
    assert queues.of(INSTANCE) == Queue(
        "shop.v1.instance-00000000000000000000000000000001",
        {"x-queue-type": "classic", "x-expires": 1_800_000},
    )


@pytest.mark.parametrize("endpoint", [SAGA, REQUESTS, DEAD, INSTANCE])
def test_nothing_is_declared_that_rabbitmq_4_refuses(endpoint: str) -> None:
    """Transient queues that are not exclusive, mirrored queues, the plugin for delays."""
    queue = Queues().of(endpoint)
    assert queue.durable
    assert queue.name.startswith("jobsaga.v1.")
    assert set(queue.arguments) <= {
        "x-queue-type", "x-delivery-limit", "x-dead-letter-exchange", "x-dead-letter-routing-key",
        "x-dead-letter-strategy", "x-overflow", "x-expires",
    }  # fmt: skip


def test_what_every_connection_has() -> None:
    parameters = Address("amqp://shop@rabbit:5673/%2Fvideos", "$ecret").parameters
    assert (parameters.host, parameters.port, parameters.virtual_host) == ("rabbit", 5673, "/videos")
    assert (parameters.credentials.username, parameters.credentials.password) == ("shop", "$ecret")
    assert (parameters.heartbeat, parameters.blocked_connection_timeout) == (10, 60)
    assert parameters.ssl_options is None


def test_with_tls_the_certificate_is_checked() -> None:
    parameters = Address("amqps://rabbit/").parameters
    assert parameters.port == 5671
    assert parameters.ssl_options is not None
    assert parameters.ssl_options.context.check_hostname
    assert parameters.ssl_options.server_hostname == "rabbit"


def test_a_password_in_the_url_goes_before_the_setting() -> None:
    assert Address("amqp://a:b%2Fc@rabbit/", "other").parameters.credentials.password == "b/c"


class TestInbox:
    def inbox(self, count: int) -> tuple[Inbox, int]:
        inbox = Inbox(SAGA)
        life = inbox.begin()
        for tag in range(1, count + 1):
            inbox.put(life, tag, b"%d" % tag)
        return inbox, life

    def test_all_below_the_lowest_that_is_held_is_acknowledged_at_once(self) -> None:
        inbox, life = self.inbox(5)
        done = [Token(life, tag) for tag in (1, 2, 4)]
        assert inbox.done(done) == (life, [Ack(2, multiple=True), Ack(4, multiple=False)])
        assert [token.tag for token, _ in inbox.visible(NOW, 10)] == [3, 5]
        assert inbox.done([Token(life, 5)]) == (life, [Ack(5, multiple=False)])
        assert inbox.done([Token(life, 3)]) == (life, [Ack(3, multiple=True)])

    def test_nothing_is_acknowledged_twice(self) -> None:
        inbox, life = self.inbox(2)
        assert inbox.done([Token(life, 2), Token(life, 2)]) == (life, [Ack(2, multiple=False)])
        assert inbox.done([Token(life, 2)]) == (life, [])

    def test_what_is_deferred_is_held_and_not_acknowledged(self) -> None:
        inbox, life = self.inbox(2)
        inbox.defer(Token(life, 1), NOW + timedelta(seconds=1))
        assert [token.tag for token, _ in inbox.visible(NOW, 10)] == [2]
        assert inbox.done([Token(life, 2)]) == (life, [Ack(2, multiple=False)])
        assert [held.tries for _, held in inbox.visible(NOW + timedelta(seconds=1), 10)] == [1]

    def test_a_new_channel_forgets_what_came_by_the_old_one_but_not_our_own(self) -> None:
        inbox, life = self.inbox(2)
        inbox.put_own(b"own")
        again = inbox.begin()
        assert [held.body for _, held in inbox.visible(NOW, 10)] == [b"own"]
        inbox.put(life, 3, b"late")
        assert inbox.done([Token(life, 1), Token(0, 1)]) == (again, [])


class TestOutbox:
    def parcel(self, endpoint: str, shipment: Shipment, expires_at: float = KEEP) -> Parcel:
        return Parcel(endpoint, b"{}", "T", expires_at, shipment)

    def test_no_more_than_a_window_is_unconfirmed(self) -> None:
        outbox, shipment = Outbox(), Shipment(WINDOW + 1)
        outbox.waiting.extend(self.parcel(SAGA, shipment) for _ in range(WINDOW + 1))
        sent = [outbox.next(0) for _ in range(WINDOW + 1)]
        assert sent[-1] is None
        assert len(list(outbox.confirmed(10, multiple=True))) == 10
        assert outbox.next(0) is not None

    def test_a_lost_channel_fails_reports_and_keeps_what_is_for_workers(self) -> None:
        outbox, reports, starts = Outbox(), Shipment(1), Shipment(2)
        outbox.waiting += [
            self.parcel(INSTANCE, starts), self.parcel(SAGA, reports), self.parcel(INSTANCE, starts)
        ]  # fmt: skip
        first = outbox.next(0)
        outbox.next(0)
        outbox.lose("gone", forget=True)
        assert (reports.error, starts.error) == ("gone", "")
        assert reports.settled.is_set()
        assert starts.settled.is_set()
        assert outbox.next(0) is first
        assert outbox.last == 1, "a new channel counts from one"
        assert outbox.next(KEEP + 1) is None, "its attempt has been given up by now"

    def test_while_the_broker_is_blocked_the_channel_goes_on_counting(self) -> None:
        outbox, reports = Outbox(), Shipment(2)
        outbox.waiting += [self.parcel(SAGA, reports), self.parcel(SAGA, reports)]
        sent = outbox.next(0)
        outbox.lose("blocked", forget=False)
        assert reports.error == "blocked"
        assert outbox.next(0) is None
        assert list(outbox.confirmed(1, multiple=False)) == [sent]
        assert outbox.last == 1
