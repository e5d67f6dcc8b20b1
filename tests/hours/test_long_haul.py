"""Zombies again and again, restarts under load, an hour without a word, half a minute of one regular expression.

Short in CI; at their full length with JOBSAGA_TRIALS=20 (``make soak-hours``).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import pytest

from jobsaga import cancel_job, get_job_state, submit_job, submit_jobs
from jobsaga.models import JobHistory, JobSaga
from tests.faults.conftest import SLACK, attempts_of, state_of, wait_for_workers, walking
from tests.faults.ledger import Ledger, Stay, boottime, problems
from tests.faults.test_database import drop_connections
from tests.faults.test_frozen import claim_to_have_completed, freeze, problems_but_waking
from tests.hours.soak import ALIAS, SEED, TRIALS, record, share
from tests.jobsapp.jobs.faults import Deed, ThreadDeed
from tests.processes import Site, Worker

Test = TypeVar("Test", bound=Callable[..., Any])
SHORT = TRIALS == 1
CYCLES = 2 if SHORT else share(200)
RESTARTS = 3 if SHORT else share(200)
HOUR = 4 if SHORT else 180 * TRIALS
HOLD = 5 if SHORT else 30


def on(*databases: str) -> Callable[[Test], Test]:
    """The databases for a test: in a short run the first of them has to do."""

    def mark(test: Test) -> Test:
        for database in databases[:1] if SHORT else databases:
            getattr(pytest.mark, database)(test)
        return test

    return mark


@on("postgresql", "sqlite")
@pytest.mark.timeout(120 + 180 * TRIALS)
def test_every_zombie_is_refused_and_gone_two_seconds_after_it_woke(
    site: Site, ledger: Ledger, tmp_path: Path
) -> None:
    began, slowest = time.monotonic(), 0.0
    site.jobsaga.update(HEARTBEAT_INTERVAL=0.4, HEARTBEAT_TIMEOUT=2.5, SUSPECT_JOB_RETRY_DELAY=0.1)
    site.jobsaga["SUSPECT_JOB_RETRY_COUNT"] = 10_000
    until = tmp_path / "enough"
    workers = [site.worker(), site.worker()]
    wait_for_workers(site, 2)
    job_id = submit_job(Deed("walk", {"until": str(until), "steps": 10**9}))
    for cycle in range(1, CYCLES + 1):
        stay = walking(site, ledger, job_id, attempt=cycle)
        holder = next(each for each in workers if stay.pid in each.tree())
        freeze(site, holder)
        walking(site, ledger, job_id, attempt=cycle + 1)
        os.kill(stay.pid, signal.SIGCONT)  # before its parent, who would end it
        site.wait_for(lambda stay=stay: was_refused(ledger, stay), what="its save to be refused")  # type: ignore[misc]
        claim_to_have_completed(site, stay)
        slowest = max(slowest, seconds_to_end(site, holder, stay))
        wait_for_workers(site, 2)
    until.touch()
    site.wait_for(lambda: state_of(job_id) == "Completed", what="the job to end")
    outcomes = [each.outcome for each in attempts_of(job_id)]
    assert outcomes == ["Suspect"] * CYCLES + ["Completed"]
    refused = len(ledger.events("superseded", job_id))
    too_late = JobHistory.objects.using(ALIAS).filter(job_id=job_id, kind="JobAttemptCompletedTooLate")
    ends = JobHistory.objects.using(ALIAS).filter(job_id=job_id, kind="JobAttemptCompleted")
    assert (refused, too_late.values("attempt_id").distinct().count(), ends.count()) == (CYCLES, CYCLES, 1)
    assert problems_but_waking(ledger, [job_id]) == []
    record(
        "zombies", began, cycles=CYCLES, refused_saves=refused, refused_reports=CYCLES, slowest_end=slowest
    )


def was_refused(ledger: Ledger, stay: Stay) -> bool:
    ledger.stays()
    return bool(stay.events("superseded"))


def seconds_to_end(site: Site, worker: Worker, stay: Stay) -> float:
    woken_at = boottime()
    site.thaw(worker)
    site.wait_for(lambda: stay.pid not in worker.tree(), what="the zombie to be gone")
    took = boottime() - woken_at
    assert took < 2 * SLACK
    return took


@on("mariadb", "postgresql")
@pytest.mark.timeout(120 + 90 * TRIALS)
def test_rolling_restarts_under_load_lose_nothing_and_spend_no_retry(
    site: Site, ledger: Ledger, tmp_path: Path
) -> None:
    began, random = time.monotonic(), Random(SEED)
    until = tmp_path / "enough"
    workers = [site.worker("--grace", "0.3"), site.worker("--grace", "0.3")]
    wait_for_workers(site, 2)
    jobs = [
        submit_job(kind("walk", {"until": str(until), "steps": 10**9})) for kind in (Deed, Deed, ThreadDeed)
    ]
    for job_id in jobs:
        walking(site, ledger, job_id)
    for number in range(RESTARTS):
        jobs += submit_jobs([Deed("tick", {"seconds": random.choice([0, 0.05, 0.5])}) for _ in range(4)])
        place = number % 2
        assert site.stop(workers[place]) == 0
        workers[place] = site.worker("--grace", "0.3")
        wait_for_workers(site, 2)
    until.touch()
    site.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), 60, "all to end")
    assert problems(ledger, jobs) == []
    rows = JobSaga.objects.using(ALIAS).filter(id__in=jobs)
    spent = rows.values_list("retry_attempt", "policy_retries", "suspect_retries").distinct()
    assert list(spent) == [(0, 0, 0)]
    handed_over = sum(len(attempts_of(job_id)) - 1 for job_id in jobs[:3])
    assert handed_over >= 1
    record("restarts", began, restarts=RESTARTS, jobs=len(jobs), handed_over=handed_over, lost=0, retries=0)


@on("postgresql", "mariadb")
@pytest.mark.timeout(120 + 200 * TRIALS)
def test_a_job_of_an_hour_whose_connections_are_dropped_completes_at_its_first_try(
    site: Site, ledger: Ledger
) -> None:
    """It says and saves nothing for so long, and saves at its end."""
    began, dropped = time.monotonic(), 0
    site.worker()
    jobs = [submit_job(kind("walk", {"steps": 5, "rest": HOUR})) for kind in (Deed, ThreadDeed)]
    for job_id in jobs:
        site.wait_for(lambda job_id=job_id: state_of(job_id) == "Started", what="the job to run")  # type: ignore[misc]
    rests_until = time.monotonic() + HOUR  # however long it took to start on a busy machine
    while time.monotonic() < rests_until:
        time.sleep(min(HOUR / 4, 60))
        dropped += drop_connections()
    site.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), 60, "both to end")
    assert [len(attempts_of(job_id)) for job_id in jobs] == [1, 1]
    assert [get_job_state(job_id).job_state for job_id in jobs] == [{"step": "rested"}] * 2
    assert dropped >= 6
    assert problems(ledger, jobs) == []
    record("hour", began, seconds=HOUR, connections_dropped=dropped, attempts=1)


@on("sqlite", "mariadb")
@pytest.mark.timeout(300)
def test_a_long_regular_expression_is_no_death_and_its_cancel_is_enforced(
    quick: Site, ledger: Ledger
) -> None:
    """At last it is one call of so many seconds, in which no other thread of its process runs."""
    began = time.monotonic()
    quick.worker()
    hog = submit_job(Deed("hold_the_interpreter", {"seconds": HOLD}))
    neighbour = submit_job(Deed("tick", {"seconds": HOLD}))
    jobs = [hog, neighbour]
    quick.wait_for(
        lambda: all(state_of(job_id) == "Completed" for job_id in jobs), 30 + 6 * HOLD, "both to end"
    )
    assert [len(attempts_of(job_id)) for job_id in jobs] == [1, 1]
    assert not JobHistory.objects.using(ALIAS).filter(kind="JobAttemptLate").exists()
    deaf = submit_job(Deed("hold_the_interpreter", {"seconds": 10**6}))
    quick.wait_for(lambda: ledger.stays(deaf), what="the third to run")
    time.sleep(3)  # by now each call lasts for seconds
    took = seconds_to_cancel(quick, deaf)
    assert took < (2 + 2) * SLACK
    assert len(attempts_of(deaf)) == 1
    record("regex", began, held_seconds=HOLD, suspected=0, canceled_after=round(took, 2), grace=2)


def seconds_to_cancel(site: Site, job_id: UUID) -> float:
    canceled_at = boottime()
    cancel_job(job_id, reason="enough")
    site.wait_for(lambda: state_of(job_id) == "Canceled", what="the job to be canceled")
    return boottime() - canceled_at
