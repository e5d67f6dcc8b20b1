"""What a probe asks the site, answered before Django looks at the host's name: probes come to an IP address.

    /livez    the server answers; otherwise it has to be replaced
    /readyz   moreover the database does; otherwise it should get no requests for now

A site whose database is away must not be restarted over and over: that is why there are two.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import Error, connection

logger = logging.getLogger(__name__)
Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_probes(site: Application) -> Application:
    """The site, with the two addresses in front of it."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/livez":
            await answer(send, 200, b"alive\n")
        elif scope["path"] == "/readyz":
            ready = await sync_to_async(database_answers)()
            await answer(send, *((200, b"ready\n") if ready else (503, b"the database does not answer\n")))
        else:
            await site(scope, receive, send)

    return application


def database_answers() -> bool:
    """Ask it the least that can be asked."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        logger.warning("The database does not answer: %s", error)
        return False
    finally:
        connection.close()
    return True


async def answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
