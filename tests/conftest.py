"""What every test may use, and which tests belong to which database.

A test that uses the database is one that asks for it (the ``django_db`` mark or a fixture that needs it).
Only these are run again on the other databases; the rest gives the same answer everywhere.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests import brokers
from tests.databases import ENGINES, kind_of
from tests.private_broker import why_no_broker
from tests.processes import Site
from tests.settings import RUN, RUN_DIRECTORY

DATABASE_FIXTURES = {"db", "transactional_db", "live_server"}
IN_CI = os.environ.get("CI") == "true"


@pytest.fixture
def site(tmp_path: Path, transactional_db: None) -> Iterator[Site]:
    """A deployment whose processes use the test's database. They are ended with the test."""
    site = Site(tmp_path)
    yield site
    site.close()
    print(site.log())  # shown by pytest when the test failed


@pytest.fixture(autouse=True)
def close_what_was_opened() -> Iterator[None]:
    """On RabbitMQ, where it was chosen: connections and queues of this test."""
    yield
    if brokers.IS_CHOSEN:
        from tests.engine.rabbit_place import close_all

        close_all()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only-database",
        choices=list(ENGINES),
        help="leave out the tests that use no database, and those for another one than this",
    )


def pytest_configure() -> None:
    RUN_DIRECTORY.mkdir(exist_ok=True)


def pytest_unconfigure() -> None:
    if str(os.getpid()) == RUN:
        shutil.rmtree(RUN_DIRECTORY, ignore_errors=True)


def pytest_report_header() -> str:
    return "jobsaga's database: {DATABASE} on {ENGINE}".format(**settings.JOBSAGA, **_database())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only = config.getoption("--only-database")
    kind = only or kind_of(_database())
    left_out = []
    for item in items:
        _mark(item)
        elsewhere = any(item.get_closest_marker(other) for other in set(ENGINES) - {kind})
        wanted_here = item.get_closest_marker(kind) or not elsewhere
        if not wanted_here or (only and not item.get_closest_marker("django_db")):
            left_out.append(item)
    _skip_without_a_broker([item for item in items if item not in left_out])
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _skip_without_a_broker(items: list[pytest.Item]) -> None:
    """Asked once, and only if there are such tests."""
    needy = [item for item in items if item.get_closest_marker("rabbitmq")]
    if needy and (why := why_no_broker()):
        for item in needy:
            item.add_marker(pytest.mark.skip(reason=f"needs RabbitMQ, but {why}"))


def _mark(item: pytest.Item) -> None:
    """Give a test that uses the database the marks it needs: `process`, and the one alias it may query.

    Where jobsaga's database is not the default one, a query that forgets the alias is refused by Django.
    """
    fixtures = set(getattr(item, "fixturenames", ()))
    asked = item.get_closest_marker("django_db")
    if "site" in fixtures:
        item.add_marker("process")
    if asked is None and not fixtures & DATABASE_FIXTURES:
        return
    options = dict(asked.kwargs) if asked else {}
    if "databases" not in options:
        options["databases"] = (
            list(settings.DATABASES) if "site" in fixtures else [settings.JOBSAGA["DATABASE"]]
        )
    item.add_marker(pytest.mark.django_db(**options), append=False)


def _database() -> dict[str, object]:
    return settings.DATABASES[settings.JOBSAGA["DATABASE"]]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI everything is there, so a test that skips itself has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter and reporter.stats.get("skipped"):
        reporter.write_line("In CI no test may be skipped.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
