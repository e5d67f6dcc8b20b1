"""The demo's house: a fresh directory with a database of its own, and the web site on it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from pathlib import Path
from urllib.parse import quote

from dashboard.demo.workers import is_alive

MARK = "demo.pid"


class HouseError(Exception):
    """The directory is not the demo's to empty."""


def prepare(directory: Path) -> None:
    """Empty the directory, which must be the demo's own, and point the settings to a database in it.

    To be called before Django reads its settings. Raises HouseError when the directory holds anything that is
    not from a demo, or a demo that still runs.
    """
    mark = directory / MARK
    if mark.exists() and is_alive(int(mark.read_text())):
        raise HouseError(f"A demo runs in {directory} already. Give this one another place with --dir.")
    if directory.exists() and not mark.exists() and any(directory.iterdir()):
        raise HouseError(f"{directory} is not empty and not from a demo. Give another place with --dir.")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    mark.write_text(str(os.getpid()))
    os.environ.update(
        DJANGO_SETTINGS_MODULE="dashboard.settings",
        DATABASE_URL=f"sqlite:///{quote(str(directory / 'db.sqlite3'))}",
        JOBSAGA_TRANSPORT="database://",
        SECRET_KEY=secrets.token_urlsafe(),
        DEBUG="off",
    )


def create_admin() -> str:
    """Create the user `admin` and return its password."""
    from django.contrib.auth.models import User

    password = secrets.token_urlsafe(9)
    User.objects.create_superuser("admin", password=password)
    return password


def free_port(wished: int = 8000) -> int:
    """`wished` if nobody listens there, else any that is free."""
    for port in (wished, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise HouseError("There is no free port on 127.0.0.1.")
