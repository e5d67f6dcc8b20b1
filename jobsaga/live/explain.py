"""Why a job waits, and whether it may be stuck: every rule that holds, the one to act on first.

``explain`` is a pure function of a job and what is known around it, so the page, the API and the tests say the
same. A reason names what is so, since when, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Literal

from jobsaga.live.wording import ago, number, span
from jobsaga.sagas.states import JobStates

Severity = Literal["ok", "info", "warning", "error"]
ORDER = {"error": 0, "warning": 1, "info": 2, "ok": 3}
#: A saga host looks every second: what lies longer, nobody looks at.
LATE = timedelta(seconds=10)
START_WORKER = "manage.py runjobworker"
ONE_FREE = "It starts when one is free."
#: Silent for so many of its usual pauses, and at least so long: it may be stuck.
STALLED_PAUSES, STALLED_AFTER = 5, timedelta(seconds=60)


@dataclass(frozen=True)
class Reason:
    """One rule that holds."""

    code: str
    severity: Severity
    title: str
    detail: str = ""
    since: datetime | None = None
    #: A command that mends it.
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Around:
    """What is known around a job. Times are the database's."""

    now: datetime
    #: Live workers that run the type, what they can run at once by all limits, and how many more now.
    workers: int = 0
    capacity: int = 0
    room: int = 0
    global_limit: int | None = None
    #: Slots of the type that are held.
    held: int = 0
    #: How many jobs of the type start before this one; None: not counted.
    ahead: int | None = None
    #: The worker of the job's attempt, as host:pid; when its lease is over; whether it has confirmed.
    worker: str = ""
    lease_expires_at: datetime | None = None
    received_at: datetime | None = None
    attempt_created_at: datetime | None = None
    heartbeat_interval: timedelta = timedelta(seconds=5)
    heartbeat_timeout: timedelta = timedelta(seconds=15)
    #: Whether a consumer of this type is registered here.
    registered: bool = True
    #: Since when the type is paused, by whom and why; when an override of its limits ends.
    paused_at: datetime | None = None
    paused_by: str = ""
    pause_reason: str = ""
    override_until: datetime | None = None
    extra: Sequence[Reason] = field(default_factory=tuple)


def explain(job: Any, around: Around) -> list[Reason]:
    """All that holds for *job* (a row or a record of one), the most urgent first."""
    rules = RULES.get(JobStates(job.state))
    found = [*around.extra, *(rules(job, around) if rules else ())]
    return sorted(found, key=lambda reason: ORDER[reason.severity])


def _scheduled(job: Any, around: Around) -> Iterator[Reason]:
    if job.due_at is None:
        return
    if job.due_at < around.now - LATE:
        yield _nobody_looks(f"It was due {ago(job.due_at, around.now)}.", job.due_at)
    else:
        yield Reason("scheduled", "info", f"Starts {ago(job.due_at, around.now)}", since=job.due_at)


def _waiting(job: Any, around: Around) -> Iterator[Reason]:
    since = job.queued_at
    if job.slot is not None:
        yield Reason(
            "old-attempt", "info", "Its last attempt may still run",
            "It starts again when that worker says the attempt has ended, or its lease is over.", since,
        )  # fmt: skip
    if not around.workers:
        yield Reason(
            "no-worker", "error", f"No live worker runs {job.job_type}",
            "" if around.registered else "Nor is a consumer of that name registered here.", since, START_WORKER,
        )  # fmt: skip
    elif around.paused_at is not None:
        by = f" by {around.paused_by}" if around.paused_by else ""
        yield Reason(
            "paused", "warning", f"{job.job_type} is paused{by}", around.pause_reason, around.paused_at
        )
    elif around.room <= 0:
        yield _no_room(job, around)
    elif job.slot is None and not around.ahead:
        waited = since is not None and since < around.now - LATE
        yield (
            _nobody_looks("A slot is free and was not given to it.", since)
            if waited
            else Reason("about-to-start", "ok", "A slot is free: it is about to start", since=since)
        )
    if around.ahead:
        jobs = (
            "1 job of its type starts"
            if around.ahead == 1
            else f"{number(around.ahead)} jobs of its type start"
        )
        yield Reason("in-line", "info", f"{jobs} before it")


def _no_room(job: Any, around: Around) -> Reason:
    until = around.override_until
    more = (
        f"It starts when one is free. Other limits hold {ago(until, around.now)} again."
        if until
        else ONE_FREE
    )
    if around.global_limit is not None and around.held >= around.global_limit:
        title = f"{around.held} of {around.global_limit} slots are taken, on all workers together"
        return Reason("global-limit", "info", title, more, job.queued_at)
    workers = "its worker" if around.workers == 1 else f"its {around.workers} workers"
    slots = "The slot" if around.capacity == 1 else f"All {around.capacity} slots"
    title = f"{slots} of {workers} {'is' if around.capacity == 1 else 'are'} taken"
    return Reason("no-slot", "info", title, more, job.queued_at)


def _starting(job: Any, around: Around) -> Iterator[Reason]:
    yield from _worker_is_well(job, around)
    sent = around.attempt_created_at
    if sent is not None and around.received_at is None:
        late = sent < around.now - around.heartbeat_interval
        title = f"Sent to {around.worker or 'its worker'} {ago(sent, around.now)}"
        detail = "The worker has not taken it yet; after 15 s it goes to another." if late else ""
        yield Reason("sent", "warning" if late else "info", title, detail, sent)


def _running(job: Any, around: Around) -> Iterator[Reason]:
    yield from _worker_is_well(job, around)
    samples = job.progress_samples or []
    if len(samples) < 3 or job.progress_at is None or around.lease_expires_at is None:
        return
    pauses = [later[0] - earlier[0] for earlier, later in pairwise(samples)]
    usual = timedelta(seconds=median(pauses))
    silent = around.now - job.progress_at
    if silent > max(STALLED_PAUSES * usual, STALLED_AFTER):
        detail = f"It usually says something every {span(usual)}."
        yield Reason("stalled", "warning", f"No progress for {span(silent)}", detail, job.progress_at)


def _worker_is_well(job: Any, around: Around) -> Iterator[Reason]:
    lease = around.lease_expires_at
    if lease is None:
        return
    heard = lease - around.heartbeat_timeout
    silent = around.now - heard
    if lease <= around.now:
        yield Reason(
            "worker-lost", "error", f"{around.worker} was lost",
            f"It was heard of last {ago(heard, around.now)}. The job goes on elsewhere.", heard,
        )  # fmt: skip
    elif silent > 2 * around.heartbeat_interval:
        yield Reason(
            "worker-silent", "warning", f"{around.worker} is silent since {span(silent)}",
            f"If it stays so, the job goes on elsewhere {ago(lease, around.now)}.", heard,
        )  # fmt: skip


def _retrying(job: Any, around: Around) -> Iterator[Reason]:
    failed = (job.fault or {}).get("message") or job.reason
    if job.due_at is not None and job.due_at < around.now - LATE:
        yield _nobody_looks(f"Its retry was due {ago(job.due_at, around.now)}.", job.due_at)
        return
    when = ago(job.due_at, around.now) if job.due_at else "soon"
    yield Reason("retry", "warning", f"Tries again {when}", str(failed), job.faulted_at)


def _canceling(job: Any, around: Around) -> Iterator[Reason]:
    yield from _worker_is_well(job, around)
    by = f" by {job.cancel_requested_by}" if job.cancel_requested_by else ""
    by_when = f"It is ended by force {ago(job.due_at, around.now)}." if job.due_at else ""
    yield Reason(
        "cancel-asked", "warning", f"Asked to stop{by}", " ".join(filter(None, (job.cancel_reason, by_when))),
        job.cancel_requested_at,
    )  # fmt: skip


def _faulted(job: Any, around: Around) -> Iterator[Reason]:
    tries = f"It failed {job.retry_attempt + 1} times" if job.retry_attempt else "It failed"
    detail = "and is not tried again by itself. A retry goes on from its saved state."
    yield Reason("faulted", "error", tries, detail, job.faulted_at)


def _canceled(job: Any, around: Around) -> Iterator[Reason]:
    by = f" by {job.cancel_requested_by}" if job.cancel_requested_by else ""
    yield Reason("canceled", "info", f"Canceled{by}", job.cancel_reason or job.reason, job.finished_at)


def _nobody_looks(what: str, since: datetime | None) -> Reason:
    return Reason(
        "saga-host-silent", "error", "No saga host seems to work", what, since,
        f"{START_WORKER}, or with --sagas-only",
    )  # fmt: skip


RULES = {
    JobStates.WAITING_TO_START: _scheduled,
    JobStates.WAITING_FOR_SLOT: _waiting,
    JobStates.STARTING_JOB_ATTEMPT: _starting,
    JobStates.STARTED: _running,
    JobStates.WAITING_TO_RETRY: _retrying,
    JobStates.CANCELLATION_PENDING: _canceling,
    JobStates.FAULTED: _faulted,
    JobStates.CANCELED: _canceled,
}
