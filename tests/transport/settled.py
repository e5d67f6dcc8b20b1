"""RabbitMQ for tests in which nothing may come later: what was sent here has arrived before it is received."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from jobsaga.transport.base import SAGA, Delivery, Outgoing
from jobsaga.transport.rabbitmq.transport import FOR_ROWS, RabbitMQTransport

SOON = 20.0


class SettledTransport(RabbitMQTransport):
    """Waits in ``receive`` for as many messages as were sent. Endpoints of instances exist before they are sent to."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.sent: Counter[str] = Counter()
        #: Whether the endpoints that it sends to are made before, as if their owners were there.
        self.declares_for_others = True

    def send(self, messages: Sequence[Outgoing]) -> None:
        for endpoint, _ in messages if self.declares_for_others else ():
            self.here.inbox(endpoint)
        super().send(messages)
        self.sent.update(endpoint for endpoint, message in messages if not isinstance(message, FOR_ROWS))

    def receive(self, endpoint: str, limit: int) -> list[Delivery]:
        self.settle(endpoint)
        return super().receive(endpoint, limit)

    def drop(self, endpoint: str) -> None:
        super().drop(endpoint)
        self.sent[endpoint] = 0

    def settle(self, endpoint: str = SAGA) -> None:
        """Wait until what was sent has arrived; what lies in the window is as good as arrived."""
        inbox, end = self.here.inbox(endpoint), time.monotonic() + SOON
        while (inbox.arrived < self.sent[endpoint] and len(inbox) < 150) or not self.here.link.is_up:
            assert time.monotonic() < end, f"{inbox.arrived} of {self.sent[endpoint]} messages at {endpoint}"
            time.sleep(0.001)
