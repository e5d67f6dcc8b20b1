"""What belongs to one process: its connection, its inboxes, who waits for them; and what comes back to it."""

from __future__ import annotations

import logging
import time
from threading import Event, Lock
from uuid import UUID

from jobsaga.clock import SystemClock
from jobsaga.conf import settings
from jobsaga.messages import CancelKind, JobAttemptCanceled, StartJob, decode, encode
from jobsaga.transport.base import SAGA, Listener
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.inbox import Inbox
from jobsaga.transport.rabbitmq.link import Link
from jobsaga.transport.rabbitmq.outbox import Parcel
from jobsaga.transport.rabbitmq.queues import DEAD

logger = logging.getLogger("jobsaga.transport")

#: Seconds for which no slot is given on an instance from which a message came back.
REST = 2.0


class Ends:
    """The endpoints of this process, and its link to the broker."""

    def __init__(self, address: Address) -> None:
        self.link = Link(address, self._came_back, self._wake_all)
        #: Instances that have no queue, and until when they are left alone.
        self.unreachable: dict[UUID, float] = {}
        self._lock = Lock()
        self._inboxes: dict[str, Inbox] = {}
        self._ears: dict[str, set[Listener]] = {}

    def inbox(self, endpoint: str) -> Inbox:
        """What has come at this endpoint. Asked for the first time, it is consumed from then on."""
        with self._lock:
            inbox = self._inboxes.get(endpoint)
            if inbox is None:
                inbox = self._inboxes[endpoint] = Inbox(endpoint, lambda: self._wake(endpoint))
                self.link.consume(inbox, settings.CONCURRENT_MESSAGE_LIMIT if endpoint == SAGA else 0)
        return inbox

    def known(self, endpoint: str) -> Inbox | None:
        """The inbox, if the endpoint is consumed."""
        return self._inboxes.get(endpoint)

    def drop(self, endpoint: str) -> Event:
        """Delete the endpoint; set when that is done."""
        with self._lock:
            self._inboxes.pop(endpoint, None)
        return self.link.delete(endpoint)

    def is_unreachable(self, instance_id: UUID) -> bool:
        """Whether no message can reach this instance now, as far as is known here."""
        if not self.link.is_up or self.link.is_blocked:
            return True
        return self.unreachable.get(instance_id, 0.0) > time.monotonic()

    def add(self, endpoint: str, ear: Listener) -> None:
        """Wake this one when something comes."""
        for each in (endpoint, DEAD) if endpoint == SAGA else (endpoint,):
            self.inbox(each)
        with self._lock:
            self._ears[endpoint] = self._ears.get(endpoint, set()) | {ear}

    def remove(self, endpoint: str, ear: Listener) -> None:
        """No longer."""
        with self._lock:
            self._ears[endpoint] = self._ears.get(endpoint, set()) - {ear}

    def _wake(self, endpoint: str) -> None:
        for ear in self._ears.get(SAGA if endpoint == DEAD else endpoint, ()):
            ear.wake()

    def _wake_all(self) -> None:
        for endpoint in list(self._ears):
            self._wake(endpoint)

    def _came_back(self, parcel: Parcel) -> None:
        """Its instance has no queue: it has ended, or is only just connecting. A start goes elsewhere at once."""
        message = decode(parcel.body, "instance")
        if not isinstance(message, StartJob):
            return  # a worker that lives learns of a cancel by its heartbeat
        logger.warning("Worker %s cannot be reached: its job starts elsewhere", message.instance_id)
        now = time.monotonic()
        resting = {key: until for key, until in self.unreachable.items() if until > now}
        self.unreachable = {**resting, message.instance_id: now + REST}
        said = JobAttemptCanceled(
            job_id=message.job_id,
            attempt_id=message.attempt_id,
            timestamp=SystemClock().now(),
            reason="Its worker could not be reached",
            kind=CancelKind.NOT_STARTED,
        )
        self.inbox(SAGA).put_own(encode(said).encode())


class Ear:
    """Waits for one endpoint: for what the connection brings, and for what *waiter* hears elsewhere."""

    def __init__(self, ends: Ends, endpoint: str, waiter: Listener) -> None:
        self._ends, self._endpoint, self._waiter = ends, endpoint, waiter
        ends.add(endpoint, self)

    def wait(self, timeout: float) -> bool:
        """At most *timeout* seconds."""
        return self._waiter.wait(timeout)

    def wake(self) -> None:
        """Make ``wait`` return, from any thread."""
        self._waiter.wake()

    def close(self) -> None:
        """Wait no more. What has come stays where it is."""
        self._ends.remove(self._endpoint, self)
        self._waiter.close()


class Bell:
    """Is rung by this process only. Rung once at the start: something may have come before."""

    def __init__(self) -> None:
        self._rung = Event()
        self._rung.set()

    def wait(self, timeout: float) -> bool:
        """At most *timeout* seconds."""
        rung = self._rung.wait(timeout)
        self._rung.clear()
        return rung

    def wake(self) -> None:
        """Ring."""
        self._rung.set()

    def close(self) -> None:
        """There is nothing to free."""
