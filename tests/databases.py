"""Which databases the tests can run on, and how each is reached.

A database is named by its kind (``sqlite``, ``postgresql``, ``mariadb``) or by a whole URL. A kind alone
means the server on this machine; ``JOBSAGA_TEST_POSTGRES_URL`` and ``JOBSAGA_TEST_MARIADB_URL`` name others.
Django's settings and the URL of a database turn into each other, so that a process which a test starts can be
told to use the very database the test uses.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote, unquote, urlsplit

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgresql": "django.db.backends.postgresql",
    "mariadb": "django.db.backends.mysql",
}
TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    },
    "postgresql": {"connect_timeout": 5},
    "mariadb": {"connect_timeout": 5, "charset": "utf8mb4"},
}


def server_url(kind: str) -> str:
    """The URL of the server that tests use for this kind of database."""
    if kind == "postgresql":
        return os.environ.get("JOBSAGA_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
    return os.environ.get("JOBSAGA_TEST_MARIADB_URL", "mariadb://root@127.0.0.1:3306/")


def settings_for(url: str) -> dict[str, Any]:
    """Django's settings for the database with this URL (``kind://user:password@host:port/name``)."""
    parts = urlsplit(url)
    kind = "mariadb" if parts.scheme == "mysql" else parts.scheme
    if kind not in ENGINES:
        raise ValueError(f"{url!r} names no database: it must begin with {', '.join(ENGINES)} and '://'")
    return {
        "ENGINE": ENGINES[kind],
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(OPTIONS[kind]),
    }


def url_for(settings: dict[str, Any]) -> str:
    """The URL of a database, from Django's settings for it: the reverse of ``settings_for``."""
    user = ":".join(quote(str(settings[key]), safe="") for key in ("USER", "PASSWORD") if settings[key])
    place = f"{user}@" * bool(user) + settings["HOST"] + f":{settings['PORT']}" * bool(settings["PORT"])
    return f"{kind_of(settings)}://{place}/{quote(str(settings['NAME']))}"


def kind_of(settings: dict[str, Any]) -> str:
    """``sqlite``, ``postgresql`` or ``mariadb``."""
    return next(kind for kind, engine in ENGINES.items() if engine == settings["ENGINE"])


def why_unavailable(kind: str) -> str:
    """The reason why no test can run on this kind of database here, or an empty string: it answers."""
    if kind == "sqlite":
        return ""
    settings = settings_for(server_url(kind))
    connect = _connect_postgresql if kind == "postgresql" else _connect_mariadb
    try:
        connect(settings)
    except ImportError as error:
        return f"its driver is not installed ({error})"
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, its text is the answer
        return f"{settings['HOST']}:{settings['PORT']} can't be used ({' '.join(str(error).split())})"
    return ""


def _connect_postgresql(settings: dict[str, Any]) -> None:
    import psycopg

    psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"] or 5432,
        user=settings["USER"],
        password=settings["PASSWORD"],
        dbname=settings["NAME"] or "postgres",
        connect_timeout=5,
    ).close()


def _connect_mariadb(settings: dict[str, Any]) -> None:
    import MySQLdb

    MySQLdb.connect(
        host=settings["HOST"],
        port=int(settings["PORT"] or 3306),
        user=settings["USER"],
        password=settings["PASSWORD"],
        connect_timeout=5,
    ).close()
