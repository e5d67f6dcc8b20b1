"""What ``manage.py check`` finds out about jobsaga in a site.

E001 an unknown setting                     E011 two consumers for one message class or type name
E002 a setting with a wrong value           E012 a message class that cannot be found or stored, or has no name
E003 a lease shorter than three heartbeats  E013 a consumer that could never run
E004 a database alias that does not exist      E014 an @recurring without a consumer or an input
E005 a site without time zones
W001 SQLite that takes its write lock late  I001 SQLite in memory, which no other process can see
W002 a connection pool without health checks  W003 a broker's password in its URL
W004 events for a broker that is not there
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Info, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from jobsaga import conf
from jobsaga.broker_url import PORTS, has_password
from jobsaga.consumers import consumers
from jobsaga.consumers.declarations import declaration_problems
from jobsaga.exceptions import DuplicateConsumer, UnresolvedMessageType

TAG = "jobsaga"

SQLITE_OPTIONS = (
    'Set "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, '
    '"init_command": "PRAGMA journal_mode=WAL"} in this database.'
)


@register(TAG)
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """All that is wrong with the JOBSAGA dict."""
    found: list[CheckMessage] = [
        Error(text, id="jobsaga.E002" if key in conf.KEYS or key == conf.NAME else "jobsaga.E001")
        for key, text in conf.problems()
    ]
    return found or [*_heartbeats(), *_time_zones(), *_broker()]


@register(TAG)
def check_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Whether the database of jobsaga exists, and is set up for processes that run for weeks."""
    try:
        alias = conf.settings.DATABASE
    except ImproperlyConfigured:
        return []  # said by check_settings
    if alias not in connections.settings:
        known = ", ".join(map(repr, connections.settings))
        return [
            Error(f'JOBSAGA["DATABASE"] is {alias!r}, but DATABASES has only {known}.', id="jobsaga.E004")
        ]
    checks = {"sqlite": _sqlite, "postgresql": _postgresql}
    check = checks.get(connections[alias].vendor)
    return list(check(alias, connections.settings[alias])) if check else []


@register(TAG)
def check_consumers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """All that is wrong with the job consumers."""
    ids = {DuplicateConsumer: "jobsaga.E011", UnresolvedMessageType: "jobsaga.E012"}
    found = [Error(str(error), id=ids.get(type(error), "jobsaga.E013")) for _, error in consumers.problems()]
    return [
        *found,
        *(Error(f"{each}: {error}", id="jobsaga.E014") for each, error in declaration_problems()),
    ]


def _heartbeats() -> Iterator[CheckMessage]:
    lease, heartbeat = conf.settings.HEARTBEAT_TIMEOUT, conf.settings.HEARTBEAT_INTERVAL
    if lease < 3 * heartbeat:
        yield Error(
            f'JOBSAGA["HEARTBEAT_TIMEOUT"] is {lease.total_seconds():g} s, less than three times '
            f"HEARTBEAT_INTERVAL ({heartbeat.total_seconds():g} s): one late heartbeat would cost a worker its jobs.",
            id="jobsaga.E003",
        )


def _time_zones() -> Iterator[CheckMessage]:
    if not django_settings.USE_TZ:
        yield Error(
            "USE_TZ is False, and a job's times are moments, not the time of day somewhere: set USE_TZ = True.",
            id="jobsaga.E005",
        )


def _broker() -> Iterator[CheckMessage]:
    if has_password(conf.settings.TRANSPORT):
        yield Warning(
            'JOBSAGA["TRANSPORT"] has a password in it, and Django shows URLs on its debug page.',
            hint='Take it out of the URL, and set JOBSAGA["TRANSPORT_PASSWORD"].',
            id="jobsaga.W003",
        )
    scheme = conf.settings.TRANSPORT.partition(":")[0]
    if conf.settings.PUBLISH_EVENTS and scheme not in PORTS:
        yield Warning(
            f'JOBSAGA["PUBLISH_EVENTS"] is True, and TRANSPORT is {scheme}://, which has no broker: no event is '
            "written, and none is published.",
            hint="Set TRANSPORT to an amqp:// URL, or leave PUBLISH_EVENTS out.",
            id="jobsaga.W004",
        )


def _sqlite(alias: str, database: dict[str, Any]) -> Iterator[CheckMessage]:
    name = str(database["NAME"])
    if ":memory:" in name or "mode=memory" in name:
        yield Info(
            f"The database {alias!r} is in memory, where no other process can see it: jobs run in the worker itself.",
            id="jobsaga.I001",
        )
    elif str(database["OPTIONS"].get("transaction_mode")).upper() not in ("IMMEDIATE", "EXCLUSIVE"):
        yield Warning(
            f"The SQLite database {alias!r} takes its write lock late, so that web requests and workers may fail "
            'with "database is locked".',
            hint=SQLITE_OPTIONS,
            id="jobsaga.W001",
        )


def _postgresql(alias: str, database: dict[str, Any]) -> Iterator[CheckMessage]:
    if database["OPTIONS"].get("pool") and not database["CONN_HEALTH_CHECKS"]:
        yield Warning(
            f"The database {alias!r} has a connection pool and no health checks: after the server was restarted, "
            "the pool hands out dead connections.",
            hint='Set "CONN_HEALTH_CHECKS": True in this database.',
            id="jobsaga.W002",
        )
