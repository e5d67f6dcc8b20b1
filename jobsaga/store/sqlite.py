"""What SQLite needs so that several processes can share one file: WAL, and transactions that begin as writers.

With Django's own defaults a transaction that begins with a read and goes on to write fails at once when
another process wrote in between ("database is locked"), whatever the timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connections

OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def prepare(alias: str) -> None:
    """Set what the settings file leaves out, for this process' connections to *alias*. Others are left alone."""
    connection = connections[alias]
    if connection.vendor != "sqlite":
        return
    options = connections.settings[alias]["OPTIONS"]
    missing = {key: value for key, value in OPTIONS.items() if key not in options}
    if missing:
        options.update(missing)
        connection.close()
        connect(connection.ensure_connection)


def connect(
    ensure_connection: Callable[[], None],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Connect, and with that turn to WAL. Of several who do so at once, all but one are refused on the spot: SQLite's
    timeout is not for this. Raises OperationalError if it does not succeed within that time.
    """
    end = monotonic() + OPTIONS["timeout"]
    while True:
        try:
            return ensure_connection()
        except OperationalError as error:
            if "locked" not in str(error) or monotonic() >= end:
                raise
        sleep(0.02)
