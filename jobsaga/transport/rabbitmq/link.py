"""The one connection of a process, and the thread that owns it.

pika may be used by one thread only, so everything that touches the connection runs in this one: other threads
hand it functions (``call``), and wait for an event where they must. No handler of a message runs in it, so that
heartbeats are answered whatever the site does.

It connects when it is first used, and again, with growing and random pauses, whenever the connection is lost.
It is *up* once the queues are there and every endpoint of this process is consumed; only then is anything
published.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

from pika.adapters.select_connection import IOLoop
from pika.exceptions import AMQPError, StreamLostError

from jobsaga.transport.base import is_worth_telling
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.announcer import Announcer, Batch
from jobsaga.transport.rabbitmq.consumer import INSTANCE_PREFETCH, PREFETCH, Consumer
from jobsaga.transport.rabbitmq.headers import Connection
from jobsaga.transport.rabbitmq.inbox import Ack, Inbox
from jobsaga.transport.rabbitmq.outbox import KEEP, Parcel, Shipment
from jobsaga.transport.rabbitmq.publisher import Publisher

logger = logging.getLogger("jobsaga.transport")
#: Tells of every step, and tells failures several times: what matters is said here. A site's LOGGING may differ.
pikas_logger = logging.getLogger("pika")

FIRST_PAUSE, LAST_PAUSE = 0.1, 3.0


class Link:
    """Connects, publishes, consumes. ``why_down`` says what is wrong; empty: it is up, or about to be."""

    def __init__(
        self, address: Address, came_back: Callable[[Parcel], None], on_up: Callable[[], None] = lambda: None
    ) -> None:
        self.address, self._on_up = address, on_up
        self.is_up = self.is_blocked = False
        self.why_down = ""
        self._loop: Any = None
        self._lock = Lock()
        self._thread: Thread | None = None
        self._connection: Any = None
        self._publisher = Publisher(
            address.queues, may_publish=self._may_publish, came_back=came_back, failed=self._break
        )
        self._announcer = Announcer(address.queues.events)
        self._consumers: dict[str, Consumer] = {}
        self._failures, self._up_since = 0, 0.0
        self._is_begun = self._closing = False

    # For any thread

    def call(self, function: Callable[[], object]) -> bool:
        """Run it in the connection's thread, soon; False if that has ended."""
        self.start()
        with self._lock:
            if not self._closing:
                self._loop.add_callback_threadsafe(function)
            return not self._closing

    def start(self) -> None:
        """Connect, if that was not begun yet."""
        with self._lock:
            if self._thread is None and not self._closing:
                if pikas_logger.level == logging.NOTSET:
                    pikas_logger.setLevel(logging.CRITICAL)
                self._loop = IOLoop()
                self._thread = Thread(target=self._run, name="jobsaga-rabbitmq", daemon=True)
                self._thread.start()

    def consume(self, inbox: Inbox, prefetch: int = 0) -> None:
        """Fill this inbox from its endpoint from now on."""
        self.call(lambda: self._add(inbox, prefetch))

    def forget(self, endpoint: str) -> None:
        """Consume it no longer."""
        self.call(lambda: self._remove(endpoint))

    def consumes(self, endpoint: str) -> bool:
        """Whether its queue is there, and the broker delivers from it."""
        consumer = self._consumers.get(endpoint)
        return self.is_up and consumer is not None and consumer.is_ready

    def ack(self, endpoint: str, life: int, acks: list[Ack]) -> None:
        """Acknowledge what came at this endpoint in this life of its channel."""
        if acks:
            self.call(lambda: self._ack(endpoint, life, acks))

    def ship(self, messages: list[tuple[str, str, bytes]]) -> Shipment:
        """Publish (endpoint, type, body) in order; the shipment is settled when the broker has them all."""
        shipment, expires_at = Shipment(len(messages)), time.monotonic() + KEEP
        parcels = [Parcel(endpoint, body, kind, expires_at, shipment) for endpoint, kind, body in messages]
        if not self.call(lambda: self._accept(shipment, parcels)):
            shipment.fail("the connection is closed")
        return shipment

    def announce(self, batch: Batch) -> None:
        """Publish these events in order; they are settled when the broker has said something on all of them."""
        if not self.call(lambda: self._announce(batch)):
            batch.fail("the connection is closed")

    def give_up(self, batch: Batch) -> None:
        """Wait no longer for the broker's word on these."""
        self.call(lambda: self._announcer.give_up(batch))

    def delete(self, endpoint: str) -> Event:
        """Delete this endpoint's queue; set when that is done, or cannot be."""
        done = Event()
        if not self.call(lambda: self._delete(endpoint, done)):
            done.set()
        return done

    def distrust(self) -> None:
        """Connect anew: the broker does not answer."""
        self.call(lambda: self._break("it does not answer") if self.is_up and not self.is_blocked else None)

    def up_for(self) -> float:
        """Seconds since it was last connected; 0: it is not."""
        return time.monotonic() - self._up_since if self.is_up else 0.0

    def close(self, timeout: float = 5.0) -> None:
        """Take leave of the broker; what it has not been told by then is lost."""
        with self._lock:
            self._closing, thread = True, self._thread
        if thread is not None and thread.is_alive():
            self._loop.add_callback_threadsafe(self._say_goodbye)
            thread.join(timeout)

    # Everything from here on runs in the connection's thread

    def _run(self) -> None:
        self._connect()
        while True:
            try:
                self._loop.start()
                self._loop.close()
                return
            except Exception as error:
                logger.exception("The connection to RabbitMQ failed in an unforeseen way")
                self._break(str(error))

    def _connect(self) -> None:
        if self._closing:
            return
        self._connection = Connection(
            self.address.parameters,
            on_open_callback=self._opened,
            on_open_error_callback=self._lost,
            on_close_callback=self._lost,
            custom_ioloop=self._loop,
        )

    def _opened(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(lambda _, frame: self._blocked(frame.method.reason))
        connection.add_on_connection_unblocked_callback(lambda *_: self._unblocked())
        self._publisher.open(connection, self._begin)

    def _begin(self) -> None:
        self._is_begun = True
        for consumer in self._consumers.values():
            consumer.open(self._connection)
        self._settled()

    def _settled(self) -> None:
        """Something is ready; perhaps now everything is."""
        if not self._is_begun or not all(each.is_ready for each in self._consumers.values()):
            return
        if not self.is_up:
            logger.info("Connected to RabbitMQ at %s", self.address.label)
            self.is_up, self.why_down, self._failures = True, "", 0
            self._up_since = time.monotonic()
            self._on_up()
        self._publisher.pump()

    def _add(self, inbox: Inbox, prefetch: int) -> None:
        if inbox.endpoint in self._consumers:
            return
        consumer = Consumer(
            inbox,
            self.address.queues.of(inbox.endpoint),
            settled=self._settled,
            failed=self._break,
            later=self._loop.call_later,
            prefetch=prefetch or PREFETCH.get(inbox.endpoint, INSTANCE_PREFETCH),
        )
        self._consumers[inbox.endpoint] = consumer
        if self._is_begun:
            consumer.open(self._connection)

    def _remove(self, endpoint: str) -> None:
        consumer = self._consumers.pop(endpoint, None)
        if consumer is not None:
            consumer.close()
            self._settled()

    def _ack(self, endpoint: str, life: int, acks: list[Ack]) -> None:
        if endpoint in self._consumers:
            self._consumers[endpoint].ack(life, acks)

    def _delete(self, endpoint: str, done: Event) -> None:
        self._remove(endpoint)
        self._publisher.delete(endpoint, done)

    def _accept(self, shipment: Shipment, parcels: list[Parcel]) -> None:
        self._publisher.accept(shipment, parcels, self.why_down)

    def _announce(self, batch: Batch) -> None:
        if self.is_up and not self.is_blocked:
            self._announcer.accept(self._connection, batch)
        else:
            batch.fail(self.why_down or "it is not connected yet")

    def _may_publish(self) -> bool:
        return self.is_up and not self.is_blocked and all(each.is_ready for each in self._consumers.values())

    # When something goes wrong

    def _blocked(self, reason: object) -> None:
        logger.warning("RabbitMQ at %s takes no messages for now: %s", self.address.label, reason)
        self.is_blocked, self.why_down = True, f"it is blocked: {reason}"
        self._publisher.lose(self.why_down, closed=False)
        self._announcer.lose(self.why_down, closed=False)

    def _unblocked(self) -> None:
        logger.info("RabbitMQ at %s takes messages again", self.address.label)
        self.is_blocked, self.why_down = False, ""
        self._on_up()
        self._publisher.pump()

    def _break(self, why: str) -> None:
        """End the connection at once, without a word; ``_lost`` follows."""
        connection = self._connection
        if connection is not None and not connection.is_closed:
            connection._terminate_stream(StreamLostError(why))

    def _lost(self, connection: Any, error: BaseException | str) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        self.is_up = self.is_blocked = self._is_begun = False
        self.why_down = _innermost(error)
        for consumer in self._consumers.values():
            consumer.is_ready = False
        self._publisher.lose(self.why_down, closed=True)
        self._announcer.lose(self.why_down, closed=True)
        if self._closing:
            self._loop.stop()
            return
        self._failures += 1
        pause = min(LAST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10)) * (0.5 + random.random() / 2)
        logger.log(
            logging.WARNING if is_worth_telling(self._failures) else logging.DEBUG,
            "RabbitMQ at %s cannot be reached (%d times), tried again in %.1f s: %s",
            self.address.label, self._failures, pause, self.why_down,
        )  # fmt: skip
        self._loop.call_later(pause, self._connect)

    def _say_goodbye(self) -> None:
        connection = self._connection
        if connection is None or connection.is_closed:
            self._loop.stop()
        elif connection.is_open:
            for consumer in self._consumers.values():
                consumer.close()
            try:
                connection.close()
            except AMQPError:
                self._loop.stop()
        elif not connection.is_closing:
            self._break("it is not wanted any more")  # it is only being made: ``close`` would refuse


def _innermost(error: BaseException | str) -> str:
    """What really went wrong, in words: pika wraps errors in others that have no text."""
    while not isinstance(error, str):
        inner = [*getattr(error, "exceptions", ()), getattr(error, "exception", None), *error.args]
        found = [each for each in inner if isinstance(each, BaseException)]
        if not found:
            return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        error = found[-1]
    return error
