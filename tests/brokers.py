"""The broker that tests use, and how they keep apart on it.

``JOBSAGA_TEST_AMQP_URL`` names it; without, it is RabbitMQ on this machine with its own guest. Each test has queues
of its own, by a prefix, and they are deleted with it. ``JOBSAGA_TEST_TRANSPORT=rabbitmq`` makes every site that a
test deploys use RabbitMQ. ``JOBSAGA_TEST_RABBITMQ_VERSION`` is the release that the caller means to test with: CI
sets it, and another broker than that fails the run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from uuid import UUID, uuid4

import pika
from pika.exceptions import AMQPError

from jobsaga.remote.contract import REQUESTS
from jobsaga.transport.base import SAGA, instance_endpoint
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.queues import DEAD

logging.getLogger("pika").setLevel(logging.CRITICAL)  # a failed test shows what jobsaga says
#: Whether the sites of this run use RabbitMQ.
IS_CHOSEN = os.environ.get("JOBSAGA_TEST_TRANSPORT") == "rabbitmq"


def broker_url() -> str:
    """The URL of the broker that tests use."""
    return os.environ.get("JOBSAGA_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")


def transport_url(base: str = "") -> str:
    """A URL for JOBSAGA["TRANSPORT"], with queues that nobody else uses."""
    return f"{base or broker_url()}?queue_prefix=test-{uuid4().hex[:12]}"


def why_unavailable() -> str:
    """The reason why no test can use the broker, or an empty string: it answers."""
    address = Address(broker_url())
    try:
        pika.BlockingConnection(address.parameters).close()
    except (AMQPError, OSError) as error:
        return f"{address.label} can't be used ({error or type(error).__name__})"
    return ""


def version() -> str:
    """The release of the broker that tests use, by its own word. Raises what a connection raises."""
    connection = pika.BlockingConnection(Address(broker_url()).parameters)
    said = connection._impl.server_properties["version"]
    connection.close()
    return said.decode() if isinstance(said, bytes) else str(said)


def clean_up(url: str, instances: Iterable[UUID] = (), endpoints: Iterable[str] = ()) -> None:
    """Delete the queues of a test: the sagas', the dead one, and those of its workers."""
    address = Address(url)
    try:
        connection = pika.BlockingConnection(address.parameters)
    except (AMQPError, OSError):
        return  # the test had a broker of its own, and it is gone
    channel = connection.channel()
    for endpoint in {SAGA, DEAD, REQUESTS, *map(instance_endpoint, instances), *endpoints}:
        channel.queue_delete(address.queues.name(endpoint))
    connection.close()
