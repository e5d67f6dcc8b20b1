"""The desk beside a saga host: there with RabbitMQ, unless the settings say that no other service may ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobsaga.conf import settings

if TYPE_CHECKING:
    from jobsaga.engine.engine import Engine


@contextmanager
def desk_beside(engine: Engine) -> Iterator[None]:
    """Take requests while the host of this *engine* runs."""
    if engine.transport.transactional or not settings.REMOTE_REQUESTS:
        yield
        return
    from jobsaga.transport.rabbitmq.transport import RabbitMQTransport

    if not isinstance(engine.transport, RabbitMQTransport):
        yield
        return
    from django.db import connections

    from jobsaga.desk.desk import Desk
    from jobsaga.transport.rabbitmq.requests import Requests

    address = engine.transport.address
    requests = Requests(address, Desk(address.queues.are).handle, ended=connections.close_all)
    requests.start()
    try:
        yield
    finally:
        requests.close()
