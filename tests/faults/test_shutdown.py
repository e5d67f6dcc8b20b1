"""SIGTERM: take nothing more, let short jobs end, hand the long ones over."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from jobsaga import get_job_state, submit_job
from jobsaga.models import JobInstance, JobSaga
from jobsaga.models.workers import InstanceState
from tests import brokers
from tests.faults.conftest import SLACK, Figure, attempts_of, state_of, wait_for_workers, walking
from tests.faults.ledger import ALIAS, Ledger, boottime, problems
from tests.faults.test_database import database_away
from tests.jobsapp.jobs.faults import Deed, ThreadDeed
from tests.processes import Site


def test_a_stopped_worker_ends_short_jobs_and_hands_long_ones_over(
    site: Site, ledger: Ledger, tmp_path: Path, figure: Figure
) -> None:
    """With default settings: neither lease nor retries have a part in it."""
    until = tmp_path / "enough"
    stopping = site.worker("--grace", "4")
    long, short = submit_job(Deed("walk", {"until": str(until)})), submit_job(Deed("tick", {"seconds": 3}))
    in_thread = submit_job(ThreadDeed("walk", {"until": str(until)}))
    walking(site, ledger, short)
    left = [walking(site, ledger, job_id) for job_id in (long, in_thread)]
    site.worker()
    wait_for_workers(site, 2)
    stopping.process.terminate()
    site.wait_for(lambda: "Stopping" in stopping.log(), what="the worker to stop")
    late = [submit_job(Deed("tick", {"seconds": 0.1})) for _ in range(4)]
    assert stopping.process.wait(20) == 0
    site.wait_for(lambda: all(len(ledger.stays(each.job)) == 2 for each in left), what="the hand-over")
    took = max(ledger.stays(each.job)[1].begin - each_end(ledger, each.job) for each in left)
    figure("handed over after", took)
    assert took < 2 * SLACK
    until.touch()
    jobs = [long, in_thread, short, *late]
    site.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), what="all to end")
    assert len(ledger.stays(short)) == 1
    assert {ledger.stays(job_id)[0].pid for job_id in late}.isdisjoint(
        {each.pid for each in ledger.stays() if each.attempt in [one.attempt for one in left]}
    )
    for first in left:
        assert [each.outcome for each in attempts_of(first.job)] == ["HandedOver", "Completed"]
        last_step = ledger.stays(first.job)[0].events("step")[-1]["step"]
        assert ledger.stays(first.job)[1].events("start")[0]["state"] == {"step": last_step + 1}
        job = JobSaga.objects.using(ALIAS).get(id=first.job)
        assert (job.policy_retries, job.suspect_retries, job.retry_attempt) == (0, 0, 0)
    assert problems(ledger, jobs) == []


def each_end(ledger: Ledger, job_id: object) -> float:
    return next(stay.end for stay in ledger.stays() if stay.job == job_id)


@pytest.mark.sqlite
def test_a_job_that_does_not_listen_is_ended_and_runs_elsewhere(site: Site, ledger: Ledger) -> None:
    """A second signal skips the grace; the job has its two seconds, then its process is killed."""
    stopping = site.worker("--grace", "60")
    deaf = submit_job(Deed("hold_for_ever"))
    site.wait_for(lambda: ledger.events("step", deaf), what="the job to run")
    stopping.process.terminate()
    site.wait_for(lambda: "Stopping" in stopping.log(), what="the worker to stop")
    asked_at = boottime()
    stopping.process.terminate()
    assert stopping.process.wait(20) == 0
    assert 2 < boottime() - asked_at < 10
    assert [each.outcome for each in attempts_of(deaf)] == ["HandedOver"]
    site.worker()
    site.wait_for(lambda: len(ledger.stays(deaf)) == 2, what="the job to run again")


@pytest.mark.sqlite
def test_a_third_signal_waits_for_nobody(site: Site, ledger: Ledger) -> None:
    stopping = site.worker("--grace", "60")
    deaf = submit_job(ThreadDeed("sleep", {"seconds": 60}))
    site.wait_for(lambda: ledger.stays(deaf), what="the job to run")
    asked_at = boottime()
    for word in ("jobs are taken", "asked to save", ""):
        stopping.process.terminate()
        site.wait_for(lambda word=word: word in stopping.log(), what=word)  # type: ignore[misc]
    assert stopping.process.wait(20) == 0
    assert boottime() - asked_at < 2 * SLACK
    assert [each.outcome for each in attempts_of(deaf)] == ["HandedOver"]
    assert state_of(deaf) == "WaitingForSlot"


@pytest.mark.postgresql
@pytest.mark.skipif(brokers.IS_CHOSEN, reason="what a worker says does not wait for the database there")
def test_a_worker_that_stops_while_its_database_is_away_for_a_moment_hands_its_jobs_over(
    site: Site, ledger: Ledger
) -> None:
    stopping = site.worker("--grace", "0")
    job_id = submit_job(Deed("tick", {"seconds": 60}))
    site.wait_for(lambda: state_of(job_id) == "Started", what="the job to run")
    with database_away():
        stopping.process.terminate()
        site.wait_for(lambda: "jobs unfinished" in stopping.log(), what="the worker to say its last words")
    assert stopping.process.wait(30) == 0
    assert JobInstance.objects.using(ALIAS).get().state == InstanceState.STOPPED
    site.worker("--sagas-only")  # the one beside it may not have been back in time to decide
    site.wait_for(lambda: attempts_of(job_id)[0].outcome, what="the attempt to be over")
    assert attempts_of(job_id)[0].outcome == "HandedOver"


@pytest.mark.sqlite
@pytest.mark.parametrize(("grace", "signals"), [("0", 1), ("60", 2)])
def test_a_job_in_the_worker_itself_is_asked_to_end_too(
    site: Site, ledger: Ledger, grace: str, signals: int
) -> None:
    """It holds up the main thread, which asks all others."""
    stopping = site.worker("--isolation", "inline", "--grace", grace)
    job_id = submit_job(Deed("walk"))
    walking(site, ledger, job_id)
    for _ in range(signals - 1):
        stopping.process.send_signal(signal.SIGINT)
        walking(site, ledger, job_id, steps=len(ledger.stays(job_id)[0].events("step")) + 2)
    stopping.process.send_signal(signal.SIGINT)
    assert stopping.process.wait(30) == 0
    first, *others = attempts_of(job_id)
    assert first.outcome == "HandedOver"
    assert all(each.outcome == "NotStarted" for each in others), "it says late that it takes no more"


@pytest.mark.sqlite
def test_while_jobs_have_their_grace_the_saga_host_is_looked_after(site: Site, ledger: Ledger) -> None:
    """Others may need what it decides: a grace may be long."""
    stopping = site.worker("--grace", "60")
    long = submit_job(Deed("tick", {"seconds": 60}))
    site.wait_for(lambda: ledger.stays(long), what="the job to run")
    stopping.process.terminate()
    site.wait_for(lambda: "Stopping" in stopping.log(), what="the worker to stop")
    host = stopping.find("jobsaga-sagas")
    assert host is not None
    os.kill(host, signal.SIGKILL)
    site.wait_for(lambda: stopping.find("jobsaga-sagas") not in (host, None), what="a new host")
    assert site.stop(stopping) == 0
    assert not stopping.tree()


@pytest.mark.sqlite
def test_with_reload_ctrl_c_is_one_signal(site: Site, ledger: Ledger) -> None:
    """The terminal sends it to the supervisor and to its worker. So the job has its grace."""
    keyboard, terminal = os.openpty()
    site.command = (sys.executable, "-c", IN_A_TERMINAL)
    reloading = site.worker("--reload", "--grace", "60", TERMINAL=os.ttyname(terminal))
    job_id = submit_job(Deed("tick", {"seconds": 3}))
    site.wait_for(lambda: ledger.stays(job_id), what="the job to run")
    os.write(keyboard, b"\x03")
    assert reloading.process.wait(40) == 0
    os.close(keyboard)
    os.close(terminal)
    assert "Stopping" in reloading.log()
    assert "asked to save" not in reloading.log()
    assert [each.outcome for each in attempts_of(job_id)] == ["Completed"]


@pytest.mark.sqlite
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_reload_the_supervisor_hands_a_signal_on(site: Site, number: int) -> None:
    reloading = site.worker("--relo")  # as the command line lets one say
    site.wait_for(lambda: "is ready" in reloading.log(), what="the worker")
    reloading.process.send_signal(number)
    assert reloading.process.wait(40) == 0


#: A session's leader that opens a terminal gets it as its own.
IN_A_TERMINAL = (
    "import os, sys; os.open(os.environ['TERMINAL'], os.O_RDWR); "
    "os.execv(sys.executable, [sys.executable, '-m', 'django', *sys.argv[1:]])"
)


def test_the_job_of_the_last_worker_waits_for_the_next(site: Site, ledger: Ledger, tmp_path: Path) -> None:
    """Here it was Ctrl-C."""
    until = tmp_path / "enough"
    alone = site.worker("--grace", "0")
    job_id = submit_job(Deed("walk", {"until": str(until)}))
    walking(site, ledger, job_id)
    alone.process.send_signal(signal.SIGINT)
    assert alone.process.wait(20) == 0
    assert not alone.tree()
    assert state_of(job_id) == "WaitingForSlot"
    assert get_job_state(job_id).job_state["step"] >= 3
    assert JobInstance.objects.using(ALIAS).get().state == InstanceState.STOPPED
    site.worker()
    second = walking(site, ledger, job_id, attempt=2)
    assert second.events("start")[0]["state"]["step"] >= 3
    until.touch()
    site.wait_for(lambda: state_of(job_id) == "Completed", what="the job to end")
    assert problems(ledger, [job_id]) == []
