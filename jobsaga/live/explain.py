"""Why a job waits, and whether it may be stuck: every rule that holds, the one to act on first.

``explain`` is a pure function of a job and what is known around it. The lists ask it, for no statement more per job; a
job's own page and the API have ``explain_job``, which asks more and says more. The codes are the same: a list may say
less, and never something else. A reason names what is so, since when, and what to do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jobsaga.live.wording import ago, number, span
from jobsaga.sagas.states import JobStates

Severity = Literal["ok", "info", "warning", "error"]
ORDER = {"error": 0, "warning": 1, "info": 2, "ok": 3}
#: A saga host looks every second: what lies longer, nobody looks at.
LATE = timedelta(seconds=10)
START_WORKER = "manage.py runjobworker"
START_SAGAS = f"{START_WORKER}, or with --sagas-only"
ONE_FREE = gettext_noop("It starts when one is free.")
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
    #: Whether all of them are drained; the newest version of a message that one of them reads.
    drained: bool = False
    newest_version: int | None = None
    #: When something last happened by which there may be room: a worker came, or was given a job.
    moved: datetime | None = None
    #: The limit of each concurrency key, and the keys at it; whether the job stands for all that wait, of any key.
    per_key: int | None = None
    full_keys: Collection[str] = ()
    of_any_key: bool = False
    #: Whether a distribution strategy of the site's own has a word: it may decline.
    strategy: bool = False
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
        yield _nobody_looks(_("It was due %(when)s.") % {"when": ago(job.due_at, around.now)}, job.due_at)
    else:
        yield Reason(
            "scheduled",
            "info",
            _("Starts %(when)s") % {"when": ago(job.due_at, around.now)},
            since=job.due_at,
        )


def _waiting(job: Any, around: Around) -> Iterator[Reason]:
    since = job.queued_at
    if job.slot is not None:
        yield Reason(
            "old-attempt", "info", _("Its last attempt may still run"),
            _("It starts again when that worker says the attempt has ended, or its lease is over."), since,
        )  # fmt: skip
    elif not around.workers:
        yield Reason(
            "no-worker", "error", _("No live worker runs %(type)s") % {"type": job.job_type},
            "" if around.registered else _("Nor is a consumer of that name registered here."), since, START_WORKER,
        )  # fmt: skip
    elif around.newest_version is not None and around.newest_version < job.message_version:
        title = _("Its workers are of an older release and cannot read its message")
        yield Reason("too-old", "error", title, "", since, START_WORKER)
    elif around.paused_at is not None:
        said = {"type": job.job_type, "who": around.paused_by}
        title = _("%(type)s is paused by %(who)s") if around.paused_by else _("%(type)s is paused")
        yield Reason("paused", "warning", title % said, around.pause_reason, around.paused_at)
    elif around.drained:
        title = _("All its live workers are drained, and take no more jobs")
        yield Reason("drained", "warning", title, since=since)
    elif full := _full_key(job, around):
        yield full
    elif around.room <= 0:
        yield _no_room(job, around)
    elif not around.ahead:
        yield _room(around, since)
    if around.ahead:
        line = ngettext(
            "1 job of its type starts before it", "%(count)s jobs of its type start before it", around.ahead
        )
        yield Reason("in-line", "info", line % {"count": number(around.ahead)})


def _full_key(job: Any, around: Around) -> Reason | None:
    if job.concurrency_key and job.concurrency_key in around.full_keys:
        title = _('Key "%(key)s" is at its limit of %(limit)s')
        return Reason("key", "info", title % {"key": job.concurrency_key, "limit": around.per_key},
                      since=job.queued_at)  # fmt: skip
    if around.of_any_key and around.full_keys and around.room > 0:
        return Reason(
            "key", "info", _("There are keys at their limit of %(limit)s") % {"limit": around.per_key}
        )
    return None


def _room(around: Around, since: datetime | None) -> Reason:
    quiet = max(filter(None, (since, around.moved)), default=None)
    if quiet is None or quiet >= around.now - LATE:
        return Reason("about-to-start", "ok", _("A slot is free: it is about to start"), since=since)
    title = _("A slot is free, and was not given to it")
    if around.strategy:
        detail = _("A distribution strategy declines it, or no saga host works.")
        return Reason("not-given", "warning", title, detail, quiet)
    return Reason("not-given", "error", title, _("No saga host seems to work."), quiet, START_SAGAS)


def _no_room(job: Any, around: Around) -> Reason:
    until = around.override_until
    more = _(ONE_FREE)
    if until:
        more += " " + _("Other limits hold again %(when)s.") % {"when": ago(until, around.now)}
    if around.global_limit is not None and around.held >= around.global_limit:
        title = _("%(held)s of %(limit)s slots are taken, on all workers together")
        said = {"held": around.held, "limit": around.global_limit}
        return Reason("global-limit", "info", title % said, more, job.queued_at)
    if around.capacity == 0:
        title = _("Its workers may run none of its type")
    elif around.capacity == 1:
        title = _("The slot of its worker is taken")
    elif around.workers == 1:
        title = _("All %(slots)s slots of its worker are taken")
    else:
        title = _("All %(slots)s slots of its %(workers)s workers are taken")
    said = {"slots": around.capacity, "workers": around.workers}
    return Reason("slots", "info", title % said, more, job.queued_at)


def _starting(job: Any, around: Around) -> Iterator[Reason]:
    yield from _worker_is_well(job, around)
    sent = around.attempt_created_at
    if sent is not None and around.received_at is None:
        late = sent < around.now - around.heartbeat_interval
        said = {"worker": around.worker or _("its worker"), "when": ago(sent, around.now)}
        detail = _("The worker has not taken it yet; after 15 s it goes to another.") if late else ""
        title = _("Sent to %(worker)s %(when)s") % said
        yield Reason("starting", "warning" if late else "info", title, detail, sent)


def _running(job: Any, around: Around) -> Iterator[Reason]:
    yield from _worker_is_well(job, around)
    samples = job.progress_samples or []
    if len(samples) < 3 or job.progress_at is None or around.lease_expires_at is None:
        return
    pauses = [later[0] - earlier[0] for earlier, later in pairwise(samples)]
    usual = timedelta(seconds=median(pauses))
    silent = around.now - job.progress_at
    if silent > max(STALLED_PAUSES * usual, STALLED_AFTER):
        detail = _("It usually says something every %(span)s.") % {"span": span(usual)}
        title = _("No progress for %(span)s") % {"span": span(silent)}
        yield Reason("stalled", "warning", title, detail, job.progress_at)


def _worker_is_well(job: Any, around: Around) -> Iterator[Reason]:
    lease = around.lease_expires_at
    if lease is None:
        return
    heard = lease - around.heartbeat_timeout
    silent = around.now - heard
    if lease <= around.now:
        yield Reason(
            "worker-lost", "error", _("%(worker)s was lost") % {"worker": around.worker},
            _("It was heard of last %(when)s. The job goes on elsewhere.") % {"when": ago(heard, around.now)}, heard,
        )  # fmt: skip
    elif silent > 2 * around.heartbeat_interval:
        yield Reason(
            "worker-silent", "warning",
            _("%(worker)s is silent since %(span)s") % {"worker": around.worker, "span": span(silent)},
            _("If it stays so, the job goes on elsewhere %(when)s.") % {"when": ago(lease, around.now)}, heard,
        )  # fmt: skip


def _retrying(job: Any, around: Around) -> Iterator[Reason]:
    failed = _failed_with(job) or job.reason
    if job.due_at is not None and job.due_at < around.now - LATE:
        yield _nobody_looks(
            _("Its retry was due %(when)s.") % {"when": ago(job.due_at, around.now)}, job.due_at
        )
        return
    when = ago(job.due_at, around.now) if job.due_at else _("soon")
    yield Reason("retry", "warning", _("Tries again %(when)s") % {"when": when}, str(failed), job.faulted_at)


def _failed_with(job: Any) -> str:
    """The last error in words. A list reads no more of it, and must not read each of them by itself."""
    known = job.failed_with if hasattr(job, "failed_with") else (job.fault or {}).get("message")
    return str(known or "")


def _canceling(job: Any, around: Around) -> Iterator[Reason]:
    yield from _worker_is_well(job, around)
    by = job.cancel_requested_by
    title = _("Asked to stop by %(who)s") % {"who": by} if by else _("Asked to stop")
    by_when = (
        _("It is ended by force %(when)s.") % {"when": ago(job.due_at, around.now)} if job.due_at else ""
    )
    yield Reason(
        "canceling", "warning", title, " ".join(filter(None, (job.cancel_reason, by_when))),
        job.cancel_requested_at,
    )  # fmt: skip


def _faulted(job: Any, around: Around) -> Iterator[Reason]:
    tries = (
        _("It failed %(count)s times") % {"count": job.retry_attempt + 1}
        if job.retry_attempt
        else _("It failed")
    )
    detail = _("and is not tried again by itself. A retry goes on from its saved state.")
    yield Reason("faulted", "error", tries, detail, job.faulted_at)


def _canceled(job: Any, around: Around) -> Iterator[Reason]:
    by = job.cancel_requested_by
    title = _("Canceled by %(who)s") % {"who": by} if by else _("Canceled")
    yield Reason("canceled", "info", title, job.cancel_reason or job.reason, job.finished_at)


def _nobody_looks(what: str, since: datetime | None) -> Reason:
    return Reason(
        "no-saga-host", "error", _("No saga host seems to work"), what, since, START_SAGAS
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
