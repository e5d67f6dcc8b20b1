"""The way to the database: replies that are lost after the work was done, and a cable that is pulled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from django.db import connections

from jobsaga import submit_job, submit_jobs
from jobsaga.models import JobInstance, JobSaga
from jobsaga.models.workers import InstanceState
from tests import brokers
from tests.databases import url_for
from tests.faults.conftest import SLACK, Figure, attempts_of, state_of, wait_for_workers
from tests.faults.ledger import ALIAS, ENDED, Ledger, boottime, problems
from tests.faults.proxy import Proxy
from tests.jobsapp.jobs.faults import Deed, TaskDeed, ThreadDeed
from tests.processes import Site

TRIALS = int(os.environ.get("JOBSAGA_TRIALS", "1"))
PORTS = {"postgresql": 5432, "mysql": 3306}
MakeProxy = Callable[..., Proxy]


@pytest.fixture
def proxy() -> Iterator[MakeProxy]:
    """Makes proxies to the test's database."""
    made: list[Proxy] = []

    def make(**options: object) -> Proxy:
        settings = connections[ALIAS].settings_dict
        port = int(settings["PORT"] or PORTS[connections[ALIAS].vendor])
        made.append(Proxy((settings["HOST"] or "127.0.0.1", port), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()


def through(proxy: Proxy) -> dict[str, str]:
    """The environment of a process that reaches its database through the proxy."""
    settings = {**connections[ALIAS].settings_dict, "HOST": "127.0.0.1", "PORT": str(proxy.port)}
    return {"JOBSAGA_TEST_DATABASE": url_for(settings)}


@pytest.mark.postgresql
@pytest.mark.mariadb
@pytest.mark.timeout(300 * TRIALS)
def test_promise_6_commits_of_which_nobody_hears_are_neither_lost_nor_done_twice(
    quick: Site, ledger: Ledger, proxy: MakeProxy, figure: Figure
) -> None:
    """One commit in four: of the sagas, of reports, of start messages that were taken, of heartbeats."""
    lossy = proxy(lose_reply_to=rb"(?<!auto)commit", one_in=4, seed=int(os.environ.get("JOBSAGA_SEED", "1")))
    worker = quick.worker(**through(lossy))
    wait_for_workers(quick, 1)
    lossy.lossy.set()
    jobs = submit_jobs(
        [
            *(kind("tick", {"seconds": 0.02}) for kind in (Deed, ThreadDeed) for _ in range(25 * TRIALS)),
            *(TaskDeed(args={"seconds": 0.02}) for _ in range(10 * TRIALS)),
        ]
    )
    rows = JobSaga.objects.using(ALIAS).filter(id__in=jobs).exclude(state__in=ENDED)
    quick.wait_for(lambda: not rows.exists(), (240 if brokers.IS_CHOSEN else 60) * TRIALS, "all to end")
    figure(f"{len(jobs)} jobs, on {connections[ALIAS].vendor}: lost replies", lossy.lost, "commits")
    assert lossy.lost >= 5
    assert worker.alive
    assert problems(ledger, jobs) == []
    outcomes = [[each.outcome for each in attempts_of(job_id)] for job_id in jobs]
    if brokers.IS_CHOSEN:
        # A start is sent after its commit. One of which nobody heard is made good after 15 s, so all takes minutes,
        # in which a heartbeat may be late as well. That no attempt overlapped another is among the problems.
        outcomes = [of_job[-1:] for of_job in outcomes]
    assert outcomes == [["Completed"]] * len(jobs)


@pytest.mark.postgresql
def test_a_worker_whose_cable_is_pulled_is_replaced_and_comes_back(
    quick: Site, ledger: Ledger, proxy: MakeProxy, figure: Figure
) -> None:
    """It ends its jobs by its own clock before another worker gets them. Nor does it wait to see who is idle."""
    cable = proxy()
    quick.worker("--sagas-only")
    job_id = submit_job(Deed("tick", {"seconds": 40}))
    cut_off = quick.worker("--jobs-only", "--until-idle", **through(cable))
    wait_for_workers(quick, 1)
    quick.wait_for(lambda: state_of(job_id) == "Started", what="the job to run")
    quick.worker("--jobs-only")
    wait_for_workers(quick, 2)
    cut_at = boottime()
    cable.open.clear()
    quick.wait_for(lambda: len(ledger.stays(job_id)) == 2, 30, "the job to run elsewhere")
    first, second = ledger.stays(job_id)
    figure("job runs elsewhere after", second.begin - cut_at)
    assert first.end < second.begin
    assert second.begin - cut_at < 8 * SLACK
    assert first.pid not in cut_off.tree()
    cable.open.set()
    back_at = boottime()
    running = JobInstance.objects.using(ALIAS).filter(pid=cut_off.pid, state=InstanceState.RUNNING)
    quick.wait_for(running.exists, 30, "the worker to be back")
    figure("worker is back after", boottime() - back_at)
    assert state_of(job_id) == "Started"
    assert len(attempts_of(job_id)) == 2


@pytest.mark.postgresql
def test_a_worker_that_is_stopped_while_its_cable_is_pulled_ends_its_jobs_before_others_get_them(
    quick: Site, ledger: Ledger, proxy: MakeProxy, figure: Figure
) -> None:
    """It cannot say that it stops, and does not wait until it can."""
    cable = proxy()
    quick.worker("--sagas-only")
    cut_off = quick.worker("--jobs-only", "--grace", "60", **through(cable))
    wait_for_workers(quick, 1)
    job_id = submit_job(Deed("tick", {"seconds": 40}))
    quick.wait_for(lambda: state_of(job_id) == "Started", what="the job to run")
    quick.worker("--jobs-only")
    wait_for_workers(quick, 2)
    cut_at = boottime()
    cable.open.clear()
    cut_off.process.terminate()
    quick.wait_for(lambda: len(ledger.stays(job_id)) == 2, 30, "the job to run elsewhere")
    first, second = ledger.stays(job_id)
    figure("the job of a worker that stops without its database ends after", first.end - cut_at)
    assert first.end < second.begin


@pytest.mark.postgresql
@pytest.mark.mariadb
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_worker_that_is_stopped_while_its_cable_is_pulled_ends(
    quick: Site, ledger: Ledger, proxy: MakeProxy, figure: Figure, busy: bool
) -> None:
    """It cannot take its leave, says so, and ends: nobody has to kill it. So does the saga host beside it."""
    cable = proxy()
    cut_off = quick.worker("--grace", "0", **through(cable))
    wait_for_workers(quick, 1)
    if busy:
        job_id = submit_job(Deed("hold_for_ever"))
        quick.wait_for(lambda: state_of(job_id) == "Started", what="the job to run")
    cut_at = boottime()
    cable.open.clear()
    assert quick.stop(cut_off, 60) == 1
    figure("a worker that is stopped without its database ends after", boottime() - cut_at)
    assert cut_off.tree() == set()
    assert "could not take its leave" in cut_off.log()


@pytest.mark.postgresql
@pytest.mark.parametrize("when", ["comes back as a new instance", "It cannot yet"])
def test_a_worker_that_comes_back_while_its_cable_is_pulled_can_be_stopped(
    quick: Site, proxy: MakeProxy, when: str
) -> None:
    """There is nobody to take leave of. Nor does it wait to see whether all are idle."""
    cable = proxy()
    quick.worker("--sagas-only")
    submit_job(Deed("tick", {"seconds": 1}))
    cut_off = quick.worker("--jobs-only", "--until-idle", **through(cable))
    wait_for_workers(quick, 1)
    cable.open.clear()
    quick.wait_for(lambda: when in cut_off.log(), 60, "its lease to be over")
    assert quick.stop(cut_off) == 0
    assert cut_off.tree() == set()
