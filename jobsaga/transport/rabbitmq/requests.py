"""Where the requests of other services arrive, and how they are answered: a connection and a thread of their own.

They share nothing with the connection of the sagas, so nothing that a stranger sends can break or slow that one. The
thread sleeps in the connection until something comes; every request is handled here, one after the other, and
acknowledged when it has been. One that cannot be handled now (the database is away) is tried again a little later,
while others go on; the broker gives it to another host if this one ends. One that never can be becomes a dead
letter: the window is small, and what stays in it for ever keeps the others out.

An answer goes to the queue that the request names, as a courtesy: if it is lost, the request is said again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Event, Thread
from typing import Any, NamedTuple

import pika
from pika.delivery_mode import DeliveryMode
from pika.exceptions import AMQPError

from jobsaga.remote.contract import REQUESTS
from jobsaga.transport.base import backoff, is_worth_telling
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.headers import Connection
from jobsaga.transport.rabbitmq.queues import DEAD

logger = logging.getLogger("jobsaga.remote")

PREFETCH = 20
FIRST_PAUSE, LAST_PAUSE = 0.1, 3.0


class Asked(NamedTuple):
    """A request as it came, after so many tries; ``reply_to`` is empty if nobody waits for an answer."""

    body: bytes
    reply_to: str = ""
    correlation_id: str = ""
    tries: int = 0


class Answer(NamedTuple):
    """What is sent back."""

    kind: str
    id: str
    body: bytes
    correlation_id: str


#: Handles one request. Raises Later for what must be tried again, Hopeless for what need not.
Handler = Callable[[Asked], Answer | None]


class Later(Exception):
    """It cannot be handled now, and that is not its fault."""


class Hopeless(Exception):
    """It cannot be handled, nor even refused: it is for the dead letters."""


class Requests:
    """Takes requests until it is closed, and connects again whenever the connection is lost. *handle* and *ended* are
    called in its thread.
    """

    def __init__(self, address: Address, handle: Handler, *, ended: Callable[[], None]) -> None:
        self.address, self._handle, self._ended = address, handle, ended
        self._closing = Event()
        self._connection: Any = None
        self._answers: Any = None
        self._thread = Thread(target=self._run, name="jobsaga-requests", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def close(self, timeout: float = 10.0) -> None:
        """Handle the request in hand to its end and take no more."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            with suppress(AMQPError):  # it may just have been closed
                connection.add_callback_threadsafe(lambda: None)
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._serve_always()
        finally:
            self._ended()

    def _serve_always(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                self._connection = pika.BlockingConnection(
                    self.address.parameters,
                    _impl_class=Connection,  # type: ignore[arg-type]  # it is the class
                )
                self._serve(self._connection)
                failures = 0
            except Exception as error:  # noqa: BLE001 - whatever it is, the next connection may do without
                failures = failures + 1 if self._answers is None else 0
                pause = min(LAST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 10)) * (0.5 + random.random() / 2)
                if is_worth_telling(failures) or not isinstance(error, AMQPError | OSError):
                    self._tell(error, pause)
                self._closing.wait(pause)
            finally:
                self._hang_up()

    def _serve(self, connection: Any) -> None:
        channel = connection.channel()
        for endpoint in (DEAD, REQUESTS):
            queue = self.address.queues.of(endpoint)
            channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
        channel.basic_qos(prefetch_count=PREFETCH)
        channel.add_on_cancel_callback(lambda _: channel.close())  # the queue was deleted: declare it again
        channel.basic_consume(self.address.queues.name(REQUESTS), self._delivered)
        self._answers = connection.channel()
        logger.info("Requests of other services are taken at %s", self.address.queues.name(REQUESTS))
        while not self._closing.is_set() and channel.is_open:
            connection.process_data_events(time_limit=None)

    def _delivered(self, channel: Any, method: Any, properties: Any, body: bytes, tries: int = 0) -> None:
        if not self._closing.is_set() and channel.is_open:
            # To handle a whole window of slow ones takes longer than the broker waits for a sign of life.
            self._connection.process_data_events(time_limit=0)
        if self._closing.is_set() or not channel.is_open:
            return  # it goes to another host
        # What is no text names no queue.
        reply_to = properties.reply_to if isinstance(properties.reply_to, str) else ""
        asked = Asked(body, reply_to, properties.correlation_id or properties.message_id or "", tries)
        try:
            answer = self._handle(asked)
        except Later as why:
            if is_worth_telling(tries + 1):
                logger.warning("A request must wait: %s", why)
            again = partial(self._delivered, channel, method, properties, body, tries + 1)
            self._connection.call_later(backoff(tries), again)
            return
        except Hopeless:
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        if answer is not None:
            self._answer(asked.reply_to, answer)
        channel.basic_ack(method.delivery_tag)

    def _answer(self, reply_to: str, answer: Answer) -> None:
        if not self._answers.is_open:
            self._answers = self._connection.channel()
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=DeliveryMode.Persistent,
            type=answer.kind,
            message_id=answer.id,
            correlation_id=answer.correlation_id or None,
        )
        self._answers.basic_publish("", reply_to, answer.body, properties)

    def _tell(self, error: Exception, pause: float) -> None:
        text = "No requests can be taken at %s, tried again in %.1f s: %s"
        said = str(error) or type(error).__name__
        if isinstance(error, AMQPError | OSError):
            logger.warning(text, self.address.label, pause, said)
        else:
            logger.error(text, self.address.label, pause, said, exc_info=error)

    def _hang_up(self) -> None:
        connection, self._connection, self._answers = self._connection, None, None
        if connection is not None and connection.is_open:
            with suppress(AMQPError):  # it may be gone, which is what was wanted
                connection.close()
