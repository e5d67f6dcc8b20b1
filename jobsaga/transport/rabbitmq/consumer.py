"""One endpoint's channel: it declares the queue, consumes, and puts what comes into the inbox.

When the broker cancels a consumer (its queue was deleted, its node left, it was too slow), the queue is declared
again and consumed again. Everything here runs in the connection's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from jobsaga.transport.base import SAGA
from jobsaga.transport.rabbitmq.inbox import Ack, Inbox
from jobsaga.transport.rabbitmq.queues import DEAD, Queue

if TYPE_CHECKING:
    from pika.channel import Channel

logger = logging.getLogger("jobsaga.transport")

#: How many messages may be delivered and not acknowledged; of the sagas' as many as they handle at once.
PREFETCH = {SAGA: 500, DEAD: 20}
INSTANCE_PREFETCH = 200
#: Seconds until a cancelled consumer comes back.
COME_BACK_AFTER = 0.2


class Consumer:
    """Consumes one endpoint on one connection. ``is_ready`` while the broker delivers."""

    def __init__(
        self,
        inbox: Inbox,
        queue: Queue,
        *,
        settled: Callable[[], None],
        failed: Callable[[str], None],
        later: Callable[[float, Callable[[], None]], object],
        prefetch: int,
    ) -> None:
        self.inbox, self.queue, self.prefetch = inbox, queue, prefetch
        self._settled, self._failed, self._later = settled, failed, later
        self._channel: Channel | None = None
        self._life = 0
        self._closing = False
        self.is_ready = False

    def open(self, connection: Any) -> None:
        """Begin, on a channel of its own."""
        connection.channel(on_open_callback=self._opened)

    def close(self) -> None:
        """Consume no more: what is not acknowledged goes to others."""
        self._closing, self.is_ready = True, False
        if self._channel is not None and self._channel.is_open:
            self._channel.close()

    def ack(self, life: int, acks: Iterable[Ack]) -> None:
        """Acknowledge, if it is the same channel still."""
        if self._channel is None or not self._channel.is_open or life != self._life:
            return
        for tag, multiple in acks:
            self._channel.basic_ack(tag, multiple)

    def _opened(self, channel: Channel) -> None:
        self._channel, self._life = channel, self.inbox.begin()
        channel.add_on_close_callback(self._closed)
        channel.add_on_cancel_callback(self._cancelled)
        channel.basic_qos(prefetch_count=self.prefetch)
        self._declare()

    def _declare(self) -> None:
        channel = self._channel
        if channel is None or not channel.is_open or self._closing:
            return
        channel.queue_declare(
            self.queue.name, durable=True, arguments=self.queue.arguments, callback=self._declared
        )

    def _declared(self, _: Any) -> None:
        if self._channel is not None and self._channel.is_open and not self._closing:
            self._channel.basic_consume(self.queue.name, self._delivered, callback=self._consuming)

    def _consuming(self, _: Any) -> None:
        self.is_ready = True
        self._settled()
        self.inbox.wake()

    def _delivered(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        self.inbox.put(self._life, method.delivery_tag, body, properties.headers)

    def _cancelled(self, _: Any) -> None:
        self.is_ready = False
        if not self._closing:
            logger.warning("RabbitMQ has ended the consumer of %s: it begins anew", self.queue.name)
            self._later(COME_BACK_AFTER, self._declare)

    def _closed(self, _: Any, reason: BaseException) -> None:
        self._channel, self.is_ready = None, False
        if not self._closing:
            self._failed(f"the channel of {self.queue.name} was closed: {reason}")
