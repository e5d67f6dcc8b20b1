"""The channel on which a process publishes: confirmed by the broker, and every message must find a queue.

Everything here runs in the connection's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Any

import pika
from pika.delivery_mode import DeliveryMode

from jobsaga.transport.base import SAGA
from jobsaga.transport.rabbitmq.outbox import Outbox, Parcel, Shipment
from jobsaga.transport.rabbitmq.queues import DEAD, Queues


class Publisher:
    """Declares the queues that are everybody's, and publishes while ``may_publish`` says so.

    *came_back* is given each message to a worker that has no queue.
    """

    def __init__(
        self,
        queues: Queues,
        *,
        may_publish: Callable[[], bool],
        came_back: Callable[[Parcel], None],
        failed: Callable[[str], None],
    ) -> None:
        self.queues, self._may_publish, self._came_back, self._failed = queues, may_publish, came_back, failed
        self._outbox = Outbox()
        self._channel: Any = None
        self._then: Callable[[], None] = lambda: None

    def open(self, connection: Any, then: Callable[[], None]) -> None:
        """Begin on a new connection; *then* is called when the queues are there."""
        self._then = then
        connection.channel(on_open_callback=self._opened)

    def accept(self, shipment: Shipment, parcels: list[Parcel], refused: str) -> None:
        """Send these, unless there is a reason why nothing can be sent."""
        self._outbox.waiting.extend(parcels)
        if refused:
            self._outbox.lose(refused, forget=False)
        self.pump()

    def lose(self, why: str, *, closed: bool) -> None:
        """Nothing can be sent now; with *closed* the channel is gone too."""
        if closed:
            self._channel = None
        self._outbox.lose(why, forget=closed)

    def delete(self, endpoint: str, done: Event) -> None:
        """Delete an endpoint's queue; set when that is done, or cannot be."""
        if self._channel is None or not self._channel.is_open:
            done.set()
            return
        self._channel.queue_delete(self.queues.name(endpoint), callback=lambda _: done.set())

    def pump(self) -> None:
        """Publish what may be published."""
        while self._may_publish() and (parcel := self._outbox.next(time.monotonic())) is not None:
            properties = pika.BasicProperties(
                delivery_mode=DeliveryMode.Persistent,
                content_type="application/json",
                type=parcel.kind,
                message_id=str(self._outbox.last),
            )
            name = self.queues.name(parcel.endpoint)
            self._channel.basic_publish("", name, parcel.body, properties, mandatory=True)

    def _opened(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._closed)
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._confirmed)
        self._declare(self._then)

    def _declare(self, then: Callable[[], None]) -> None:
        """The last answer comes when all are there."""
        for endpoint in (DEAD, SAGA):
            queue = self.queues.of(endpoint)
            callback = (lambda _: then()) if endpoint == SAGA else (lambda _: None)
            self._channel.queue_declare(
                queue.name, durable=True, arguments=queue.arguments, callback=callback
            )

    def _closed(self, channel: Any, reason: BaseException) -> None:
        if channel is self._channel:
            self._failed(f"the channel was closed: {reason}")

    def _returned(self, _: Any, __: Any, properties: Any, ___: bytes) -> None:
        """No such queue. The confirmation follows."""
        parcel = self._outbox.unconfirmed.get(int(properties.message_id))
        if parcel is not None:
            parcel.returned = True

    def _confirmed(self, frame: Any) -> None:
        refused = isinstance(frame.method, pika.spec.Basic.Nack)
        again = []
        for parcel in self._outbox.confirmed(frame.method.delivery_tag, multiple=frame.method.multiple):
            if parcel.is_for_sagas and refused and parcel.shipment is not None:
                parcel.shipment.fail("it does not take the messages: is a queue full?")
            elif parcel.is_for_sagas and parcel.returned:
                parcel.returned = False
                again.append(parcel)
                continue
            elif not parcel.is_for_sagas and (refused or parcel.returned):
                self._came_back(parcel)
            parcel.settle()
        if again:  # somebody has deleted the queue of the sagas
            self._outbox.waiting.extendleft(reversed(again))
            self._declare(self.pump)
        else:
            self.pump()
