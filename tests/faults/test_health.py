"""``runjobworker --health-dir``: what a probe sees, looked at as the documentation says, with ``find``."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from jobsaga import submit_job
from jobsaga.engine.process import NAME
from jobsaga.models import JobInstance
from jobsaga.pulse import ALIVE, EVERY, READY, Pulse
from tests.faults.conftest import state_of
from tests.faults.ledger import ALIAS, Ledger
from tests.jobsapp.jobs.faults import Deed
from tests.processes import Site, Worker

#: What these tests take for old: laps and rounds are half a second apart, or less.
OLD = 3


def probe(directory: Path, name: str, seconds: float = OLD) -> bool:
    """As Docker and Kubernetes do it: one shell and one ``find``."""
    command = f"test -n \"$(find {directory / name} -newermt '-{seconds} seconds')\""
    return subprocess.run(["sh", "-c", command], stderr=subprocess.DEVNULL, check=False).returncode == 0


def look(directory: Path) -> tuple[bool, bool]:
    """Alive and ready."""
    return probe(directory, ALIVE), probe(directory, READY)


def part(worker: Worker, name: str) -> int:
    """The process of this worker that is called so; 0: there is none."""
    found = (pid for pid in worker.tree() if Path(f"/proc/{pid}/comm").read_text().strip() == name)
    return next(found, 0)


@pytest.mark.sqlite
def test_ready_is_a_worker_that_is_registered_until_it_stops(site: Site, tmp_path: Path) -> None:
    health = tmp_path / "health"
    health.mkdir()
    (health / READY).touch()  # of an earlier life, in a volume that outlives a container
    worker = site.worker("--health-dir", str(health))
    rows = JobInstance.objects.using(ALIAS)
    site.wait_for(lambda: not (health / READY).exists(), what="the old sign to be removed")
    site.wait_for((health / READY).exists, what="it to be ready")
    assert rows.count() == 1
    assert look(health) == (True, True)
    assert site.stop(worker) == 0
    assert not (health / READY).exists()


@pytest.mark.sqlite
def test_a_job_that_ends_slowly_keeps_a_stopping_worker_alive_but_not_ready(
    site: Site, ledger: Ledger, tmp_path: Path
) -> None:
    health = tmp_path / "health"
    worker = site.worker("--health-dir", str(health), "--grace", "60")
    job_id = submit_job(Deed("sleep", {"seconds": OLD + 2}))
    site.wait_for(lambda: state_of(job_id) == "Started", what="the job to run")
    worker.process.terminate()
    site.wait_for(lambda: not (health / READY).exists(), what="it to say that it stops")
    seen = []
    while worker.alive:
        seen.append(look(health))
        time.sleep(0.2)
    assert seen
    assert set(seen[:-2]) == {(True, False)}
    assert state_of(job_id) == "Completed"


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("options", "frozen"),
    [(("--jobs-only",), ""), (("--sagas-only",), ""), ((), ""), ((), NAME)],
    ids=["a worker", "a saga host", "both, the worker", "both, the saga host"],
)
def test_what_hangs_gets_old(site: Site, tmp_path: Path, options: tuple[str, ...], frozen: str) -> None:
    """Whichever part stands still: one process of it is stopped, and goes on later."""
    health = tmp_path / "health"
    worker = site.worker("--health-dir", str(health), *options)
    site.wait_for(lambda: look(health) == (True, True), what="it to be well")
    pid = part(worker, frozen) if frozen else worker.pid
    os.kill(pid, signal.SIGSTOP)
    site.wait_for(lambda: look(health) == (False, False), OLD + 3, "the signs to get old")
    os.kill(pid, signal.SIGCONT)
    site.wait_for(lambda: look(health) == (True, True), what="it to be well again")


@pytest.mark.sqlite
def test_a_saga_host_that_dies_is_replaced_and_the_worker_stays_alive(site: Site, tmp_path: Path) -> None:
    health = tmp_path / "health"
    worker = site.worker("--health-dir", str(health))
    site.wait_for(lambda: look(health) == (True, True), what="it to be well")
    first = part(worker, NAME)
    os.kill(first, signal.SIGKILL)
    site.wait_for(lambda: part(worker, NAME) not in (0, first), what="another saga host")
    site.wait_for(lambda: look(health) == (True, True), what="it to be well again")


@pytest.mark.sqlite
def test_signs_that_cannot_be_given_are_an_error_at_once(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = site.manage("runjobworker", "--health-dir", str(tmp_path / "file" / "health"), check=False)
    assert done.returncode == 1
    assert "--health-dir: no signs of life can be written" in done.stderr
    done = site.manage("runjobworker", "--health-dir", str(tmp_path), "--isolation", "inline", check=False)
    assert done.returncode == 1
    assert "exclude each other" in done.stderr


def test_a_full_disk_stops_nobody_and_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pulse = Pulse(tmp_path / "health")
    pulse.beat(ready=True)
    assert look(tmp_path / "health") == (True, True)
    (tmp_path / "health").rename(tmp_path / "gone")
    for ready in (False, True, False):
        pulse.beat(ready=ready)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "cannot be written" in said


def test_the_oldest_sign_counts(tmp_path: Path) -> None:
    beside = Pulse(tmp_path / "sagas")
    pulse = Pulse(tmp_path, tmp_path / "sagas")
    pulse.beat(ready=True)
    assert look(tmp_path) == (False, False), "the part beside has given none"
    beside.beat(ready=False)
    time.sleep(EVERY)
    pulse.beat(ready=True)
    assert look(tmp_path) == (True, False)
    beside.beat(ready=True)
    os.utime(tmp_path / "sagas" / ALIVE, (1, 1))
    time.sleep(EVERY)
    pulse.beat(ready=True)
    assert look(tmp_path) == (False, True)
