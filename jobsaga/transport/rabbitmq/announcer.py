"""Public events: an exchange that anyone can bind a queue to, and a channel of its own on which they are published.

It has a channel of its own because the broker closes a channel for what it does not like: an event that is too large
for it must not disturb what the sagas say to the workers. The one at fault is then found by sending them one by one,
and never sent again.

Nobody may be listening: an event that finds no queue is confirmed, and gone. The channel is opened, and the exchange
declared, when there is something to publish.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import takewhile
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

import pika
from pika.delivery_mode import DeliveryMode

from jobsaga.remote.events import Announcement
from jobsaga.transport.base import Receipt

if TYPE_CHECKING:
    from pika.channel import Channel

#: Seconds to wait for the broker's word on a batch. The sender's database transaction rests meanwhile, and it would
#: be ended after five.
PATIENCE = 4.0
#: AMQP's word for a message that is not acceptable: with a body that is too large, above all.
PRECONDITION_FAILED = 406


class Batch:
    """Events on their way, and what has become of them."""

    def __init__(self, events: Sequence[Announcement]) -> None:
        self.events, self.taken = events, set[UUID]()
        self.error = ""
        #: The broker has refused one of them, and did not say which.
        self.has_misfit = False
        self.settled = Event()

    def fail(self, why: str, *, misfit: bool = False) -> None:
        """The rest of them cannot be sent now."""
        if not self.settled.is_set():
            self.error, self.has_misfit = self.error or why, misfit
            self.settled.set()


class Announcer:
    """Publishes one batch after the other. Everything here runs in the connection's thread."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self._channel: Channel | None = None
        self._is_opening = self._is_ready = False
        self._batch: Batch | None = None
        #: What is not confirmed yet, by the number the channel gave it.
        self._unconfirmed: dict[int, UUID] = {}
        self._last = 0

    def accept(self, connection: Any, batch: Batch) -> None:
        """Publish these on this connection."""
        self.lose("others came after it", closed=False)
        self._batch = batch
        if self._is_ready:
            self._publish()
        elif self._channel is None and not self._is_opening:
            self._is_opening = True
            connection.channel(on_open_callback=self._opened)

    def give_up(self, batch: Batch) -> None:
        """There was no word on these in time: what may still be said of them is not wanted any more."""
        if self._batch is not batch:
            return
        self._batch, channel = None, self._channel
        if channel is not None:
            self._forget_channel()
            if channel.is_open:
                channel.close()

    def lose(self, why: str, *, closed: bool) -> None:
        """Nothing can be sent now; with *closed* the channel is gone too."""
        if closed:
            self._is_opening = False
            self._forget_channel()
        batch, self._batch = self._batch, None
        self._unconfirmed = {}
        if batch is not None:
            batch.fail(why)

    def _forget_channel(self) -> None:
        self._channel, self._is_ready, self._unconfirmed, self._last = None, False, {}, 0

    def _opened(self, channel: Channel) -> None:
        self._channel, self._is_opening = channel, False
        channel.add_on_close_callback(self._closed)
        # A channel that was given up may still have something to say, in numbers that mean others by now.
        channel.confirm_delivery(lambda frame: self._confirmed(channel, frame))
        channel.exchange_declare(
            self.exchange, "topic", durable=True, callback=lambda _: self._declared(channel)
        )

    def _declared(self, channel: Channel) -> None:
        if channel is self._channel:
            self._is_ready = True
            self._publish()

    def _publish(self) -> None:
        channel, batch = self._channel, self._batch
        if batch is None or channel is None or not channel.is_open:
            return
        for each in batch.events:
            self._last += 1
            self._unconfirmed[self._last] = each.id
            channel.basic_publish(self.exchange, each.routing_key, each.body.encode(), _properties(each))

    def _confirmed(self, channel: Channel, frame: Any) -> None:
        if channel is not self._channel:
            return
        tag, batch = frame.method.delivery_tag, self._batch
        tags = (
            list(takewhile(lambda each: each <= tag, self._unconfirmed)) if frame.method.multiple else [tag]
        )
        ids = [self._unconfirmed.pop(each) for each in tags if each in self._unconfirmed]
        if batch is None or not ids:
            return
        if isinstance(frame.method, pika.spec.Basic.Nack):
            batch.error = "it does not take the events: is a queue full that is bound to the exchange?"
        else:
            batch.taken.update(ids)
        if not self._unconfirmed:
            self._batch = None
            batch.settled.set()

    def _closed(self, channel: Channel, reason: BaseException) -> None:
        if channel is not self._channel:
            return
        misfit = self._is_ready and getattr(reason, "reply_code", 0) == PRECONDITION_FAILED
        if misfit and self._batch is not None:
            self._batch.fail(str(getattr(reason, "reply_text", reason)), misfit=True)
        self.lose(f"the channel for events was closed: {reason}", closed=True)


def _properties(event: Announcement) -> pika.BasicProperties:
    return pika.BasicProperties(
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=DeliveryMode.Persistent,
        message_id=str(event.id),
        timestamp=int(event.at.timestamp()),
        type=event.kind,
        app_id="jobsaga",
    )


class Announces(Protocol):
    """The connection, as far as it is needed here."""

    def announce(self, batch: Batch) -> None:
        """Publish these; they are settled when the broker has said something on all of them."""

    def give_up(self, batch: Batch) -> None:
        """Wait no longer for these."""


def publish(link: Announces, events: Sequence[Announcement], patience: float = PATIENCE) -> Receipt:
    """Publish *events* in order, from any thread, and wait for the broker's word: at most *patience* seconds."""
    end = time.monotonic() + patience
    first = _sent(link, events, end)
    if not first.has_misfit:
        return Receipt(taken=frozenset(first.taken), error=first.error)
    taken, refused, error = set(first.taken), dict[UUID, str](), ""
    for event in (each for each in events if each.id not in first.taken):
        alone = _sent(link, [event], end)
        taken |= alone.taken
        if alone.has_misfit:
            refused[event.id] = alone.error
        elif alone.error:
            error = alone.error
            break
    return Receipt(taken=frozenset(taken), refused=refused, error=error)


def _sent(link: Announces, events: Sequence[Announcement], end: float) -> Batch:
    batch = Batch(events)
    link.announce(batch)
    if not batch.settled.wait(max(0.0, end - time.monotonic())):
        batch.fail("it has not confirmed the events in time")
        link.give_up(batch)
    return batch
