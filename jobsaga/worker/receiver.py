"""What the instance is told: start messages and cancels, taken from its endpoint by a thread of its own.

A start message is acknowledged when it is taken, and its attempt is *claimed* in the same transaction: one that
was given up in the meantime can no longer be, and is dropped. So an attempt that was handed to another worker
never starts here as well, however late its message came.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event, Thread
from uuid import UUID

import msgspec

from jobsaga.messages import CancelJobAttempt, Message, StartJob, decode
from jobsaga.transport.base import Delivery, Transport

logger = logging.getLogger("jobsaga.worker")

BATCH = 200
PAUSE = 1.0


class Receiver:
    """Takes from one endpoint, claims, and hands on. *deliver* and *opened* are called by the receiver's thread."""

    def __init__(
        self,
        transport: Transport,
        endpoint: str,
        *,
        transaction: Callable[[], AbstractContextManager[object]],
        claim: Callable[[list[StartJob]], list[StartJob]],
        deliver: Callable[[list[StartJob | CancelJobAttempt]], None],
        opened: Callable[[], None],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self.transport, self.endpoint = transport, endpoint
        self._transaction, self._claim, self._deliver, self._after = transaction, claim, deliver, after
        self._opened, self._is_open = opened, False
        #: Start messages whose transaction failed, perhaps only after its commit: they are claimed again.
        self._unsure: dict[UUID, StartJob] = {}
        self._closing = Event()
        self._listener = transport.listen(endpoint)
        self._thread = Thread(target=self._run, name="jobsaga-receiver", daemon=True)

    def start(self) -> None:
        """Begin to receive."""
        self._thread.start()

    def close(self, timeout: float = 10) -> None:
        """Receive nothing more."""
        self._closing.set()
        self._listener.wake()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if not self._thread.is_alive():
            self._listener.close()

    def open(self) -> None:
        """Call *opened*, once, if messages can come by now. The thread asks again until they can."""
        if not self._is_open and self.transport.is_open(self.endpoint):
            self._opened()
            self._is_open = True

    def receive(self) -> int:
        """Take and hand on what is there; how many messages."""
        with self._transaction():
            deliveries = self.transport.take(self.endpoint, BATCH)
            messages = [message for each in deliveries if (message := _decoded(each)) is not None]
            self._unsure |= {each.attempt_id: each for each in messages if isinstance(each, StartJob)}
            claimed = self._claim(list(self._unsure.values())) if self._unsure else []
        wanted: list[StartJob | CancelJobAttempt] = [*claimed]
        wanted += (each for each in messages if isinstance(each, CancelJobAttempt))
        self._unsure.clear()
        if wanted:
            self._deliver(wanted)
        return len(deliveries)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self.open()
                if self.receive() < BATCH:
                    self._listener.wait(PAUSE)
            except Exception as error:  # noqa: BLE001 - whatever it is, this thread goes on
                logger.warning("Messages could not be received, tried again in %.0f s: %s", PAUSE, error)
                self._closing.wait(PAUSE)
            finally:
                self._after()


def _decoded(delivery: Delivery) -> StartJob | CancelJobAttempt | None:
    """What cannot be read is logged and dropped: its attempt goes elsewhere after its start timeout."""
    try:
        message: Message = decode(delivery.body, "instance")
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        logger.error("A message to this worker cannot be read: %s: %.200s", error, delivery.body)
        return None
    assert isinstance(message, StartJob | CancelJobAttempt)
    return message
