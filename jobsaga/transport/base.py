"""The port between the sagas and the workers: what every transport can do.

Two kinds of endpoint: ``saga`` (any saga host takes from it) and one for each worker instance. Messages
are hints of what the rows say already, so a transport may deliver twice, late or out of order; what it has
taken with ``send`` it keeps until it is acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from jobsaga.messages import Message
from jobsaga.remote.events import Announcement

SAGA = "saga"
INSTANCE = "instance-"


def instance_endpoint(instance_id: UUID) -> str:
    """The endpoint of one worker instance."""
    return f"{INSTANCE}{instance_id.hex}"


class Delivery(msgspec.Struct, frozen=True):
    """A message as it came: not yet decoded, not yet acknowledged."""

    endpoint: str
    body: str
    #: What the transport needs to acknowledge it.
    token: Any
    #: How often it was deferred before.
    tries: int = 0


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of public events: the ids of those that the broker has, and why it will never take others. The
    rest may be sent again; ``error`` says why they could not be sent now.
    """

    taken: frozenset[UUID] = frozenset()
    refused: dict[UUID, str] = {}
    error: str = ""


Outgoing = tuple[str, Message]


class Listener(Protocol):
    """Waits for something to arrive at one endpoint. Owned by one thread; ``wake`` is for the others."""

    def wait(self, timeout: float) -> bool:
        """At most *timeout* seconds; True if there may be something to receive, or ``wake`` was called."""

    def wake(self) -> None:
        """Make ``wait`` return, from any thread."""

    def close(self) -> None:
        """Free what it holds."""


class Transport(Protocol):
    """Carries messages between the sagas and the workers."""

    @property
    def transactional(self) -> bool:
        """Whether ``receive``, ``ack`` and ``send`` take part in the store's transaction."""

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Durable when it returns (when the transaction commits, if there is one)."""

    def receive(self, endpoint: str, limit: int) -> list[Delivery]:
        """What is there now, the oldest first; again what was neither acknowledged nor deferred. Does not wait."""

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """These were handled: they do not come again."""

    def defer(self, deliveries: Sequence[Delivery]) -> None:
        """These could not be handled yet: they come again a little later."""

    def still_before(
        self, deliveries: Sequence[Delivery], received: Sequence[Delivery]
    ) -> list[tuple[Delivery, str]]:
        """Of *deliveries* those before which something came that is still there and not among *received*, each with
        the body of that: it was put off, or another host has it in hand.
        """

    def take(self, endpoint: str, limit: int) -> list[Delivery]:
        """Receive and acknowledge in one go: for a worker, whose truth is elsewhere."""

    def hint(self) -> None:
        """Wake the saga hosts: there is something new in the rows. May be lost."""

    def publish_events(self, events: Sequence[Announcement]) -> Receipt:
        """Publish these in order to whoever listens, and wait until the broker has them. Without a broker none is
        taken.
        """

    def drop(self, endpoint: str) -> None:
        """Remove an endpoint with all that waits there."""

    def tidy(self, now: datetime, limit: int) -> None:
        """Remove what still waits for instances that are gone: nobody dropped it, or it was said later. At most
        *limit* messages of each.
        """

    def listen(self, endpoint: str) -> Listener:
        """A way to wait for this endpoint."""

    def is_open(self, endpoint: str) -> bool:
        """Whether what is sent from now on to this endpoint, which is listened to here, is kept for us."""

    def reaches(self, instance_id: UUID) -> bool:
        """Whether a message to this instance would arrive, as far as is known here. Only then is it given a slot."""

    def is_current(self) -> bool:
        """Whether this host has received what has been said to the sagas, as far as is known here."""

    def is_connected(self) -> bool:
        """Whether messages can be sent now, as far as is known here."""

    def close(self) -> None:
        """Free what this process holds."""


#: What a transport says of public events that has no broker.
NO_BROKER = Receipt(error="there is no broker")
#: Seconds before a deferred message comes again: doubling from the first to the last.
FIRST_BACKOFF, LAST_BACKOFF = 0.05, 2.0


def backoff(tries: int) -> float:
    """Seconds to wait before the next try, after so many."""
    return float(min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(tries, 10)))


def is_worth_telling(failures: int) -> bool:
    """Of a failure that repeats: the first, second, fourth, eighth, ... So an outage of hours fills no log."""
    return failures & (failures - 1) == 0
