"""Many short jobs, and workers that are killed at random moments: nothing is lost, and nothing overlaps.

``JOBSAGA_TRIALS`` makes it that many times longer, ``JOBSAGA_SEED`` another one.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from random import Random
from uuid import UUID

import pytest
from django.db import connections

from jobsaga import submit_jobs
from jobsaga.models import JobAttemptSaga, JobSaga
from jobsaga.sagas.states import JobStates
from tests.faults.conftest import Figure, wait_for_workers
from tests.faults.ledger import ALIAS, ENDED, Ledger, problems
from tests.jobsapp.jobs.faults import Deed, KeyedDeed, RareDeed, SoloDeed, TaskDeed, ThreadDeed
from tests.processes import Site, Worker

TRIALS = int(os.environ.get("JOBSAGA_TRIALS", "1"))
SEED = int(os.environ.get("JOBSAGA_SEED", "20"))
HOST = "jobsaga-sagas"
JOBS = 500
TENANTS = ("acme", "bolt", "carp")


class Chaos:
    """Two workers, and what happens to them. The same seed does the same things, at about the same moments."""

    def __init__(self, site: Site, ledger: Ledger, random: Random) -> None:
        self.site, self.ledger, self.random = site, ledger, random
        self.workers = [site.worker(), site.worker()]
        self.jobs: list[UUID] = []
        self.done: list[str] = []

    def strike(self) -> None:
        """Do one of the things that can happen, and see to it that there are two workers again."""
        victim = self.random.choice(self.workers)
        deed = self.random.choice(DEEDS)
        self.done.append(deed.__name__)
        deed(self, victim)
        if not victim.alive:
            self.workers[self.workers.index(victim)] = self.site.worker()

    def kill_all_of_it(self, victim: Worker) -> None:
        self.site.kill_tree(victim)

    def kill_its_group(self, victim: Worker) -> None:
        self.site.kill9(victim)

    def kill_its_saga_host(self, victim: Worker) -> None:
        _kill(victim.find(HOST))

    def kill_a_child(self, victim: Worker) -> None:
        stays = [stay for stay in self.ledger.stays() if not stay.stopped and stay.pid in victim.tree()]
        if stays:
            _kill(self.random.choice(stays).pid)

    def stop_it(self, victim: Worker) -> None:
        was_ready = "is ready" in victim.log()
        assert self.site.stop(victim) == 0 or not was_ready

    def submit(self, count: int) -> None:
        self.jobs += submit_jobs([self.some_deed() for _ in range(count)])

    def some_deed(self) -> Deed:
        kind = self.random.choice([Deed, Deed, RareDeed, SoloDeed, KeyedDeed, ThreadDeed, TaskDeed])
        if kind is TaskDeed:
            return TaskDeed(args={"seconds": 0.05})
        if kind is Deed and self.random.random() < 0.1:
            return Deed("walk", {"steps": 10, "pause": 0.05})
        deed = kind("tick", {"seconds": self.random.choice([0, 0.02, 0.1])})
        if isinstance(deed, KeyedDeed):
            deed.tenant = self.random.choice(TENANTS)
        return deed

    def open(self) -> int:
        return JobSaga.objects.using(ALIAS).filter(id__in=self.jobs).exclude(state__in=ENDED).count()


DEEDS: list[Callable[[Chaos, Worker], None]] = [
    Chaos.kill_all_of_it,
    Chaos.kill_all_of_it,
    Chaos.kill_its_group,
    Chaos.kill_its_saga_host,
    Chaos.kill_a_child,
    Chaos.stop_it,
]


def _kill(pid: int | None) -> None:
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.timeout(240 * TRIALS)
def test_promises_1_2_5_9_hold_while_workers_are_killed(quick: Site, ledger: Ledger, figure: Figure) -> None:
    """1: limits; 2: slots come back; 5: only the current attempt counts; 9: nothing is lost."""
    quick.jobsaga["SUSPECT_JOB_RETRY_COUNT"] = 50
    chaos = Chaos(quick, ledger, Random(SEED))
    wait_for_workers(quick, 2)
    for _ in range(5 * TRIALS):
        chaos.submit(JOBS // 5)
        time.sleep(chaos.random.uniform(0.2, 1.5))  # the random moment
        chaos.strike()
    quick.wait_for(lambda: chaos.open() == 0, 60 + 30 * TRIALS, f"all to end after {chaos.done}")
    told = f"JOBSAGA_SEED={SEED}: {chaos.done}"
    assert problems(ledger, chaos.jobs) == [], told
    states = JobSaga.objects.using(ALIAS).filter(id__in=chaos.jobs).values_list("state", flat=True)
    assert set(states) == {JobStates.COMPLETED.value}, told
    stays = {
        kind: [s for s in ledger.stays() if s.type == kind.__name__] for kind in (RareDeed, SoloDeed, Deed)
    }
    assert ledger.most_at_once(stays[RareDeed]) <= 3, told
    assert ledger.most_at_once(stays[SoloDeed]) <= 2, told
    assert ledger.most_at_once(stays[Deed]) <= 8, told
    for tenant in TENANTS:
        keyed = JobSaga.objects.using(ALIAS).filter(concurrency_key=tenant).values_list("id", flat=True)
        its_own = [stay for stay in ledger.stays() if stay.job in set(keyed)]
        assert its_own, told
        assert ledger.most_at_once(its_own) == 1, told
    repeated = JobAttemptSaga.objects.using(ALIAS).filter(outcome="Suspect").count()
    figure(
        f"{len(chaos.jobs)} jobs on {connections[ALIAS].vendor}, {chaos.done}: started again",
        repeated,
        "attempts",
    )
