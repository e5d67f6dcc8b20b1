"""Threads for tests: each has database connections of its own, and closes them at its end."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any


def in_thread(run: Callable[[], Any]) -> Thread:
    """Start *run* in a thread of its own."""

    def guarded() -> None:
        try:
            run()
        finally:
            close_connections()

    thread = Thread(target=guarded, daemon=True)
    thread.start()
    return thread


def close_connections() -> None:
    """At the end of a thread: Django keeps a connection for each."""
    from django.db import connections

    connections.close_all()
