"""The socket's address, with its guards: an allowed origin, and the site's own session.

    application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": live_socket()})

in a site's ``asgi.py``, after ``django.setup()`` or ``get_asgi_application()``.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls import path

try:
    from channels.auth import AuthMiddlewareStack
    from channels.routing import URLRouter
    from channels.security.websocket import AllowedHostsOriginValidator
except ImportError as error:
    raise ImproperlyConfigured(
        "The socket of the live pages needs Channels: pip install 'jobsaga[live]'"
    ) from error

from jobsaga.live.consumers import LiveConsumer
from jobsaga.live.shell import SOCKET

_consumer: Any = LiveConsumer.as_asgi()
websocket_urlpatterns: list[Any] = [path(SOCKET, _consumer)]


def live_socket() -> Any:
    """The application for the protocol "websocket" of a site that has no other."""
    return AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
