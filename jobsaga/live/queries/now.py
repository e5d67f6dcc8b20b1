"""The front page: what needs someone, what runs, what waits and why, and how it went lately."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Count
from django.db.models.functions import TruncMinute
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobsaga.conf import settings
from jobsaga.live import scope
from jobsaga.live.explain import LATE, START_WORKER, Reason, explain
from jobsaga.live.queries import COUNTED, activity, types, workers
from jobsaga.live.queries.counts import Counts, counts
from jobsaga.live.queries.pace import Pace, paces
from jobsaga.models import JobHistory, JobSaga
from jobsaga.sagas.states import JobStates
from jobsaga.store import health

#: The slots that are looked at for what may be stuck, and the jobs that are shown of them.
LOOKED_AT = 500
SHOWN = 12
EVENTS = 14
MINUTES = 60


@dataclass
class Queue:
    """The jobs of one type that wait, and why the first of them does."""

    line: types.TypeLine
    reason: Reason


@dataclass
class Alarm:
    """Something a person should look at, and the job or type it is about."""

    reason: Reason
    job: JobSaga | None = None
    job_type: str = ""


@dataclass
class Now:
    """The front page."""

    now: datetime
    counts: Counts
    alarms: list[Alarm]
    running: list[JobSaga]
    queues: list[Queue]
    events: list[JobHistory]
    pace: Pace
    minutes: list[Minute] = field(default_factory=list)
    #: If more jobs ended than are drawn: since when all of them are.
    drawn_since: datetime | None = None
    has_workers: bool = True
    is_empty: bool = False


@dataclass
class Minute:
    """How many jobs ended within a minute."""

    at: datetime
    completed: int = 0
    faulted: int = 0
    canceled: int = 0


def read(alias: str, now: datetime, *, with_message: bool) -> Now:
    """All of it; the number of statements does not depend on how much there is."""
    known = types.read(alias, now)
    attempts = list(workers.held_slots(alias)[:LOOKED_AT])
    running = workers.running_jobs(alias, attempts, with_message=with_message)
    waiting = [line for line in known.lines.values() if line.waiting]
    queues = [Queue(line, why(line, known)) for line in sorted(waiting, key=lambda line: -line.waiting)]
    found = counts(alias, now)
    events = activity.newest(alias, EVENTS)
    minutes, drawn_since = throughput(alias, now)
    return Now(
        now=now,
        counts=found,
        alarms=[*_site(alias, now), *_jobs(running, known), *_types(queues)],
        running=running[:SHOWN],
        queues=queues,
        events=events,
        pace=paces(alias).get("", Pace()),
        minutes=minutes,
        drawn_since=drawn_since,
        has_workers=any(line.workers for line in known.lines.values()),
        is_empty=not events and not any(found),
    )


def why(line: types.TypeLine, known: types.Types) -> Reason:
    """Why the first waiting job of a type waits; which may be of the newest release."""
    version = line.newest_version or 1
    first = JobSaga(
        job_type=line.name, state=JobStates.WAITING_FOR_SLOT.value, queued_at=line.oldest or known.now,
        message_version=version,
    )  # fmt: skip
    return explain(first, known.around(line.name, version, of_any_key=True))[0]


def throughput(alias: str, now: datetime) -> tuple[list[Minute], datetime | None]:
    """How many jobs ended in each of the last minutes: of the last ``COUNTED``; and if there were more, since when."""
    last = now.astimezone(UTC).replace(second=0, microsecond=0)
    found = {last - timedelta(minutes=n): Minute(last - timedelta(minutes=n)) for n in range(MINUTES)}
    ended = scope.jobs(alias).filter(finished_at__gte=min(found))
    times = ended.order_by("-finished_at").values_list("finished_at", flat=True)
    edge = times[COUNTED : COUNTED + 1].first()
    if edge is not None:
        ended = ended.filter(finished_at__gt=edge)
    counted = ended.annotate(minute=TruncMinute("finished_at", tzinfo=UTC)).values_list("minute", "state")
    names = {JobStates.COMPLETED.value: "completed", JobStates.FAULTED.value: "faulted",
             JobStates.CANCELED.value: "canceled"}  # fmt: skip
    for minute, state, n in counted.annotate(n=Count("*")).order_by():
        if minute in found and state in names:
            setattr(found[minute], names[state], n)
    return [found[at] for at in sorted(found)], edge


def _site(alias: str, now: datetime) -> list[Alarm]:
    """What concerns all jobs."""
    alarms = []
    if overdue := health.overdue(alias, now - LATE):
        what = ngettext("%(count)s deadline passed and nobody looked.", "%(count)s deadlines passed and nobody looked.",
                        overdue.count) % {"count": overdue.count}  # fmt: skip
        fix = f"{START_WORKER}, or with --sagas-only"
        title = _("No saga host seems to work")
        alarms.append(Alarm(Reason("overdue", "error", title, what, overdue.since, fix)))
    if dead := health.dead_letters(alias):
        what = ngettext("%(count)s message could not be handled.", "%(count)s messages could not be handled.",
                        dead.count) % {"count": dead.count}  # fmt: skip
        title = _("There are dead letters")
        alarms.append(Alarm(Reason("dead-letters", "warning", title, what, dead.since)))
    return alarms


def _jobs(running: list[JobSaga], known: types.Types) -> list[Alarm]:
    alarms = []
    for job in running:
        attempt = job.attempt  # type: ignore[attr-defined]
        around = known.around(
            job.job_type,
            worker=job.worker,  # type: ignore[attr-defined]
            lease_expires_at=attempt.instance.lease_expires_at if attempt.instance else None,
            received_at=attempt.received_at,
            attempt_created_at=attempt.created_at,
            heartbeat_interval=settings.HEARTBEAT_INTERVAL,
            heartbeat_timeout=settings.HEARTBEAT_TIMEOUT,
        )
        alarms += [
            Alarm(reason, job=job)
            for reason in explain(job, around)
            if reason.severity in ("warning", "error") and reason.code != "canceling"
        ]
    return alarms


def _types(queues: list[Queue]) -> list[Alarm]:
    return [Alarm(each.reason, job_type=each.line.name) for each in queues if each.reason.severity == "error"]
