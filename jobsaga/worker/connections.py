"""A job's database connections: named while it runs, and clean when it has ended.

On PostgreSQL a session carries the id of its attempt as ``application_name``. So whoever looks at the server
sees which job it works for, and the engine can end the session of an attempt that was given up and still
holds its row.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from django.db import connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

log = logging.getLogger("jobsaga.worker")

_attempt: ContextVar[str] = ContextVar("jobsaga_attempt", default="")
_attempt_of_process = ""
#: The sessions that work for each attempt, whatever thread they belong to.
_sessions: dict[str, WeakSet[BaseDatabaseWrapper]] = {}


def work_for(attempt_id: object, *, whole_process: bool = False) -> None:
    """From now on this context's sessions are named after this attempt.

    ``whole_process``: also those of threads that the job starts, which know no context.
    """
    global _attempt_of_process  # noqa: PLW0603 - a process child has one attempt at a time
    _attempt.set(str(attempt_id))
    if whole_process:
        _attempt_of_process = str(attempt_id)
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _rename(connection)


def reset_connections() -> None:
    """Leave this thread's connections as a new job may find them: no transaction, none broken or too old."""
    reset_queries()
    for connection in connections.all(initialized_only=True):
        try:
            if connection.in_atomic_block:
                _abandon(connection)
            else:
                connection.close_if_unusable_or_obsolete()
        except Exception:
            log.exception("A database connection could not be closed; the next job gets another.")
            del connections[connection.alias]


def cancel_queries(attempt_id: object) -> None:
    """Cancel what the sessions of an attempt are waiting for: its code gets a database error. From any thread."""
    for connection in list(_sessions.get(str(attempt_id), ())):
        try:
            _cancel_query(connection)
        except Exception as error:  # noqa: BLE001 - it may be gone, or idle, or refuse: then it is ended by force
            log.warning("A query of attempt %s could not be canceled: %s", attempt_id, error)


def forget(attempt_id: object) -> None:
    """It has ended: its sessions may work for others."""
    _sessions.pop(str(attempt_id), None)


def close_stale_connections() -> None:
    """Give up connections that are broken or too old, but touch no transaction: it is the caller's."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def close_all() -> None:
    """Close all connections of this thread: it will not be used again."""
    connections.close_all()


def close_everything() -> None:
    """Close all connections of this thread, pools too: nothing of them may pass a fork."""
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        close_pool = getattr(connection, "close_pool", None)
        if close_pool:
            close_pool()


def forbid_pools() -> None:
    """In a process with one job at a time a pool only costs connections and threads."""
    for settings in connections.settings.values():
        settings["OPTIONS"].pop("pool", None)


def _abandon(connection: BaseDatabaseWrapper) -> None:
    """Somebody entered an atomic block and never left it: roll back, and start with a new wrapper."""
    connection.in_atomic_block = False
    connection.close()
    del connections[connection.alias]


def _cancel_query(connection: BaseDatabaseWrapper) -> None:
    session: Any = connection.connection
    if session is None:
        return
    if connection.vendor == "postgresql":
        cancel = getattr(session, "cancel_safe", session.cancel)  # psycopg 3.2; psycopg2
        cancel()
    elif connection.vendor == "sqlite":
        session.interrupt()
    else:
        other = connection.copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("KILL QUERY %s", [connection._jobsaga_session])  # type: ignore[attr-defined]
        finally:
            with suppress(Exception):
                other.close()


def _name_session(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    name = _attempt.get() or _attempt_of_process
    if name:
        _sessions.setdefault(name, WeakSet()).add(connection)
        if connection.vendor == "mysql":  # a session in use answers no other thread
            connection._jobsaga_session = connection.connection.thread_id()  # type: ignore[attr-defined]
    if name and connection.vendor == "postgresql":
        with connection.connection.cursor() as cursor:
            cursor.execute("SELECT set_config('application_name', %s, false)", [name])


def _rename(connection: BaseDatabaseWrapper) -> None:
    try:
        _name_session(connection)
    except Exception:  # noqa: BLE001 - it is broken: the job shall get a new one
        connection.close()


connection_created.connect(_name_session, dispatch_uid="jobsaga.worker.connections")
