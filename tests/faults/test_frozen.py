"""A worker that stands still, is declared dead, and wakes up: it may say and save nothing any more."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from uuid import UUID

import pytest
from django.db import OperationalError, connections, transaction

from jobsaga import get_job_state, submit_job, submit_jobs
from jobsaga.clock import SystemClock
from jobsaga.messages import JobAttemptCompleted
from jobsaga.models import JobHistory, JobInstance, JobTypeSaga
from jobsaga.models.workers import InstanceState
from jobsaga.transport import default_transport
from jobsaga.transport.base import SAGA
from tests.faults.conftest import SLACK, Figure, attempts_of, state_of, wait_for_workers, walking
from tests.faults.ledger import ALIAS, Ledger, Stay, boottime, problems
from tests.jobsapp.jobs.faults import Deed, ThreadDeed
from tests.jobsapp.models import Mark
from tests.processes import Site, Worker


def freeze(site: Site, worker: Worker) -> None:
    """Freeze it. On SQLite, which has one writer, not in the middle of a write: nobody could do anything then."""
    site.freeze(worker)
    while not writable():
        site.thaw(worker)
        site.freeze(worker)


def writable() -> bool:
    connection = connections[ALIAS]
    if connection.vendor != "sqlite":
        return True
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 200")
    try:
        Mark.objects.using(ALIAS).create(text="writable")
    except OperationalError:
        return False
    finally:
        cursor.execute("PRAGMA busy_timeout = 20000")
    return True


def test_promise_5_a_frozen_workers_jobs_go_on_elsewhere_and_it_may_say_nothing_more(
    quick: Site, ledger: Ledger, tmp_path: Path, figure: Figure
) -> None:
    until = tmp_path / "enough"
    frozen = quick.worker()
    jobs = [submit_job(kind("walk", {"until": str(until)})) for kind in (Deed, Deed, ThreadDeed)]
    first = [walking(quick, ledger, job_id) for job_id in jobs]
    quick.worker()
    wait_for_workers(quick, 2)
    freeze(quick, frozen)
    second = [walking(quick, ledger, job_id, attempt=2) for job_id in jobs]
    children = {stay.pid for stay in first}
    assert children <= frozen.tree()

    wake_a_child_before_its_parent(quick, ledger, first[0])
    claim_to_have_completed(quick, first[1])
    woken_at = boottime()
    quick.thaw(frozen)
    quick.wait_for(lambda: not children & frozen.tree(), what="the zombies to be gone")
    took = boottime() - woken_at
    figure("zombies are gone after", took)
    assert took < 2 * SLACK

    wait_for_workers(quick, 2)
    rows = JobInstance.objects.using(ALIAS).filter(pid=frozen.pid).order_by("started_at")
    assert [row.state for row in rows] == [InstanceState.STOPPED, InstanceState.RUNNING]
    assert [state_of(job_id) for job_id in jobs] == ["Started"] * 3
    ledger.stays()
    for old, new in zip(first, second, strict=True):
        # Frozen between its last save and the note of it, it notes that step when it wakes: it is known already.
        known = new.events("start")[0]["state"]["step"]
        woken = [line for line in old.events("step") if line["at"] > new.begin]
        assert [line for line in woken if line["step"] >= known] == []
    until.touch()
    quick.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), what="all to end")
    for job_id in jobs:
        assert [each.outcome for each in attempts_of(job_id)] == ["Suspect", "Completed"]
    assert problems_but_waking(ledger, jobs) == []


def problems_but_waking(ledger: Ledger, jobs: list[UUID]) -> list[str]:
    """That a sleeper stirs when it wakes cannot be prevented: that nothing it does counts can."""
    return [each for each in problems(ledger, jobs) if not each.startswith("overlap")]


def wake_a_child_before_its_parent(site: Site, ledger: Ledger, stay: Stay) -> None:
    """Its next save is refused."""
    os.kill(stay.pid, signal.SIGCONT)
    site.wait_for(lambda: ledger.events("superseded", stay.job), what="the zombie's save to be refused")


def claim_to_have_completed(site: Site, stay: Stay) -> None:
    """What the old attempt reports changes nothing but the history."""
    said = JobAttemptCompleted(job_id=stay.job, attempt_id=stay.attempt, timestamp=SystemClock().now())
    default_transport().send([(SAGA, said)])
    rows = JobHistory.objects.using(ALIAS).filter(kind="JobAttemptCompletedTooLate", attempt_id=stay.attempt)
    site.wait_for(rows.exists, what="the late report to be noted")
    assert state_of(stay.job) == "Started"


@pytest.mark.postgresql
@pytest.mark.mariadb
def test_a_frozen_transaction_that_holds_the_checkpoint_is_ended(
    quick: Site, ledger: Ledger, tmp_path: Path, figure: Figure
) -> None:
    """After the lease and ZOMBIE_GRACE its database session is ended, and the job goes on elsewhere."""
    quick.jobsaga["ZOMBIE_GRACE"] = 2
    until = tmp_path / "enough"
    frozen = quick.worker()
    job_id = submit_job(Deed("hold_the_checkpoint", {"until": str(until)}))
    quick.wait_for(lambda: ledger.events("holding", job_id), what="the job to hold its checkpoint")
    quick.worker()
    wait_for_workers(quick, 2)
    frozen_at = boottime()
    quick.freeze(frozen)
    quick.wait_for(
        lambda: attempts_of(job_id)[0].get_state_display() == "Suspect", what="the attempt to be Suspect"
    )
    assert attempts_of(job_id)[0].holds_slot
    quick.wait_for(lambda: len(ledger.stays(job_id)) == 2, 60, "the job to go on")
    took = ledger.stays(job_id)[1].begin - frozen_at
    figure("job goes on after", took)
    assert took < (4 + 2 + 4) * SLACK
    until.touch()
    quick.thaw(frozen)
    quick.wait_for(lambda: state_of(job_id) == "Completed", what="the job to end")
    quick.wait_for(lambda: ledger.stays(job_id)[0].pid not in frozen.tree(), what="the zombie to be gone")
    assert get_job_state(job_id).result == "not again"
    assert ledger.events("committed", job_id) == []
    notes = JobHistory.objects.using(ALIAS).filter(job_id=job_id, kind="SessionEnded")
    assert 1 <= notes.count() <= 3


@pytest.mark.postgresql
@pytest.mark.mariadb
def test_a_saga_host_that_is_frozen_with_a_lock_stops_nobody_for_long(
    site: Site, ledger: Ledger, figure: Figure
) -> None:
    """While it holds a job type's row nobody else can give out that type's slots: its session is ended."""
    frozen = site.worker("--sagas-only")
    site.worker("--jobs-only", "--concurrency", "2")
    wait_for_workers(site, 1)
    jobs = submit_jobs([Deed("tick", {"seconds": 0.02}) for _ in range(100)])
    site.wait_for(ledger.stays, what="the first job")
    freeze_holding_a_job_type(site, frozen)
    frozen_at = boottime()
    site.worker("--sagas-only")
    before = len(ledger.stays())
    site.wait_for(lambda: len(ledger.stays()) > before + 4, 60, "jobs to start again")
    took = boottime() - frozen_at
    figure("slots are given out again after", took)
    assert took < 10 * SLACK
    site.thaw(frozen)
    site.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), 60, "all to end")
    assert problems(ledger, jobs) == []
    assert frozen.alive


def freeze_holding_a_job_type(site: Site, worker: Worker) -> None:
    """Freeze it again and again, until it happens to have the type of the jobs locked."""
    rows = JobTypeSaga.objects.using(ALIAS).select_for_update(skip_locked=True)
    for _ in range(2000):
        site.freeze(worker)
        with transaction.atomic(using=ALIAS):
            if not rows.filter(name="jobsapp.Deed"):
                return
        site.thaw(worker)
    raise AssertionError("it never was frozen with the lock")
