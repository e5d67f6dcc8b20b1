"""The port between sagas and workers, over RabbitMQ.

The sagas read two queues: the broker's, with the reports of the workers, and the rows that clients have written
(``TransportMessage``), which need no broker. What must wait longer than a moment, because someone holds its job's
row, is moved from the broker's queue into the rows. What RabbitMQ has given up, and what is far too large to be one
of our messages, becomes a dead letter in the rows, where people can read it.

While the broker is away nothing is started, since nobody could be told; what runs goes on, and what its worker has
to say of it goes through the rows.

A start message whose worker has no queue comes back; then the sagas are told that it was not started, and start
it elsewhere at once.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from jobsaga.clock import Clock, SystemClock, injected_clock
from jobsaga.conf import settings
from jobsaga.messages import SetConcurrentJobLimit, encode
from jobsaga.models import DeadLetter, TransportMessage, sql
from jobsaga.remote.events import Announcement
from jobsaga.transport.base import SAGA, Delivery, Listener, Outgoing, Receipt, backoff
from jobsaga.transport.database import DatabaseTransport
from jobsaga.transport.rabbitmq import announcer
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.ends import Bell, Ear, Ends
from jobsaga.transport.rabbitmq.inbox import Held, Token
from jobsaga.transport.rabbitmq.letters import is_over, letter, text
from jobsaga.transport.rabbitmq.queues import DEAD
from jobsaga.transport.wakeup import listener

logger = logging.getLogger("jobsaga.transport")

#: What is said only once goes through the rows: the broker may give it to a saga host that is frozen or cut off, and
#: keep it there until it notices.
FOR_ROWS = (SetConcurrentJobLimit,)
#: Seconds to wait until the broker has confirmed what was sent.
CONFIRM_TIMEOUT = 10.0
DELETE_TIMEOUT = 1.0
#: Seconds after which a new connection has brought what was waiting, or the first window of it.
SETTLING = 1.0
#: So often a message is deferred in memory; then it is moved to the rows.
DEFERRED_HERE = 5
#: No message has more bytes than so many of the largest payloads.
LARGEST = 4
DEAD_AT_ONCE = 20


class RabbitMQTransport:
    """The endpoints of one site on a broker. Connects when it is first used, once in each process."""

    transactional = False

    def __init__(self, address: Address, alias: str | None = None, clock: Clock | None = None) -> None:
        self.address, self._clock = address, clock
        self.alias = alias or settings.DATABASE
        self._rows = DatabaseTransport(self.alias, clock)
        self._ends: dict[int, Ends] = {}
        self._is_read_out = False

    def __repr__(self) -> str:
        return f"<RabbitMQTransport {self.address.label}>"

    def send(self, messages: Sequence[Outgoing]) -> None:
        """What the broker does not take goes to the sagas through the rows; what is for a worker is kept here for
        a while, and sent when the broker is back.
        """
        for_rows = [each for each in messages if isinstance(each[1], FOR_ROWS)]
        others = [each for each in messages if not isinstance(each[1], FOR_ROWS)]
        if others and not self._ship(others):
            for_rows += [each for each in others if each[0] == SAGA]
        self._rows.send(for_rows)

    def _ship(self, messages: Sequence[Outgoing]) -> bool:
        """Give them to the broker; False if it does not take them."""
        link = self.here.link
        shipment = link.ship(
            [(endpoint, type(message).__name__, encode(message).encode()) for endpoint, message in messages]
        )
        if not shipment.settled.wait(CONFIRM_TIMEOUT):
            shipment.fail(f"it has not confirmed {len(messages)} messages within {CONFIRM_TIMEOUT:g} s")
            link.distrust()
        if shipment.error:
            logger.info("RabbitMQ at %s takes no messages: %s", self.address.label, shipment.error)
        return not shipment.error

    def receive(self, endpoint: str, limit: int) -> list[Delivery]:
        """Of the sagas' endpoint within a transaction: the rows of clients come first."""
        if endpoint != SAGA:
            return self._delivered(endpoint, limit)
        found = self._rows.receive(SAGA, limit)
        self._bury(DEAD, self.here.inbox(DEAD).visible(self._now(), DEAD_AT_ONCE))
        found += self._delivered(SAGA, limit - len(found))
        self._is_read_out = len(found) < limit
        return found

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        if rows := [each for each in deliveries if not isinstance(each.token, Token)]:
            self._rows.ack(rows)
        for endpoint in {each.endpoint for each in deliveries}:
            self._done(endpoint, [each.token for each in deliveries if each.endpoint == endpoint])

    def defer(self, deliveries: Sequence[Delivery]) -> None:
        ours = [each for each in deliveries if isinstance(each.token, Token)]
        self._rows.defer([each for each in deliveries if not isinstance(each.token, Token)])
        now = self._now()
        for each in ours:
            if each.tries < DEFERRED_HERE:
                until = now + timedelta(seconds=backoff(each.tries))
                self.here.inbox(each.endpoint).defer(each.token, until)
        self._move_to_the_rows([each for each in ours if each.tries >= DEFERRED_HERE])

    def still_before(
        self, deliveries: Sequence[Delivery], received: Sequence[Delivery]
    ) -> list[tuple[Delivery, str]]:
        """Among the rows of clients, where all commands are."""
        ours = [each for each in deliveries if not isinstance(each.token, Token)]
        known = [each for each in received if not isinstance(each.token, Token)]
        return self._rows.still_before(ours, known) if ours else []

    def take(self, endpoint: str, limit: int) -> list[Delivery]:
        if endpoint != SAGA:
            deliveries = self.receive(endpoint, limit)
        else:
            with transaction.atomic(using=self.alias, savepoint=False):
                deliveries = self.receive(endpoint, limit)
        self.ack(deliveries)
        return deliveries

    def hint(self) -> None:
        self._rows.hint()

    def publish_events(self, events: Sequence[Announcement]) -> Receipt:
        return announcer.publish(self.here.link, events)

    def drop(self, endpoint: str) -> None:
        """While the broker is away the queue stays, until it expires."""
        self.here.drop(endpoint).wait(DELETE_TIMEOUT)

    def tidy(self, now: datetime, limit: int) -> None:
        """Queues of the broker expire; what is left of a time without one does not."""
        self._rows.tidy(now, limit)

    def listen(self, endpoint: str) -> Listener:
        return Ear(self.here, endpoint, listener(self.alias, SAGA) if endpoint == SAGA else Bell())

    def is_open(self, endpoint: str) -> bool:
        return self.here.link.consumes(endpoint)

    def reaches(self, instance_id: UUID) -> bool:
        return not self.here.is_unreachable(instance_id)

    def is_current(self) -> bool:
        """Connected for a moment at least, and less came the last time than could have."""
        return self._is_read_out and self.here.link.up_for() >= SETTLING

    def is_connected(self) -> bool:
        link = self.here.link
        return link.is_up and not link.is_blocked

    def why_unreachable(self, timeout: float = 10.0) -> str:
        """Connect, if that was not done yet; why the broker cannot be used, or an empty string: it can."""
        link, end = self.here.link, time.monotonic() + timeout
        link.start()
        while not link.is_up and not link.why_down and time.monotonic() < end:
            time.sleep(0.02)
        return "" if link.is_up else link.why_down or f"it does not answer within {timeout:g} s"

    def close(self) -> None:
        ends = self._ends.pop(os.getpid(), None)
        if ends is not None:
            ends.link.close()

    @property
    def here(self) -> Ends:
        """What belongs to this process: a fork has a connection of its own."""
        pid = os.getpid()
        return self._ends.get(pid) or self._ends.setdefault(pid, Ends(self.address))

    def _now(self) -> datetime:
        return (self._clock or injected_clock() or SystemClock()).now()

    def _delivered(self, endpoint: str, limit: int) -> list[Delivery]:
        largest = LARGEST * settings.MAX_MESSAGE_BYTES
        found = self.here.inbox(endpoint).visible(self._now(), limit)
        too_large = [(token, held) for token, held in found if len(held.body) > largest]
        self._bury(endpoint, too_large)
        return [
            Delivery(endpoint, text(held.body), token, held.tries)
            for token, held in found
            if len(held.body) <= largest
        ]

    def _done(self, endpoint: str, tokens: Sequence[Any]) -> None:
        inbox = self.here.known(endpoint)
        if inbox is not None:
            life, acks = inbox.done(each for each in tokens if isinstance(each, Token))
            self.here.link.ack(endpoint, life, acks)

    def _move_to_the_rows(self, deliveries: Sequence[Delivery]) -> None:
        """Where they keep no place in the window of this host, and any host may have them."""
        if not deliveries:
            return
        now = self._now()
        rows = [
            (each.endpoint, each.body, now + timedelta(seconds=backoff(each.tries)), each.tries + 1)
            for each in deliveries
        ]
        columns = ("endpoint", "body", "visible_at", "tries")
        sql.insert(connections[self.alias], TransportMessage, columns, rows)
        self.ack(deliveries)

    def _bury(self, endpoint: str, found: Sequence[tuple[Token, Held]]) -> None:
        """Write dead letters in the caller's transaction; acknowledged when it commits."""
        if not found:
            return
        now, largest = sql.now(connections[self.alias]), LARGEST * settings.MAX_MESSAGE_BYTES
        letters = [letter(held, now, largest) for _, held in found if not is_over(held)]
        DeadLetter.objects.using(self.alias).bulk_create(letters)
        tokens = [token for token, _ in found]
        transaction.on_commit(lambda: self._done(endpoint, tokens), using=self.alias)
