"""The carrying: between the sagas and the workers, over the site's database, RabbitMQ or, in tests, in memory."""

from __future__ import annotations

from functools import lru_cache

from jobsaga.broker_url import PORTS
from jobsaga.conf import settings
from jobsaga.transport.base import Transport


def default_transport() -> Transport:
    """The transport of this process, as JOBSAGA["TRANSPORT"] says."""
    return _transport(settings.TRANSPORT, settings.TRANSPORT_PASSWORD, settings.DATABASE)


def client_transport() -> Transport:
    """The transport for what a client says inside its own transaction.

    With a broker that is the database too: what a client says must exist exactly when its transaction commits,
    and must not wait for a broker. The saga hosts read both.
    """
    if settings.TRANSPORT.startswith("memory:"):
        return default_transport()
    return _transport("database://", None, settings.DATABASE)


@lru_cache(maxsize=8)
def _transport(url: str, password: str | None, alias: str) -> Transport:
    from jobsaga.transport.database import DatabaseTransport
    from jobsaga.transport.memory import MemoryTransport

    scheme = url.partition(":")[0]
    if scheme in PORTS:
        from jobsaga.transport.rabbitmq.address import Address
        from jobsaga.transport.rabbitmq.transport import RabbitMQTransport

        return RabbitMQTransport(Address(url, password), alias)
    return MemoryTransport() if scheme == "memory" else DatabaseTransport(alias)
