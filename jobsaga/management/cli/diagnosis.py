"""What the doctor looks at, from the ground up: the settings, the database, the tables, and then the rows.

What does not work at the bottom ends the examination: nothing above it can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.core.checks import ERROR, WARNING, CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFailure
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from jobsaga.checks import TAG
from jobsaga.conf import settings
from jobsaga.management.cli.finding import Finding
from jobsaga.management.cli.symptoms import symptoms
from jobsaga.store.sqlite import prepare
from jobsaga.transport import default_transport

#: With these the database cannot even be asked.
UNUSABLE = {"jobsaga.E002", "jobsaga.E004", "jobsaga.E005"}
APP = "jobsaga"
LEVELS = ["error", "warning", "info"]


def examine(pause: Callable[[float], None]) -> list[Finding]:
    """All that is found, the worst first. *pause* waits so many seconds, before a second look at what looks stuck."""
    findings: list[Finding] = []
    try:
        findings += site_findings()
        if not any(each.code in UNUSABLE for each in findings):
            findings += tables_and_rows(settings.DATABASE, pause)
    except (DatabaseFailure, ImproperlyConfigured) as error:
        what = " ".join(str(error).split())
        mend = "See DATABASES in the settings, and whether the database server runs."
        findings.append(
            Finding(level="error", code="database", what=f"The database cannot be used: {what}", mend=mend)
        )
    return sorted(findings, key=lambda each: LEVELS.index(each.level))


def site_findings() -> Iterator[Finding]:
    """What the system checks of jobsaga say, under their own ids."""
    for message in run_checks(tags=[TAG]):
        if not message.is_silenced():
            yield Finding(
                level=_level(message), code=message.id or TAG, what=message.msg, mend=message.hint or ""
            )
    if settings.TRANSPORT.startswith("memory:"):
        yield Finding(
            level="warning",
            code="memory-transport",
            what='JOBSAGA["TRANSPORT"] is memory://, which reaches no other process.',
            mend='It is for tests. Leave the key out, or set "database://".',
        )
    yield from _broker()


def _broker() -> Iterator[Finding]:
    """Whether the broker can be used, if there is one."""
    if not settings.TRANSPORT.startswith("amqp"):
        return
    from jobsaga.transport.rabbitmq.transport import RabbitMQTransport

    transport = default_transport()
    assert isinstance(transport, RabbitMQTransport)
    if why := transport.why_unreachable():
        yield Finding(
            level="error",
            code="broker",
            what=f"RabbitMQ at {transport.address.label} cannot be used: {why}",
            mend="Until it can, no job starts; what runs goes on.",
        )
    transport.close()


def tables_and_rows(alias: str, pause: Callable[[float], None]) -> Iterator[Finding]:
    """The tables; and if they are as they should be, what is in them."""
    prepare(alias)
    pending = pending_migrations(alias)
    if pending:
        yield Finding(
            level="error",
            code="migrations",
            what=f"The database {alias!r} is not up to date: {', '.join(pending)} of jobsaga is missing.",
            mend=f"Run manage.py migrate --database {alias}",
            count=len(pending),
        )
        return
    yield from sqlite_findings(alias)
    yield from symptoms(alias, pause)


def pending_migrations(alias: str) -> list[str]:
    """The names of jobsaga's migrations that were not applied."""
    executor = MigrationExecutor(connections[alias])
    targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == APP]
    return [migration.name for migration, _ in executor.migration_plan(targets) if migration.app_label == APP]


def sqlite_findings(alias: str) -> Iterator[Finding]:
    """Whether readers and the writer of a SQLite file wait for each other."""
    connection = connections[alias]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = cursor.fetchone()[0]
    if mode not in ("wal", "memory"):
        yield Finding(
            level="warning",
            code="sqlite-journal",
            what=f"The SQLite database {alias!r} has no write-ahead log: its journal mode is {mode}, in which "
            "readers and the writer wait for each other.",
            mend='Set "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL"} in this database.',
        )


def _level(message: CheckMessage) -> str:
    if message.level >= ERROR:
        return "error"
    return "warning" if message.level >= WARNING else "info"
