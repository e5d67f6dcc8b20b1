"""A job over many items, and everything that can happen to it: each item takes effect exactly once.

A twentieth of its length in CI: 1,000 items and 3 strikes; 20,000 and 50 with JOBSAGA_TRIALS=20.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from uuid import UUID

import pytest
from django.db import connections

from jobsaga import get_job_state, submit_job
from jobsaga.models import JobAttemptSaga, JobHistory
from tests.faults.conftest import state_of, wait_for_workers
from tests.faults.test_database import drop_connections
from tests.hours.hands import MARKS
from tests.hours.soak import ALIAS, SEED, TRIALS, record, share
from tests.jobsapp.jobs.hours import Import
from tests.jobsapp.models import Mark
from tests.processes import Site, Worker

ITEMS, STRIKES = share(20_000), max(3, share(50))
LEASE = 2.5
#: For each item: the job must not be done while a worker is frozen.
PAUSE = 0.008 if TRIALS == 1 else 0.012


class Torture:
    """Two workers, one of which runs the job."""

    def __init__(self, site: Site, job_id: UUID) -> None:
        self.site, self.job_id, self.random = site, job_id, Random(SEED)
        self.workers = [site.worker(), site.worker()]
        self.done: Counter[str] = Counter()
        self.deeds = DEEDS[connections[ALIAS].vendor]

    def strike(self, number: int) -> None:
        """One of the deeds; the first ones in turn, so that a short run has seen them."""
        deed = self.deeds[number] if number < len(self.deeds) else self.random.choice(self.deeds)
        self.done[deed.__name__] += 1
        deed(self)
        for place, worker in enumerate(self.workers):
            if not worker.alive:
                self.workers[place] = self.site.worker()

    def victim(self) -> Worker:
        """The worker that runs the job; any of the two if none does just now."""
        pid = self.child()
        return next((each for each in self.workers if pid in each.tree()), self.workers[0])

    def child(self) -> int | None:
        """The process in which the job runs: the one that wrote last, if it is alive."""
        pid = MARKS.order_by("-pk").values_list("process_id", flat=True).first()
        return pid if pid in self.site.processes() else None

    def kill_a_worker(self) -> None:
        self.site.kill_tree(self.victim())

    def kill_the_child(self) -> None:
        pid = self.child()
        if pid:
            os.kill(pid, signal.SIGKILL)

    def stop_a_worker(self) -> None:
        self.site.stop(self.victim())

    def freeze_a_worker(self) -> None:
        """Longer than its lease; then it wakes as a zombie."""
        victim = self.victim()
        self.site.freeze(victim)
        time.sleep(LEASE + 1.5)
        self.site.thaw(victim)

    def freeze_the_parent(self) -> None:
        """Its child goes on as if nothing had happened, and is a zombie before the parent wakes."""
        victim = self.victim()
        self.site.pause(victim)
        time.sleep(LEASE + 1.5)
        self.site.resume(victim)

    def drop_the_connections(self) -> None:
        drop_connections()


Deed = Callable[[Torture], None]
EVERYWHERE: list[Deed] = [
    Torture.kill_the_child, Torture.freeze_the_parent, Torture.kill_a_worker, Torture.stop_a_worker,
]  # fmt: skip
#: On SQLite there are no connections to drop; and who freezes a writer there has frozen the database for all.
DEEDS: dict[str, list[Deed]] = {
    "sqlite": EVERYWHERE,
    "postgresql": [Torture.freeze_a_worker, Torture.drop_the_connections, *EVERYWHERE],
    "mysql": [Torture.drop_the_connections, Torture.freeze_a_worker, *EVERYWHERE],
}


@pytest.mark.timeout(120 + 60 * TRIALS)
def test_each_item_takes_effect_exactly_once_whatever_is_killed_when(quick: Site) -> None:
    began = time.monotonic()
    quick.jobsaga.update(SUSPECT_JOB_RETRY_COUNT=1000, HEARTBEAT_INTERVAL=0.4, HEARTBEAT_TIMEOUT=LEASE)
    MARKS.bulk_create(Mark(text="item") for _ in range(ITEMS))
    job_id = submit_job(Import(pause=PAUSE))
    torture = Torture(quick, job_id)
    wait_for_workers(quick, 2)
    for number in range(STRIKES):
        left = ITEMS - done_so_far()
        if not left:
            break  # a slow machine, in a short run: the figures tell how many strikes there were
        enough = (
            ITEMS - left + left // (STRIKES - number + 1)
        )  # so that there is something left at each strike
        quick.wait_for(partial(has_done, enough), 120, f"{enough} items, after {dict(torture.done)}")
        time.sleep(torture.random.uniform(0, 0.3))  # the random moment
        torture.strike(number)
    quick.wait_for(lambda: state_of(job_id) == "Completed", 120, f"the end, after {dict(torture.done)}")
    told = f"JOBSAGA_SEED={SEED}: {dict(torture.done)}"
    done = Counter(MARKS.filter(text__startswith="did").values_list("text", flat=True))
    assert (len(done), sum(done.values())) == (ITEMS, ITEMS), told
    state = get_job_state(job_id)
    assert (state.progress_value, state.progress_limit) == (ITEMS, ITEMS), told
    attempts = JobAttemptSaga.objects.using(ALIAS).filter(job_id=job_id)
    ends = JobHistory.objects.using(ALIAS).filter(job_id=job_id, kind="JobAttemptCompleted")
    assert (ends.count(), attempts.filter(outcome="Completed").count()) == (1, 1), told
    outcomes = Counter(attempts.values_list("outcome", flat=True))
    record(
        "torture", began, items=ITEMS, strikes=dict(torture.done), attempts=dict(outcomes), lost=0, doubled=0
    )


def done_so_far() -> int:
    return MARKS.filter(text__startswith="did").count()


def has_done(count: int) -> bool:
    return done_so_far() >= count
