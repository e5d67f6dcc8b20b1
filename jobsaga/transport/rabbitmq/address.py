"""Where the broker is, and as whom it is asked, in pika's words. It is shown without the password."""

from __future__ import annotations

import pika

from jobsaga.broker_url import BrokerUrl, parse, ssl_context
from jobsaga.transport.rabbitmq.queues import Queues

#: Seconds. A broker that is silent is noticed after two to three heartbeats.
HEARTBEAT = 10
#: Seconds after which a connection is given up that the broker blocks because it is short of disk or memory.
BLOCKED_TIMEOUT = 60.0
CONNECT_TIMEOUT = 5.0
DEFAULT_PASSWORD = "guest"  # noqa: S105 - RabbitMQ's own, good for this machine only


class Address:
    """The broker of a site: its ``parameters`` for pika, the site's ``queues``, and a ``label`` for people.

    *password* is used if the URL has none. Raises ValueError, which says what is wrong with *url* and does not
    repeat it.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        known = parse(url)
        self.label, self.queues = known.label, Queues(known.queue_prefix)
        secret = known.password if known.password is not None else password
        self.parameters = pika.ConnectionParameters(
            host=known.host,
            port=known.port,
            virtual_host=known.virtual_host,
            credentials=pika.PlainCredentials(
                known.username, DEFAULT_PASSWORD if secret is None else str(secret)
            ),
            heartbeat=HEARTBEAT,
            blocked_connection_timeout=BLOCKED_TIMEOUT,
            socket_timeout=CONNECT_TIMEOUT,
            stack_timeout=2 * CONNECT_TIMEOUT,
            connection_attempts=1,
            ssl_options=_ssl(known),
            client_properties={"connection_name": "jobsaga"},
        )

    def __repr__(self) -> str:
        return f"<Address {self.label}>"


def _ssl(url: BrokerUrl) -> pika.SSLOptions | None:
    context = ssl_context(url)
    return pika.SSLOptions(context, url.options.get("server_name") or url.host) if context else None
