"""SIGKILL, in all sizes: a whole worker, one child, the parent alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from jobsaga import get_job_state, submit_job
from jobsaga.models import JobHistory
from tests.faults.conftest import SLACK, Figure, attempts_of, state_of, wait_for_workers, walking
from tests.faults.ledger import ALIAS, Ledger, Stay, boottime, problems
from tests.jobsapp.jobs.faults import Deed, SoloDeed
from tests.processes import Site, Worker


def kill_a_worker_and_see_its_jobs_go_on(
    site: Site, ledger: Ledger, tmp_path: Path, kill: Callable[[Worker], None]
) -> float:
    """How many seconds after the kill the last of its jobs ran again."""
    until = tmp_path / "enough"
    doomed = site.worker()
    jobs = [submit_job(Deed("walk", {"until": str(until)})) for _ in range(2)]
    for job_id in jobs:
        walking(site, ledger, job_id)
        site.wait_for(lambda job_id=job_id: get_job_state(job_id).progress_value, what="its progress")
    site.worker("--jobs-only")
    site.worker("--sagas-only")
    wait_for_workers(site, 2)
    killed_at = boottime()
    kill(doomed)
    site.wait_for(lambda: all(len(ledger.stays(job_id)) == 2 for job_id in jobs), 60, "the jobs to run again")
    for job_id in jobs:
        goes_on_where_it_was(*ledger.stays(job_id))
    until.touch()
    site.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), what="the jobs to end")
    assert problems(ledger, jobs) == []
    return max(ledger.stays(job_id)[1].begin for job_id in jobs) - killed_at


def goes_on_where_it_was(first: Stay, second: Stay) -> None:
    """With its saved state, and the progress it had reported a second before at the latest."""
    (start,) = second.events("start")
    saved = start["state"]["step"]
    assert saved - 1 in (first.events("step")[-1]["step"], first.events("step")[-1]["step"] + 1)
    assert start["progress"] is not None
    assert [each.outcome for each in attempts_of(first.job)] == ["Suspect", ""]
    assert "was lost" in attempts_of(first.job)[0].reason
    assert get_job_state(first.job).last_retry_attempt == 1


@pytest.mark.postgresql
def test_jobs_of_a_killed_worker_run_elsewhere_within_20_seconds(
    site: Site, ledger: Ledger, tmp_path: Path, figure: Figure
) -> None:
    """With the defaults: a heartbeat every 5 s, a lease of 15 s."""
    took = kill_a_worker_and_see_its_jobs_go_on(site, ledger, tmp_path, site.kill_tree)
    figure("killed worker's jobs run again after", took)
    assert took < 20 * SLACK


@pytest.mark.sqlite
@pytest.mark.mariadb
def test_jobs_of_a_killed_worker_run_elsewhere(
    quick: Site, ledger: Ledger, tmp_path: Path, figure: Figure
) -> None:
    """A lease of 4 s; only the process group is killed, as a shell or a supervisor would."""
    took = kill_a_worker_and_see_its_jobs_go_on(quick, ledger, tmp_path, quick.kill9)
    figure("with a lease of 4 s, killed worker's jobs run again after", took)
    assert took < 8 * SLACK


def test_a_killed_child_is_a_fault_of_its_attempt_alone(
    quick: Site, ledger: Ledger, tmp_path: Path, figure: Figure
) -> None:
    until = tmp_path / "enough"
    quick.worker()
    victim, neighbour = (submit_job(Deed("walk", {"until": str(until)})) for _ in range(2))
    doomed = walking(quick, ledger, victim)
    steps = len(walking(quick, ledger, neighbour).events("step"))
    killed_at = boottime()
    os.kill(doomed.pid, signal.SIGKILL)
    quick.wait_for(lambda: attempts_of(victim)[0].fault, what="the fault to be recorded")
    took = boottime() - killed_at
    figure("killed child is recorded after", took)
    assert took < 2 * SLACK
    first = attempts_of(victim)[0]
    assert "killed by signal 9" in first.fault["message"]
    assert (first.outcome, first.holds_slot) == ("Suspect", False)
    quick.wait_for(lambda: len(ledger.stays(victim)) == 2, what="the job to run again")
    walking(quick, ledger, neighbour, steps=steps + 5)
    until.touch()
    quick.wait_for(lambda: state_of(victim) == state_of(neighbour) == "Completed", what="both to end")
    assert len(attempts_of(neighbour)) == 1
    assert problems(ledger, [victim, neighbour]) == []


@pytest.mark.sqlite
def test_a_job_that_always_kills_its_process_is_stopped(quick: Site, ledger: Ledger) -> None:
    quick.jobsaga["SUSPECT_JOB_RETRY_COUNT"] = 2
    quick.worker()
    poison, neighbour = submit_job(SoloDeed("die")), submit_job(Deed("tick", {"seconds": 1}))
    quick.wait_for(lambda: state_of(poison) == "Faulted", what="the poison job to be given up")
    quick.wait_for(lambda: state_of(neighbour) == "Completed", what="its neighbour to end")
    attempts = attempts_of(poison)
    assert [each.outcome for each in attempts] == ["Suspect"] * 3
    assert all("killed by signal 9" in each.fault["message"] for each in attempts)
    lines = JobHistory.objects.using(ALIAS).filter(job_id=poison, kind="JobAttemptFaulted")
    assert [line.attempt_id for line in lines.order_by("id")] == [each.id for each in attempts]
    assert "killed by signal 9" in get_job_state(poison).reason
    assert problems(ledger, [poison, neighbour]) == []


@pytest.mark.sqlite
def test_nothing_outlives_a_killed_parent(quick: Site, ledger: Ledger, figure: Figure) -> None:
    worker = quick.worker()
    jobs = [
        submit_job(Deed(what, args)) for what, args in (("walk", {}), ("spin", {}), ("start_a_program", {}))
    ]
    program = quick.wait_for(lambda: ledger.events("program"), what="the program to start")[0]["program"]
    quick.wait_for(lambda: all(ledger.stays(job_id) for job_id in jobs), what="all jobs to run")
    assert program in worker.tree()
    killed_at = boottime()
    os.kill(worker.pid, signal.SIGKILL)
    worker.process.wait(10)
    quick.wait_for(lambda: not worker.tree(), what="its processes to be gone")
    took = boottime() - killed_at
    figure("killed parent's last process is gone after", took)
    assert took < 2 * SLACK


@pytest.mark.sqlite
def test_a_killed_server_is_replaced_although_a_job_has_left_a_copy(quick: Site, ledger: Ledger) -> None:
    worker = quick.worker("--job-type", "jobsapp.Deed")
    lost = submit_job(Deed("fork_a_copy"))
    copy = quick.wait_for(lambda: ledger.events("program"), what="the copy to be made")[0]["program"]
    server = worker.find("jobsaga-server")
    assert server
    os.kill(server, signal.SIGKILL)
    quick.wait_for(lambda: attempts_of(lost)[0].outcome == "Suspect", what="the loss to be seen")
    quick.wait_for(lambda: copy not in worker.tree(), what="the copy to be ended")
    after = submit_job(Deed())
    quick.wait_for(lambda: state_of(after) == "Completed", what="another job to run")


@pytest.mark.sqlite
def test_a_job_that_writes_into_what_is_not_its_own_ends_nobody_else(quick: Site, ledger: Ledger) -> None:
    worker = quick.worker("--job-type", "jobsapp.Deed")
    neighbour = submit_job(Deed("tick", {"seconds": 4}))
    quick.wait_for(lambda: ledger.stays(neighbour), what="the neighbour to run")
    vandal = submit_job(Deed("write_into_every_descriptor"))
    quick.wait_for(
        lambda: attempts_of(vandal) and attempts_of(vandal)[0].outcome == "Suspect", what="its end"
    )
    quick.wait_for(lambda: state_of(neighbour) == "Completed", what="its neighbour to end")
    assert worker.alive
    assert [each.outcome for each in attempts_of(neighbour)] == ["Completed"]
