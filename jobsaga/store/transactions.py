"""How a transaction of the sagas begins, whatever the site's settings say for its own.

Slots are counted in a statement after the lock on their job type, and that statement must see all that was
committed before the lock was given: READ COMMITTED, where a site may have chosen more (and MariaDB itself
has). On SQLite a transaction that reads first and writes later fails at once if another wrote in between, so
it begins as a writer. Within a transaction of the caller's own nothing of this can be changed, nor is it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from jobsaga.store.sqlite import OPTIONS


@contextmanager
def begin(alias: str) -> Iterator[BaseDatabaseWrapper]:
    """An ``atomic`` block on *alias*, the way the sagas need it; gives its connection."""
    connection = connections[alias]
    if connection.in_atomic_block:
        with transaction.atomic(using=alias):
            yield connection
        return
    with _as_writer(connection), transaction.atomic(using=alias):
        _read_committed(connection)
        yield connection


@contextmanager
def _as_writer(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Begin with the write lock of SQLite, and wait for it as long as a worker does where the site says nothing: it
    goes to whoever asks at the right moment, and five seconds are not enough on a busy machine.
    """
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()  # reads the mode that the settings say
    mode, patience = connection.transaction_mode, None  # type: ignore[attr-defined]
    raw = connection.connection
    if "timeout" not in connection.settings_dict["OPTIONS"]:
        patience = raw.execute("PRAGMA busy_timeout").fetchone()[0]
        raw.execute(f"PRAGMA busy_timeout = {OPTIONS['timeout'] * 1000}")
    connection.transaction_mode = mode or "IMMEDIATE"  # type: ignore[attr-defined]
    try:
        yield
    finally:
        connection.transaction_mode = mode  # type: ignore[attr-defined]
        if patience is not None and connection.connection is raw:
            raw.execute(f"PRAGMA busy_timeout = {patience}")


def _read_committed(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor == "sqlite":
        return
    level = connection.isolation_level  # type: ignore[attr-defined]
    if str(getattr(level, "name", level)).lower().replace("_", " ") != "read committed":
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
