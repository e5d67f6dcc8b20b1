"""The queues: their names, and the arguments they are declared with.

A queue can only be declared again with the very same arguments, so these never change: a change would be
another version, with names of its own. All of them are durable and none is exclusive; RabbitMQ 3.10 to 4.x
takes them, and no plugin is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from jobsaga.broker_url import PREFIX, queue_name
from jobsaga.remote.contract import REQUESTS
from jobsaga.transport.base import SAGA

#: The endpoint of what RabbitMQ itself has given up.
DEAD = "dead"
#: How often a message is given to another saga host after the one before it ended without handling it.
DELIVERY_LIMIT = 20
#: Milliseconds after which the queue of a worker that is gone for good is gone too.
INSTANCE_EXPIRES = 30 * 60 * 1000


@dataclass(frozen=True)
class Queue:
    """A queue as it is declared."""

    name: str
    arguments: dict[str, Any]
    durable: Literal[True] = True


@dataclass(frozen=True)
class Queues:
    """The queues of one site. Two sites in one virtual host need different prefixes."""

    prefix: str = PREFIX

    def of(self, endpoint: str) -> Queue:
        """The queue of an endpoint."""
        if endpoint in (SAGA, REQUESTS):
            return Queue(self.name(endpoint), self._lasting())
        if endpoint == DEAD:
            return Queue(self.name(DEAD), {"x-queue-type": "classic"})
        return Queue(self.name(endpoint), {"x-queue-type": "classic", "x-expires": INSTANCE_EXPIRES})

    def name(self, endpoint: str) -> str:
        """The name of an endpoint's queue."""
        return queue_name(self.prefix, endpoint)

    @property
    def events(self) -> str:
        """The exchange of the public events. Strangers bind to it: its name and kind stay, whatever the version."""
        return f"{self.prefix}.events"

    def are(self, name: str) -> bool:
        """Whether a queue of this name is one of these."""
        return name.startswith(self.name(""))

    def _lasting(self) -> dict[str, Any]:
        """Replicated; and what is given up is handed to the dead queue before it is forgotten here."""
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.name(DEAD),
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
