"""What is to be sent, and what was sent and is not confirmed yet.

Messages are published in a window: up to so many may be unconfirmed, and nobody waits for them one by one.

A message to the sagas belongs to the caller until it is confirmed: when the connection is lost he is told, and
takes another way. A message to a worker is as good as known, since its row says it already; it is kept for as long
as the row would wait for it, and sent when the connection is back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from threading import Event

from jobsaga.transport.base import SAGA

WINDOW = 1000
#: Seconds for which a message to a worker is kept; after that the sagas start its attempt elsewhere.
KEEP = 15.0


class Shipment:
    """What one caller sends, and waits for."""

    def __init__(self, count: int) -> None:
        self._left, self.error = count, ""
        self.settled = Event()

    def one_less(self) -> None:
        """One of its messages is settled."""
        self._left -= 1
        if self._left <= 0:
            self.settled.set()

    def fail(self, why: str) -> None:
        """It cannot be sent: the caller has to find another way."""
        self.error = self.error or why
        self.settled.set()


@dataclass(eq=False, slots=True)
class Parcel:
    """One message on its way."""

    endpoint: str
    body: bytes
    kind: str
    expires_at: float
    shipment: Shipment | None = None
    #: The broker knows no such queue.
    returned: bool = False

    @property
    def is_for_sagas(self) -> bool:
        """Whether its sender keeps it until it is confirmed."""
        return self.endpoint == SAGA

    def settle(self) -> None:
        """Nobody needs to wait for it any longer."""
        if self.shipment is not None:
            self.shipment.one_less()
            self.shipment = None


@dataclass
class Outbox:
    """Belongs to the connection's thread."""

    waiting: deque[Parcel] = field(default_factory=deque)
    #: By the number the channel gave it.
    unconfirmed: dict[int, Parcel] = field(default_factory=dict)
    #: The number of the last that was published.
    last: int = 0

    def next(self, now: float) -> Parcel | None:
        """The next to be published, which is unconfirmed from now on; None if there is none, or no room."""
        while self.waiting and len(self.unconfirmed) < WINDOW:
            parcel = self.waiting.popleft()
            if parcel.is_for_sagas and parcel.shipment is not None and parcel.shipment.error:
                continue  # its sender has found another way
            if not parcel.is_for_sagas and parcel.expires_at < now:
                parcel.settle()
                continue
            self.last += 1
            self.unconfirmed[self.last] = parcel
            return parcel
        return None

    def confirmed(self, tag: int, *, multiple: bool) -> Iterator[Parcel]:
        """The broker's word on this one, or on all up to it."""
        tags = list(takewhile(lambda each: each <= tag, self.unconfirmed)) if multiple else [tag]
        for each in tags:
            parcel = self.unconfirmed.pop(each, None)
            if parcel is not None:
                yield parcel

    def lose(self, why: str, *, forget: bool) -> None:
        """Nothing can be sent: senders are told, what is kept is put back in order. Without *forget* the channel
        stays, and with it what it has not confirmed yet.
        """
        lost = [*self.unconfirmed.values(), *self.waiting] if forget else [*self.waiting]
        for parcel in (*self.unconfirmed.values(), *self.waiting):
            if parcel.is_for_sagas and parcel.shipment is not None:
                parcel.shipment.fail(why)
            elif not parcel.is_for_sagas:
                parcel.settle()
        self.waiting = deque(parcel for parcel in lost if not parcel.is_for_sagas)
        if forget:
            self.unconfirmed, self.last = {}, 0
            for parcel in self.waiting:
                parcel.returned = False
