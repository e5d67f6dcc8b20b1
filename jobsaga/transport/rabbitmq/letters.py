"""What people read of a message that could not be handled."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobsaga.models.records import DeadLetter
from jobsaga.payload import safe_text
from jobsaga.remote.contract import REQUESTS
from jobsaga.transport.base import SAGA
from jobsaga.transport.rabbitmq.inbox import Held
from jobsaga.transport.rabbitmq.queues import DELIVERY_LIMIT

#: Characters that are kept of a body which is far too large.
KEPT = 10_000


def text(body: bytes) -> str:
    """The body as text; bytes that are none are written out, which is no JSON any more either."""
    return body.decode("utf-8", "backslashreplace")


def letter(held: Held, now: datetime, largest: int) -> DeadLetter:
    """The dead letter of what RabbitMQ has given up, or of what is larger than *largest* bytes."""
    body, size = held.body, len(held.body)
    reason = _given_up(held)
    if size > largest:
        reason = f"It has {size} bytes, and no message has more than {largest}: this is its beginning"
        body = body[:KEPT]
    shown = text(body)
    return DeadLetter(at=now, endpoint=_endpoint(held), body=safe_text(shown, len(shown)), reason=reason)


def is_over(held: Held) -> bool:
    """Whether it is a request whose asker gave it a time to live: when that is over nobody misses it."""
    return _endpoint(held) == REQUESTS and _death(held).get("reason") == "expired"


def _endpoint(held: Held) -> str:
    """Where it was to go before RabbitMQ gave it up."""
    return REQUESTS if str(_death(held).get("queue", "")).endswith(f".{REQUESTS}") else SAGA


def _death(held: Held) -> dict[str, Any]:
    """The last one: RabbitMQ's own note of why it was moved."""
    deaths = held.headers.get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else {}
    return first if isinstance(first, dict) else {}


def _given_up(held: Held) -> str:
    why = str(_death(held).get("reason", "unknown"))
    if why == "delivery_limit":
        return f"RabbitMQ has given it up after {DELIVERY_LIMIT} saga hosts had it and ended, or were cut off ({why})"
    if why == "rejected":
        return f"The site could neither handle it nor refuse it; its log says why ({why})"
    return f"RabbitMQ has given it up ({safe_text(why)})"
