"""``memory://``: a queue within one process, for tests.

With a ``Memory`` it takes part in the transactions of the memory store; alone it is a transport as any
that is not transactional. What is sent is encoded and decoded for real.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import count
from threading import Condition, RLock
from uuid import UUID

from jobsaga.clock import Clock, SystemClock
from jobsaga.memory import Memory, Queued
from jobsaga.messages import encode
from jobsaga.remote.events import Announcement
from jobsaga.transport.base import NO_BROKER, SAGA, Delivery, Outgoing, Receipt, backoff


class MemoryTransport:
    """All endpoints of one process. Received messages come again if they are neither acked nor deferred."""

    def __init__(self, memory: Memory | None = None, clock: Clock | None = None) -> None:
        self.transactional = memory is not None
        self.memory = memory or Memory()
        self.clock = clock or SystemClock()
        self._ids = count(1)
        self._arrived = Condition(RLock())
        self._hints: dict[str, int] = {}

    def send(self, messages: Sequence[Outgoing]) -> None:
        with self.memory.transaction():
            for endpoint, message in messages:
                self.memory.queue[next(self._ids)] = Queued(endpoint, encode(message))
        self._notify({endpoint for endpoint, _ in messages})

    def receive(self, endpoint: str, limit: int) -> list[Delivery]:
        now = self.clock.now()
        with self.memory.transaction():
            visible = [
                Delivery(endpoint, each.body, key, each.tries)
                for key, each in sorted(self.memory.queue.items())
                if each.endpoint == endpoint and (each.visible_at is None or each.visible_at <= now)
            ]
        return visible[:limit]

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        with self.memory.transaction():
            for delivery in deliveries:
                self.memory.queue.pop(delivery.token, None)

    def defer(self, deliveries: Sequence[Delivery]) -> None:
        with self.memory.transaction():
            for delivery in deliveries:
                self.memory.defer(delivery.token, self.clock.now(), backoff(delivery.tries))

    def still_before(
        self, deliveries: Sequence[Delivery], received: Sequence[Delivery]
    ) -> list[tuple[Delivery, str]]:
        in_hand = {each.token for each in received}
        return [
            (late, early.body)
            for key, early in self.memory.queue.items()
            for late in deliveries
            if key not in in_hand and key < late.token and early.endpoint == late.endpoint
        ]

    def take(self, endpoint: str, limit: int) -> list[Delivery]:
        with self.memory.transaction():
            deliveries = self.receive(endpoint, limit)
            self.ack(deliveries)
        return deliveries

    def hint(self) -> None:
        self._notify({SAGA})

    def publish_events(self, events: Sequence[Announcement]) -> Receipt:
        return NO_BROKER

    def drop(self, endpoint: str) -> None:
        with self.memory.transaction():
            for key in [key for key, each in self.memory.queue.items() if each.endpoint == endpoint]:
                del self.memory.queue[key]

    def tidy(self, now: datetime, limit: int) -> None:
        """It all goes with the process."""

    def listen(self, endpoint: str) -> MemoryListener:
        return MemoryListener(self, endpoint)

    def is_open(self, endpoint: str) -> bool:
        return True

    def reaches(self, instance_id: UUID) -> bool:
        return True

    def is_current(self) -> bool:
        return True

    def is_connected(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held."""

    def _notify(self, endpoints: set[str]) -> None:
        with self._arrived:
            for endpoint in endpoints:
                self._hints[endpoint] = self._hints.get(endpoint, 0) + 1
            self._arrived.notify_all()

    def wait_for(self, endpoint: str, seen: int, timeout: float) -> int:
        """Wait until more was said to *endpoint* than *seen*; how much has been."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._hints.get(endpoint, 0) > seen, timeout)
            return self._hints.get(endpoint, 0)


class MemoryListener:
    """Waits for one endpoint of a memory transport."""

    def __init__(self, transport: MemoryTransport, endpoint: str) -> None:
        self.transport, self.endpoint, self._seen = transport, endpoint, -1

    def wait(self, timeout: float) -> bool:
        before = self._seen
        self._seen = self.transport.wait_for(self.endpoint, before, timeout)
        return self._seen > before

    def wake(self) -> None:
        self.transport._notify({self.endpoint})

    def close(self) -> None:
        """Nothing is held."""
