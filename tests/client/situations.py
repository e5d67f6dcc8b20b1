"""A job in each state that is stored, brought there as it comes about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from jobsaga import cancel_job, submit_job
from tests.client.acts import TYPE, act
from tests.client.conftest import Site


def waiting_to_start(site: Site) -> UUID:
    return site.submit(TYPE, start_at=site.clock.now() + timedelta(hours=1))


def waiting_for_slot(site: Site) -> UUID:
    return submit_job(act())


def starting(site: Site) -> UUID:
    job_id = submit_job(act())
    site.worker()
    return job_id


def started(site: Site) -> UUID:
    job_id = submit_job(act())
    site.start()
    return job_id


def waiting_to_retry(site: Site) -> UUID:
    job_id = submit_job(act())
    worker, start = site.start()
    worker.fault(start, retry_delay=60)
    site.lap()
    return job_id


def cancellation_pending(site: Site) -> UUID:
    job_id = started(site)
    cancel_job(job_id, "first")
    site.lap()
    return job_id


def completed(site: Site) -> UUID:
    job_id = submit_job(act())
    worker, start = site.start()
    worker.complete(start, result={"n": 1})
    site.lap()
    return job_id


def faulted(site: Site) -> UUID:
    job_id = submit_job(act())
    worker, start = site.start()
    worker.fault(start, "out of paper")
    site.lap()
    return job_id


def canceled(site: Site) -> UUID:
    job_id = submit_job(act())
    cancel_job(job_id, "first")
    return job_id


SITUATIONS: dict[str, Callable[[Site], UUID]] = {
    "WaitingToStart": waiting_to_start,
    "WaitingForSlot": waiting_for_slot,
    "StartingJobAttempt": starting,
    "Started": started,
    "WaitingToRetry": waiting_to_retry,
    "CancellationPending": cancellation_pending,
    "Completed": completed,
    "Faulted": faulted,
    "Canceled": canceled,
}
