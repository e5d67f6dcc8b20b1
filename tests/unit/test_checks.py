"""What ``manage.py check`` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from django.test import override_settings

from jobsaga.consumers import JobConsumer, consumers, job_consumer


@dataclass
class Homeless:
    pass


@pytest.fixture(autouse=True)
def only_here() -> Iterator[None]:
    with consumers.temporary():
        consumers.clear()
        yield


def found(**jobsaga: Any) -> list[tuple[str, str]]:
    with override_settings(JOBSAGA=jobsaga):
        return [(message.id, message.msg) for message in run_checks(tags=["jobsaga"])]


@contextmanager
def database(**settings: Any) -> Iterator[str]:
    """A database alias of these settings. Nothing connects to it."""
    alias = "checked"
    connections.settings[alias] = {**connections.settings["default"], "OPTIONS": {}, **settings}
    try:
        yield alias
    finally:
        del connections.settings[alias]
        with suppress(AttributeError):  # the check did not ask for it
            del connections[alias]


def sound_database() -> AbstractContextManager[str]:
    """A database about which there is nothing to say."""
    return database(ENGINE=SQLITE, NAME="jobs.sqlite3", OPTIONS={"transaction_mode": "IMMEDIATE"})


SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "django.db.backends.postgresql"


def test_settings_that_are_wrong() -> None:
    assert found(HEARTBEAT_INTERVALL=1, TRANSPORT="smoke://") == [
        ("jobsaga.E001", 'JOBSAGA["HEARTBEAT_INTERVALL"] is unknown. Did you mean HEARTBEAT_INTERVAL?'),
        (
            "jobsaga.E002",
            (
                'JOBSAGA["TRANSPORT"] must be a URL that begins with '
                "database:// or memory:// or amqp:// or amqps://, not with 'smoke'."
            ),
        ),
    ]


def test_a_dict_that_is_none() -> None:
    with override_settings(JOBSAGA=[]):
        assert [message.id for message in run_checks(tags=["jobsaga"])] == ["jobsaga.E002"]


@pytest.mark.parametrize(("timeout", "ids"), [(15, []), (timedelta(seconds=14.9), ["jobsaga.E003"])])
def test_a_lease_lasts_three_heartbeats(timeout: Any, ids: list[str]) -> None:
    with sound_database() as alias:
        messages = found(HEARTBEAT_TIMEOUT=timeout, HEARTBEAT_INTERVAL=5, DATABASE=alias)
    assert [id for id, _ in messages] == ids
    assert all("14.9 s, less than three times HEARTBEAT_INTERVAL (5 s)" in text for _, text in messages)


def test_events_need_a_broker() -> None:
    with sound_database() as alias:
        ((code, said),) = found(PUBLISH_EVENTS=True, DATABASE=alias)
        assert code == "jobsaga.W004"
        assert "database://, which has no broker" in said
        assert found(PUBLISH_EVENTS=True, DATABASE=alias, TRANSPORT="amqp://broker/") == []


def test_a_site_needs_time_zones() -> None:
    with sound_database() as alias, override_settings(USE_TZ=False):
        [(id, text)] = found(DATABASE=alias)
    assert id == "jobsaga.E005"
    assert "set USE_TZ = True" in text


def test_the_database_exists() -> None:
    [(id, text)] = found(DATABASE="archive")
    assert id == "jobsaga.E004"
    assert text.startswith("JOBSAGA[\"DATABASE\"] is 'archive', but DATABASES has only 'default'")


@pytest.mark.parametrize(
    ("name", "options", "ids"),
    [
        ("jobs.sqlite3", {}, ["jobsaga.W001"]),
        ("jobs.sqlite3", {"transaction_mode": "DEFERRED"}, ["jobsaga.W001"]),
        ("jobs.sqlite3", {"transaction_mode": "IMMEDIATE"}, []),
        ("jobs.sqlite3", {"transaction_mode": "immediate"}, []),
        ("jobs.sqlite3", {"transaction_mode": "EXCLUSIVE"}, []),
        (":memory:", {}, ["jobsaga.I001"]),
        ("file:x?mode=memory&cache=shared", {}, ["jobsaga.I001"]),
    ],
)
def test_sqlite(name: str, options: dict[str, Any], ids: list[str]) -> None:
    with database(ENGINE=SQLITE, NAME=name, OPTIONS=options) as alias:
        assert [id for id, _ in found(DATABASE=alias)] == ids


def test_the_warning_about_sqlite_says_what_to_write() -> None:
    with (
        database(ENGINE=SQLITE, NAME="jobs.sqlite3") as alias,
        override_settings(JOBSAGA={"DATABASE": alias}),
    ):
        [message] = run_checks(tags=["jobsaga"])
    assert message.hint
    assert '"transaction_mode": "IMMEDIATE"' in message.hint


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({}, []),
        ({"OPTIONS": {"pool": True}, "CONN_HEALTH_CHECKS": False}, ["jobsaga.W002"]),
        ({"OPTIONS": {"pool": {"max_size": 4}}, "CONN_HEALTH_CHECKS": True}, []),
        ({"OPTIONS": {"pool": False}, "CONN_HEALTH_CHECKS": False}, []),
    ],
)
def test_postgresql_pools(settings: dict[str, Any], ids: list[str]) -> None:
    with database(ENGINE=POSTGRESQL, **settings) as alias:
        assert [id for id, _ in found(DATABASE=alias)] == ids


def test_consumers() -> None:
    class NoRun(JobConsumer[None]):
        options = JobConsumer.options

    job_consumer(Homeless, job_type_name="a")(lambda context: None)
    job_consumer(Homeless, job_type_name="b")(lambda context: None)
    with sound_database() as alias:
        messages = found(DATABASE=alias)
    assert [id for id, _ in messages] == ["jobsaga.E012", "jobsaga.E011"]


def test_a_consumer_that_could_never_run() -> None:
    class Generates(JobConsumer[Homeless]):
        def run(self, context: Any) -> Iterator[int]:
            yield 1

    Generates.options = None  # type: ignore[assignment]
    job_consumer(Homeless, job_type_name="b")(lambda context: (yield))
    with sound_database() as alias:
        messages = found(DATABASE=alias)
    assert {id for id, _ in messages} == {"jobsaga.E012", "jobsaga.E013"}


def test_manage_py_check_fails_on_them() -> None:
    with override_settings(JOBSAGA={"HEARTBEAT_INTERVAL": 0}), pytest.raises(SystemCheckError, match="E002"):
        call_command("check", tags=["jobsaga"])


def test_the_test_site_itself_is_clean() -> None:
    assert run_checks(tags=["jobsaga"]) == []
