"""What the tests of faults have in common: the ledger, workers that are noticed sooner, and measured figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from jobsaga import get_job_state
from jobsaga.models import JobAttemptSaga, JobInstance
from jobsaga.models.workers import InstanceState
from tests.faults.ledger import ALIAS, Ledger, Stay
from tests.jobsapp.jobs.faults import LEDGER
from tests.private_broker import PrivateBroker
from tests.processes import Site, Worker

#: A shared machine may be twice as slow as the promise; what was really measured is printed.
SLACK = 2 if os.environ.get("CI") == "true" else 1
Figure = Callable[..., None]
_figures: list[str] = []


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The ledger of this test's jobs. Ask for it before ``site``'s first worker starts."""
    path = tmp_path / "ledger"
    path.touch()
    monkeypatch.setenv(LEDGER, str(path))
    return Ledger(path)


@pytest.fixture
def quick(site: Site) -> Site:
    """A site where a worker counts as lost after 4 seconds instead of 15."""
    site.jobsaga.update(HEARTBEAT_INTERVAL=0.5, HEARTBEAT_TIMEOUT=4, SUSPECT_JOB_RETRY_DELAY=0.1)
    return site


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Note what was measured: shown at the end, whether the test passes or not."""

    def note(what: str, value: float, unit: str = "s") -> None:
        _figures.append(f"{request.node.name}: {what} {value:.2f} {unit}")

    return note


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _figures:
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{line}\n" for line in _figures))


def walking(site: Site, ledger: Ledger, job_id: UUID, *, attempt: int = 1, steps: int = 3) -> Stay:
    """Wait until this attempt (the first is 1) of the job has made some steps."""

    def steps_made() -> int:
        stays = ledger.stays(job_id)
        return len(stays[attempt - 1].events("step")) if len(stays) >= attempt else 0

    site.wait_for(lambda: steps_made() >= steps, what="the job to walk")
    return ledger.stays(job_id)[attempt - 1]


def state_of(job_id: UUID) -> str:
    return get_job_state(job_id).current_state


def attempts_of(job_id: UUID) -> list[JobAttemptSaga]:
    """The job's attempts, the first one first."""
    return list(JobAttemptSaga.objects.using(ALIAS).filter(job_id=job_id).order_by("created_at", "id"))


def wait_for_workers(site: Site, count: int, timeout: float = 20) -> None:
    """Until so many instances are registered and alive, and have announced their job types."""
    rows = JobInstance.objects.using(ALIAS).filter(state=InstanceState.RUNNING, job_types__isnull=False)
    site.wait_for(lambda: rows.distinct().count() == count, timeout, what=f"{count} workers")


def two_workers(site: Site, *args: str) -> tuple[Worker, Worker]:
    """Two workers; the first is ready before the second starts."""
    first = site.worker(*args)
    wait_for_workers(site, 1)
    second = site.worker(*args)
    wait_for_workers(site, 2)
    return first, second


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """A broker that may be killed."""
    broker = PrivateBroker(tmp_path_factory.mktemp("rabbitmq"))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
