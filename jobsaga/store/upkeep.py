"""The connections of a worker's own threads: they live as long as the worker, and none may rest in a transaction.

Django's CONN_MAX_AGE says how long a connection outlives a web request; its default of 0 would make a worker
connect anew for each batch. So 0 means nothing here. Any other age is kept to, and what is broken is dropped.

A process that is stopped in the middle of a transaction keeps its locks, and nobody else could decide about
those rows. So the server is told to end such a session. User code never runs on these connections.
"""

from __future__ import annotations

from contextlib import suppress

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

LONGEST_REST = 5
"""Seconds between two statements of a transaction after which the server ends the session."""


def look_after(connection: BaseDatabaseWrapper) -> None:
    """Between two uses: close *connection* if it is broken or too old. The next use opens another."""
    if connection.in_atomic_block:
        return
    if connection.settings_dict["CONN_MAX_AGE"] == 0:
        connection.close_at = None
    connection.close_if_unusable_or_obsolete()
    _limit_rest(connection)


def _limit_rest(connection: BaseDatabaseWrapper) -> None:
    """Once for each session. MySQL has no such limit, nor needs SQLite one: its locks time out."""
    session = connection.connection
    if session is None or getattr(connection, "_jobsaga_limited", None) is session:
        return
    connection._jobsaga_limited = session  # type: ignore[attr-defined]
    if connection.vendor == "postgresql":
        limit = f"SET idle_in_transaction_session_timeout = '{LONGEST_REST}s'"
    elif connection.vendor == "mysql" and connection.mysql_is_mariadb:  # type: ignore[attr-defined]
        limit = f"SET SESSION idle_transaction_timeout = {LONGEST_REST}"
    else:
        return
    with suppress(Error), connection.cursor() as cursor:
        cursor.execute(limit)
