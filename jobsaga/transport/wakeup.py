"""How a process learns that something has come: on each database as it can.

PostgreSQL tells it (LISTEN/NOTIFY, without payload, on a connection of its own). SQLite counts commits in
``PRAGMA data_version``, which costs microseconds to read. Elsewhere the highest numbers of the queue and of the
history are asked for, often after something came and ever less often the longer nothing does. None of it is
relied on: a wait that ends for nothing, or a second late, is right as well.
"""

from __future__ import annotations

import logging
import math
import selectors
import socket
import time
from contextlib import suppress

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jobsaga.models import JobHistory, TransportMessage
from jobsaga.transport.base import SAGA

logger = logging.getLogger("jobsaga.transport")

SQLITE_POLL = 0.02
FIRST_POLL, LAST_POLL = 0.02, 0.04
ONCE_MORE_AFTER = 0.08
RECONNECT_AFTER = 1.0


def channel(endpoint: str) -> str:
    """The NOTIFY channel of an endpoint."""
    return f"jobsaga_{endpoint.replace('-', '_')}"


def notify(connection: BaseDatabaseWrapper, endpoint: str) -> None:
    """Tell the listeners of *endpoint*; outside of a transaction, so that it is sent at once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [channel(endpoint)])


def listener(alias: str, endpoint: str) -> WakeListener:
    """The listener for this alias' database."""
    kinds: dict[str, type[WakeListener]] = {"postgresql": NotifyListener, "sqlite": VersionListener}
    return kinds.get(connections[alias].vendor, NumberListener)(alias, endpoint)


class WakeListener:
    """Waits for ``wake``, and for what its subclass knows of the database, on a connection of its own.

    While the database is away it lets the caller look for itself once in a while.
    """

    def __init__(self, alias: str, endpoint: str) -> None:
        self.endpoint = endpoint
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        self._connection = connections.create_connection(alias)
        self._connection.inc_thread_sharing()  # one thread makes it, another may use it

    def wait(self, timeout: float) -> bool:
        """At most *timeout* seconds; True if there may be something, or ``wake`` was called."""
        try:
            with self._connection.wrap_database_errors:
                return self._wait(timeout)
        except (Error, OSError) as error:
            logger.warning("The connection that listens for messages was lost: %s", error)
            self._forget()
            self._sleep(min(timeout, RECONNECT_AFTER))
            return True

    def wake(self) -> None:
        """Make ``wait`` return, from any thread."""
        with suppress(OSError):
            self._writer.send(b".")

    def close(self) -> None:
        """Free what it holds."""
        self._forget()
        self._reader.close()
        self._writer.close()

    def _wait(self, timeout: float) -> bool:
        """As ``wait``; raises what the database raises."""
        raise NotImplementedError

    def _forget(self) -> None:
        with suppress(Exception):
            self._connection.close()

    def _sleep(self, seconds: float, *others: int) -> set[int]:
        """Sleep until woken or one of the other descriptors has something; which of all have."""
        with selectors.DefaultSelector() as selector:
            for each in (self._reader.fileno(), *others):
                selector.register(each, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(max(0.0, seconds))}
        if self._reader.fileno() in ready:
            with suppress(BlockingIOError):
                self._reader.recv(4096)
        return ready


class PollingListener(WakeListener):
    """Asks again and again for a number that every commit of interest changes."""

    first_poll = last_poll = SQLITE_POLL

    def __init__(self, alias: str, endpoint: str) -> None:
        super().__init__(alias, endpoint)
        self._interval = self.first_poll
        self._seen: object = None

    def _wait(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while not self._changed():
            left = end - time.monotonic()
            if left <= 0:
                return False
            if self._sleep(min(left, self._interval)):
                break
            self._interval = min(self.last_poll, self._interval * 1.5)
        self._interval = self.first_poll
        return True

    def _changed(self) -> bool:
        sql, params = self._question()
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params)
            answer = cursor.fetchone()
        changed = bool(answer != self._seen)
        self._seen = answer
        return changed

    def _question(self) -> tuple[str, list[str]]:
        raise NotImplementedError


class VersionListener(PollingListener):
    """Watches SQLite's count of other connections' commits."""

    def _question(self) -> tuple[str, list[str]]:
        return "PRAGMA data_version", []


class NumberListener(PollingListener):
    """Watches the number of the last message and, for the sagas, of the last line of history: each submitted job
    writes one. A transaction that commits after one with higher numbers changes none, so that it says once more,
    a little after each change, that there may be something.
    """

    first_poll, last_poll = FIRST_POLL, LAST_POLL

    def __init__(self, alias: str, endpoint: str) -> None:
        super().__init__(alias, endpoint)
        self._once_more_at = math.inf

    def _changed(self) -> bool:
        if super()._changed():
            self._once_more_at = time.monotonic() + ONCE_MORE_AFTER
            return True
        if time.monotonic() < self._once_more_at:
            return False
        self._once_more_at = math.inf
        return True

    def _question(self) -> tuple[str, list[str]]:
        last_message = f"SELECT MAX(id) FROM {TransportMessage._meta.db_table} WHERE endpoint = %s"
        if self.endpoint != SAGA:
            return last_message, [self.endpoint]
        last_line = f"SELECT MAX(id) FROM {JobHistory._meta.db_table}"
        return f"SELECT ({last_message}), ({last_line})", [self.endpoint]


class NotifyListener(WakeListener):
    """Listens on PostgreSQL."""

    def _wait(self, timeout: float) -> bool:
        if self._connection.connection is None:
            self._listen()
            return True  # what was sent before is not told
        raw = self._connection.connection.pgconn
        ready = self._sleep(timeout, raw.socket)
        if raw.socket in ready:
            raw.consume_input()
            while raw.notifies():
                pass
        return bool(ready)

    def _listen(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(f'LISTEN "{channel(self.endpoint)}"')
