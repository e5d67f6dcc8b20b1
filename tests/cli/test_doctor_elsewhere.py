"""``jobsaga doctor`` on databases that are no test's: one that does not answer, one that is set up badly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connections
from django.test import override_settings

from jobsaga.management.cli.diagnosis import sqlite_findings
from tests.cli.conftest import Jobsaga


@contextmanager
def another_database(path: Path) -> Iterator[str]:
    """JOBSAGA's rows in a SQLite file of its own."""
    alias = "another"
    base = connections.settings["default"]
    engine = "django.db.backends.sqlite3"
    connections.settings[alias] = {**base, "ENGINE": engine, "NAME": str(path), "OPTIONS": {}}
    try:
        with override_settings(JOBSAGA={"DATABASE": alias}):
            yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


def test_a_database_that_does_not_answer(jobsaga: Jobsaga, tmp_path: Path, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), another_database(tmp_path / "missing" / "jobs.sqlite3"):
        said = jobsaga("doctor")
        assert said.code == 1
        assert "error    The database cannot be used: unable to open database file" in said.out
        said = jobsaga("list")
        assert said.code == 1
        assert "The database 'another' says: unable to open database file" in said.err
        assert "jobsaga doctor looks for the cause" in said.err


def test_a_database_without_tables(jobsaga: Jobsaga, tmp_path: Path, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), another_database(tmp_path / "jobs.sqlite3"):
        said = jobsaga("doctor", "--json")
        assert said.code == 1
        finding = next(each for each in said.json["findings"] if each["code"] == "migrations")
        assert finding["mend"] == "Run manage.py migrate --database another"
        said = jobsaga("list")
        assert said.code == 1
        assert "no such table" in said.err


def test_sqlite_without_a_write_ahead_log(tmp_path: Path, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), another_database(tmp_path / "jobs.sqlite3") as alias:
        (finding,) = sqlite_findings(alias)
        assert (finding.level, finding.code) == ("warning", "sqlite-journal")
        assert "its journal mode is delete" in finding.what
        with connections[alias].cursor() as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
        assert list(sqlite_findings(alias)) == []


def test_sqlite_as_django_sets_it_up(jobsaga: Jobsaga, tmp_path: Path, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), another_database(tmp_path / "jobs.sqlite3"):
        findings = jobsaga("doctor", "--json").json["findings"]
    assert [each["level"] for each in findings if each["code"] == "jobsaga.W001"] == ["warning"]
