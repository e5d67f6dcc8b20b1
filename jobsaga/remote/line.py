"""The line to the broker of a client: one connection, driven by the thread that asks, for as long as it waits.

A request is published on the default exchange, confirmed by the broker, and must find its queue. The answer comes by
RabbitMQ's direct reply-to. When the connection breaks before the answer is there, the line connects again and says
the same request again: it has an id, and the site carries out each id once.

Between two requests nobody attends to the connection. If the broker has closed it meanwhile, that is noticed by the
next one, which connects again.
"""

from __future__ import annotations

import logging
import os
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import pika
from pika.adapters.select_connection import IOLoop
from pika.delivery_mode import DeliveryMode
from pika.exceptions import (
    AuthenticationError,
    ConnectionClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    StreamLostError,
)

from jobsaga.broker_url import BrokerUrl, Secret, ssl_context
from jobsaga.remote.errors import RemoteUnavailable

DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"
HEARTBEAT = 60
CONNECT_TIMEOUT = 5.0
FIRST_PAUSE, LAST_PAUSE = 0.1, 2.0
#: Seconds. A broker that has just started may forget to confirm: then the request is said again.
CONFIRM_TIMEOUT = 3.0
GOODBYE = 2.0
#: What the broker says when no other try can help: the user, the password, the virtual host.
REFUSALS = (AuthenticationError, ProbableAuthenticationError, ProbableAccessDeniedError)
ACCESS_REFUSED, NOT_ALLOWED = 403, 530


@dataclass
class Parcel:
    """One request on its way. With ``answer`` it waits for one."""

    queue: str
    kind: str
    id: UUID
    body: bytes
    answer: bool = True
    #: Seconds after which the broker throws it away if no saga host has taken it.
    expires: float | None = None
    #: How often it was given to the connection, and whether the broker has confirmed it.
    sent: int = 0
    confirmed: bool = False


class Line:
    """Carries one request at a time."""

    def __init__(self, url: BrokerUrl, password: Secret | None, name: str) -> None:
        self.label, self.why_down = url.label, ""
        self._parameters = _parameters(url, password, name)
        self._loop: Any = None
        self._connection: Any = None
        self._channel: Any = None
        self._parcel: Parcel | None = None
        self._outcome: bytes | Exception | None = None
        self._forget()

    def __repr__(self) -> str:
        return f"<Line to {self.label}>"

    def exchange(self, parcel: Parcel, timeout: float) -> bytes | None:
        """The answer to *parcel*; if it asks for none, empty bytes once the broker has it. None: not within
        *timeout* seconds. Raises RemoteUnavailable.
        """
        if self._loop is None or self._pid != os.getpid():
            self._forget()  # in a fork: the connection is the parent's
            self._loop = IOLoop()
        self._parcel, self._outcome = parcel, None
        timer = self._loop.call_later(timeout, self._loop.stop)
        try:
            if self._channel is not None:
                self._publish()
            elif self._connection is None:
                self._connect()
            self._loop.start()
        except BaseException:  # Ctrl-C, say: nobody knows what the connection was about to do
            self._drop("interrupted")
            raise
        finally:
            self._loop.remove_timeout(timer)
            self._parcel = None
        if isinstance(self._outcome, Exception):
            raise self._outcome from None
        if self._outcome is None and not parcel.confirmed:
            self._drop("it does not answer")
        return self._outcome

    def close(self) -> None:
        """Take leave of the broker."""
        connection = self._connection
        if self._pid == os.getpid() and connection is not None:
            if connection.is_open:
                self._closing = True
                connection.close()
                self._loop.call_later(GOODBYE, self._loop.stop)
                self._loop.start()
            self._drop("closed")
        self._forget()

    def _forget(self) -> None:
        if self._loop is not None:
            self._loop.close()
        self._pid, self._loop = os.getpid(), None
        self._connection = self._channel = self._parcel = self._outcome = None
        self._failures, self._closing = 0, False
        self._is_blocked = False
        #: Counts what was published, and says which of it the broker has confirmed last.
        self._published = self._confirmed_last = 0

    def _connect(self) -> None:
        if self._parcel is None:
            return
        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=self._lost,
            on_close_callback=self._lost,
            custom_ioloop=self._loop,
        )

    def _opened(self, channel: Any) -> None:
        self._connection.add_on_connection_blocked_callback(self._blocked)
        self._connection.add_on_connection_unblocked_callback(self._unblocked)
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._confirmed, callback=lambda _: self._listen(channel))

    def _listen(self, channel: Any) -> None:
        def listens(_: Any) -> None:
            self._channel, self._failures = channel, 0
            self._publish()

        channel.basic_consume(DIRECT_REPLY_TO, self._answered, auto_ack=True, callback=listens)

    def _publish(self) -> None:
        parcel = self._parcel
        if parcel is None or self._outcome is not None:
            return
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=DeliveryMode.Persistent,
            type=parcel.kind,
            message_id=str(parcel.id),
            correlation_id=str(parcel.id),
            reply_to=DIRECT_REPLY_TO if parcel.answer else None,
            expiration=None if parcel.expires is None else str(max(1, int(parcel.expires * 1000))),
        )
        patience = CONFIRM_TIMEOUT * 2**parcel.sent  # one that is only slow must be outwaited
        parcel.sent, self.why_down = parcel.sent + 1, ""
        self._channel.basic_publish("", parcel.queue, parcel.body, properties, mandatory=True)
        self._published += 1
        self._loop.call_later(patience, partial(self._check, self._published))

    def _check(self, number: int) -> None:
        if (
            self._parcel is not None
            and number == self._published > self._confirmed_last
            and not self._is_blocked
        ):
            self._drop("it has not confirmed the request")

    # What the broker says

    def _answered(self, _: Any, __: Any, properties: Any, body: bytes) -> None:
        """An answer to an earlier request, for which nobody waits any more, is passed over."""
        if self._parcel is not None and properties.correlation_id == str(self._parcel.id):
            self._end(body)

    def _confirmed(self, frame: Any) -> None:
        self._confirmed_last = self._published
        if self._parcel is None:
            return
        if isinstance(frame.method, pika.spec.Basic.Nack):
            self._end(self._unavailable("takes no more requests: is its queue full?"))
        else:
            self._parcel.confirmed = True
            if not self._parcel.answer:
                self._end(b"")

    def _returned(self, _: Any, __: Any, properties: Any, ___: bytes) -> None:
        if self._parcel is not None and properties.message_id == str(self._parcel.id):
            said = (
                f"has no queue {self._parcel.queue!r}: has a saga host of the site run with this broker,"
                ' with JOBSAGA["REMOTE_REQUESTS"], and is the queue_prefix the same?'
            )
            self._end(self._unavailable(said))

    def _blocked(self, _: Any, frame: Any) -> None:
        self._is_blocked = True
        self.why_down = f"it takes no messages for now: {frame.method.reason}"

    def _unblocked(self, *_: Any) -> None:
        self._is_blocked, self.why_down = False, ""

    def _channel_closed(self, _: Any, reason: BaseException) -> None:
        self._channel = None
        if getattr(reason, "reply_code", 0) == ACCESS_REFUSED:
            self._end(self._unavailable(f"refuses this user: {reason}"))
        self._drop(f"the channel was closed: {reason}")

    def _lost(self, connection: Any, error: BaseException | str) -> None:
        if connection is not self._connection:
            return
        self._connection = self._channel = None
        self._is_blocked = False
        if self._closing:
            self._loop.stop()
            return
        self.why_down, refused = _told(error)
        if refused:
            self._end(self._unavailable(f"refuses this user: {self.why_down}"))
        elif self._parcel is not None:
            self._failures += 1
            pause = min(LAST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
            self._loop.call_later(pause * (0.5 + random.random() / 2), self._connect_again)

    def _connect_again(self) -> None:
        if self._connection is None:
            self._connect()

    def _unavailable(self, said: str) -> RemoteUnavailable:
        return RemoteUnavailable(
            f"RabbitMQ at {self.label} {said}", self._parcel.id if self._parcel else None
        )

    def _end(self, outcome: bytes | Exception) -> None:
        if self._outcome is None and self._parcel is not None:
            self._outcome = outcome
            self._loop.stop()

    def _drop(self, why: str) -> None:
        """End the connection without a word; a request that waits goes out on the next one."""
        connection, self._channel = self._connection, None
        if connection is not None and not connection.is_closed:
            connection._terminate_stream(StreamLostError(why))


def _parameters(url: BrokerUrl, password: Secret | None, name: str) -> pika.ConnectionParameters:
    secret = url.password if url.password is not None else password
    context = ssl_context(url)
    options = pika.SSLOptions(context, url.options.get("server_name") or url.host) if context else None
    return pika.ConnectionParameters(
        host=url.host,
        port=url.port,
        virtual_host=url.virtual_host,
        credentials=pika.PlainCredentials(url.username, Secret("guest") if secret is None else secret),
        heartbeat=HEARTBEAT,
        socket_timeout=CONNECT_TIMEOUT,
        stack_timeout=2 * CONNECT_TIMEOUT,
        connection_attempts=1,
        ssl_options=options,
        client_properties={"connection_name": name},
    )


def _told(error: BaseException | str) -> tuple[str, bool]:
    """What went wrong, in words, and whether no other try can help: pika wraps errors in others without a text."""
    while not isinstance(error, str):
        if isinstance(error, REFUSALS):
            return f"{type(error).__name__}: {error}", True
        if isinstance(error, ConnectionClosedByBroker) and error.reply_code in (ACCESS_REFUSED, NOT_ALLOWED):
            return error.reply_text, True
        inner = [*getattr(error, "exceptions", ()), getattr(error, "exception", None), *error.args]
        found = [each for each in inner if isinstance(each, BaseException)]
        if not found:
            return (f"{type(error).__name__}: {error}" if str(error) else type(error).__name__), False
        error = found[-1]
    return error, False


def quiet() -> None:
    """The library tells of every step, and of failures several times. Who has given its logger a level wants that."""
    logger = logging.getLogger("pika")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


def seconds_left(end: float) -> float:
    """Until a moment of ``time.monotonic``; never less than a moment."""
    return max(0.001, end - time.monotonic())
