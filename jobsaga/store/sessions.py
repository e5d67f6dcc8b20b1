"""Ending the database session of an attempt that was given up, but whose transaction holds its job's checkpoint.

Such a transaction belongs to a process that is stopped, cut off, or does not listen. On PostgreSQL its session
carries the attempt's id as application_name; on MariaDB and MySQL it holds a named lock, whose holder the
server knows. SQLite has one writer, and its lock times out by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from uuid import UUID

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger("jobsaga.engine")


def mark(connection: BaseDatabaseWrapper, attempt_id: UUID) -> None:
    """Before the first write of an attempt's state on this connection: let the session be found by its attempt."""
    if connection.vendor == "sqlite":
        return
    with connection.cursor() as cursor:
        session, marked = connection.connection, getattr(connection, "_jobsaga_marked", (None, None))
        if marked[0] is session and marked[1] == attempt_id:
            return
        if connection.vendor == "postgresql":
            cursor.execute("SELECT set_config('application_name', %s, false)", [str(attempt_id)])
        else:
            if marked[1] is not None and marked[0] is session:
                cursor.execute("SELECT RELEASE_LOCK(%s)", [_lock_name(marked[1])])
            cursor.execute("SELECT GET_LOCK(%s, 0)", [_lock_name(attempt_id)])
    # With a rollback PostgreSQL forgets the name again; a lock stays.
    if not connection.in_atomic_block or connection.vendor == "mysql":
        connection._jobsaga_marked = (session, attempt_id)  # type: ignore[attr-defined]


def end(connection: BaseDatabaseWrapper, attempts: Collection[UUID]) -> None:
    """End these attempts' sessions, if there are any. A server that refuses is logged, and asked again later."""
    try:
        for attempt_id in attempts:
            _end(connection, attempt_id)
    except Error as error:
        logger.warning("The session of a lost attempt could not be ended: %s", error)


def _end(connection: BaseDatabaseWrapper, attempt_id: UUID) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = %s AND datname = current_database()",
                [str(attempt_id)],
            )
        elif connection.vendor == "mysql":
            cursor.execute("SELECT IS_USED_LOCK(%s)", [_lock_name(attempt_id)])
            (holder,) = cursor.fetchone()
            if holder is not None:
                cursor.execute("KILL %s", [holder])


def _lock_name(attempt_id: UUID) -> str:
    return f"jobsaga-{attempt_id}"
