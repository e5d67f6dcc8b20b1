"""The channel for public events, without a broker: what comes late or not at all confirms nothing."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from jobsaga.transport.rabbitmq.announcer import Announcer, Batch
from tests.store.rows import announcement


class FakeChannel:
    """A channel, in a test's hand."""

    def __init__(self) -> None:
        self.is_open = True
        self.published: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.__dict__.__setitem__(f"on_{name}", (*args, *kwargs.values())[-1])

    def basic_publish(self, exchange: str, key: str, body: bytes, properties: Any) -> None:
        self.published.append(properties.message_id)

    def close(self) -> None:
        self.is_open = False


class FakeConnection:
    """Opens channels when it is told to."""

    def __init__(self) -> None:
        self.opening: list[Callable[[Any], None]] = []

    def channel(self, on_open_callback: Callable[[Any], None]) -> None:
        self.opening.append(on_open_callback)

    def opens(self) -> FakeChannel:
        channel = FakeChannel()
        self.opening.pop()(channel)
        return channel


def ack(tag: int, *, multiple: bool = False) -> Any:
    return SimpleNamespace(method=SimpleNamespace(delivery_tag=tag, multiple=multiple))


class TestAnnouncer:
    """The channel of the events, and what comes late on it."""

    def test_a_confirmation_of_a_channel_that_was_given_up_confirms_nothing(self) -> None:
        """Its numbers begin anew on the next channel: an event would be lost that the broker never got."""
        announcer, connection = Announcer("events"), FakeConnection()
        slow, later = Batch([announcement()]), Batch([announcement()])
        announcer.accept(connection, slow)
        old = connection.opens()
        old.on_exchange_declare(None)
        announcer.give_up(slow)
        assert not old.is_open
        announcer.accept(connection, later)
        new = connection.opens()
        old.on_exchange_declare(None)
        assert new.published == []
        new.on_exchange_declare(None)
        old.on_confirm_delivery(ack(1))
        assert later.taken == set()
        new.on_confirm_delivery(ack(1))
        assert later.taken == {later.events[0].id}
        assert later.settled.is_set()

    def test_a_channel_that_opens_late_is_the_one_that_is_used(self) -> None:
        announcer, connection = Announcer("events"), FakeConnection()
        first, second = Batch([announcement()]), Batch([announcement()])
        announcer.accept(connection, first)
        announcer.give_up(first)
        announcer.accept(connection, second)
        assert len(connection.opening) == 1
        channel = connection.opens()
        channel.on_exchange_declare(None)
        assert channel.published == [str(second.events[0].id)]

    def test_one_word_may_confirm_many(self) -> None:
        announcer, connection = Announcer("events"), FakeConnection()
        batch = Batch([announcement() for _ in range(4)])
        announcer.accept(connection, batch)
        channel = connection.opens()
        channel.on_exchange_declare(None)
        channel.on_confirm_delivery(ack(3, multiple=True))
        assert batch.taken == {each.id for each in batch.events[:3]}
        assert not batch.settled.is_set()
        channel.on_confirm_delivery(ack(4))
        assert batch.settled.is_set()

    def test_when_the_connection_is_lost_what_is_not_confirmed_is_not_taken(self) -> None:
        announcer, connection = Announcer("events"), FakeConnection()
        batch = Batch([announcement(), announcement()])
        announcer.accept(connection, batch)
        channel = connection.opens()
        channel.on_exchange_declare(None)
        channel.on_confirm_delivery(ack(1))
        announcer.lose("it is gone", closed=True)
        assert (batch.taken, batch.error) == ({batch.events[0].id}, "it is gone")
        assert batch.settled.is_set()
