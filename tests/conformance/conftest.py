"""How the scenarios are run: in this process, in a world with scripted workers, or with real worker processes.

Whatever the way, the invariants are checked when the scenario is over, and no error may have been logged that it
has not announced in ``expected_errors``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections

from jobsaga.clock import ManualClock, use_clock
from jobsaga.engine.events import publish
from tests.conformance.deployment import QUICK, Deployment
from tests.conformance.invariants import problems
from tests.conformance.surfaces import Diary
from tests.engine.world import World
from tests.engine.worlds import database_place
from tests.jobsapp.jobs.conformance import DIARY
from tests.processes import Site


@pytest.fixture
def diary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diary:
    """What the handlers of this test did, and which signals were sent."""
    monkeypatch.setenv(DIARY, str(tmp_path / "diary"))
    return Diary(tmp_path / "diary")


@pytest.fixture
def expected_errors() -> list[str]:
    """Texts of logged errors that belong to the scenario: append to it."""
    return []


@pytest.fixture(autouse=True)
def in_order(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, expected_errors: list[str]
) -> Iterator[None]:
    """After a scenario in this process. Those with processes are checked by their ``Deployment``."""
    yield
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert [error for error in errors if not any(text in error for text in expected_errors)] == []
    if request.node.get_closest_marker("django_db") and "site" not in request.fixturenames:
        assert problems() == []


@pytest.fixture
def world(db: None) -> Iterator[World]:
    """Scripted workers on the test's database, under a clock that the client's functions follow too."""
    clock = ManualClock()
    with use_clock(clock):
        yield World(database_place(clock), publish=publish)


@pytest.fixture
def deployment(site: Site, diary: Diary, tmp_path: Path) -> Iterator[Deployment]:
    """Worker processes of this test's own, to be stopped and killed. None is started yet."""
    site.jobsaga.update(QUICK)
    deployment = Deployment(site, diary, tmp_path)
    yield deployment
    deployment.check()


@pytest.fixture(scope="module")
def shared_deployment(
    django_db_setup: None, django_db_blocker: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """One worker for all scenarios of a module. Its rows stay until the module is over, then all go."""
    directory = tmp_path_factory.mktemp("shared")
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:  # type: ignore[attr-defined]
        patch.setenv(DIARY, str(directory / "diary"))
        site = Site(directory, dict(QUICK))
        deployment = Deployment(site, Diary(directory / "diary"), directory)
        try:
            deployment.worker("--instance-property", "Region=East", "--instance-property", "Rack=4")
            yield deployment
        finally:
            site.close()
            for alias in connections:
                call_command("flush", database=alias, verbosity=0, interactive=False)


@pytest.fixture
def one_worker(shared_deployment: Deployment) -> Iterator[Deployment]:
    """The worker that many scenarios share: they do not disturb each other."""
    shared_deployment.expected_errors.clear()
    yield shared_deployment
    shared_deployment.check()
