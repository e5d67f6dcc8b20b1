"""Transactions of clients, beside workers that run at full speed."""

from __future__ import annotations

from django.db import transaction

from jobsaga import get_job_state, submit_job
from jobsaga.models import JobSaga
from tests.faults.conftest import state_of, wait_for_workers
from tests.faults.ledger import ALIAS, Ledger, boottime, problems
from tests.jobsapp.jobs.faults import Deed
from tests.processes import Site


class Regret(Exception):
    pass


def test_promise_9_what_commits_is_run_and_what_rolls_back_is_never_seen(site: Site, ledger: Ledger) -> None:
    site.worker()
    wait_for_workers(site, 1)
    kept, dropped = [], []
    for number in range(60):
        try:
            with transaction.atomic(using=ALIAS):
                dropped.append(submit_job(Deed("tick", {"seconds": 0})))
                with transaction.atomic(using=ALIAS):
                    kept.append(submit_job(Deed("tick", {"seconds": 0})))
                if number % 2:
                    raise Regret
        except Regret:
            dropped.append(kept.pop())
        else:
            kept.append(dropped.pop())
    rows = JobSaga.objects.using(ALIAS).filter(completed_at__isnull=False)
    site.wait_for(lambda: rows.count() == len(kept), what="all that was committed to end")
    assert {stay.job for stay in ledger.stays()} == set(kept)
    assert {get_job_state(job_id).current_state for job_id in dropped} == {"NotFound"}
    assert problems(ledger, kept) == []


def test_promise_9_a_job_starts_only_after_its_transaction_has_committed(site: Site, ledger: Ledger) -> None:
    """Also one whose sagas and workers are kept busy by others meanwhile. (SQLite lets nobody else write.)"""
    site.worker()
    wait_for_workers(site, 1)
    first = submit_job(Deed("tick", {"seconds": 0}))
    site.wait_for(lambda: state_of(first) == "Completed", what="the worker to be warm")
    with transaction.atomic(using=ALIAS):
        late = submit_job(Deed("tick", {"seconds": 0}))
        begun = boottime()
        while boottime() < begun + 1.5:
            assert not ledger.stays(late)
        committed_at = boottime()
    site.wait_for(lambda: state_of(late) == "Completed", what="the job to end")
    assert ledger.stays(late)[0].begin > committed_at
    assert problems(ledger, [first, late]) == []
