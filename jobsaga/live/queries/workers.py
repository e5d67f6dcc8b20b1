"""The worker processes, and the jobs that each of them runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobsaga.conf import settings
from jobsaga.live.queries.rows import light, named
from jobsaga.models import JobAttemptSaga, JobInstance, JobSaga, JobTypeInstance
from jobsaga.models.workers import InstanceState

#: Workers on a page, the jobs that are shown with them, and workers that stopped.
SHOWN, SHOWN_JOBS = 200, 500
STOPPED = 20
#: Workers that are read together where all of them are wanted.
AT_ONCE = 20
#: How a worker can be: in words, and the tone of that.
CONDITIONS = {
    "running": (gettext_noop("Running"), "run"),
    "silent": (gettext_noop("Silent"), "warn"),
    "lost": (gettext_noop("Lost"), "bad"),
    "stopping": (gettext_noop("Stopping"), "warn"),
    "stopped": (gettext_noop("Stopped"), "off"),
}


@dataclass
class WorkerLine:
    """One worker process."""

    instance: JobInstance
    #: The same for machines, in every language.
    condition: str
    state: str
    tone: str
    heard: datetime
    types: list[JobTypeInstance] = field(default_factory=list)
    running: list[JobSaga] = field(default_factory=list)
    #: The slots that are held, also by jobs that are not shown.
    taken: int = 0

    @property
    def capacity(self) -> int:
        """The sum of its limits for each type."""
        return sum(each.concurrent_job_limit for each in self.types)


@dataclass
class WorkersPage:
    """Some of the workers that run or should, by name; and the last that stopped."""

    page: Page[JobInstance]
    there: list[WorkerLine]
    gone: list[WorkerLine]

    @property
    def not_all_jobs(self) -> bool:
        """Whether they may run more jobs than are shown."""
        return sum(line.taken for line in (*self.there, *self.gone)) > SHOWN_JOBS


def held_slots(alias: str) -> QuerySet[JobAttemptSaga, Any]:
    """The attempts that hold a slot, the newest first, each with its worker."""
    rows = JobAttemptSaga.objects.using(alias).filter(holds_slot=True).defer("fault", "result")
    return rows.select_related("instance").order_by("-created_at", "-id")


def running_jobs(alias: str, attempts: Iterable[JobAttemptSaga], *, with_message: bool) -> list[JobSaga]:
    """The jobs of these attempts, in their order, each with ``worker`` and ``attempt``. An attempt whose job is
    gone, or goes on elsewhere, is left out.
    """
    by_job = {each.job_id: each for each in attempts}
    jobs = {job.id: job for job in named(light(alias, with_message=with_message).filter(pk__in=list(by_job)))}
    found = []
    for job_id, attempt in by_job.items():
        job = jobs.get(job_id)
        if job is not None and job.attempt_id == attempt.id and job.finished_at is None:
            job.worker = str(attempt.instance) if attempt.instance else ""  # type: ignore[attr-defined]
            job.attempt = attempt  # type: ignore[attr-defined]
            found.append(job)
    return found


def read(alias: str, now: datetime, *, with_message: bool, number: str = "") -> WorkersPage:
    """The page of this number, or the first."""
    page = Paginator(_there(alias), SHOWN).get_page(number or 1)
    stopped = JobInstance.objects.using(alias).filter(state=InstanceState.STOPPED)
    there, gone = list(page), list(stopped.order_by("-lease_expires_at")[:STOPPED])
    lines = _lines(alias, now, [*there, *gone], with_message=with_message, jobs=SHOWN_JOBS)
    return WorkersPage(page, lines[: len(there)], lines[len(there) :])


def everyone(alias: str, now: datetime) -> Iterator[WorkerLine]:
    """All workers that run or should, with all they run."""
    ids = list(_there(alias).values_list("pk", flat=True))
    for start in range(0, len(ids), AT_ONCE):
        part = _there(alias).filter(pk__in=ids[start : start + AT_ONCE])
        yield from _lines(alias, now, list(part), with_message=False, jobs=None)


def _there(alias: str) -> QuerySet[JobInstance, Any]:
    rows = JobInstance.objects.using(alias).exclude(state=InstanceState.STOPPED)
    return rows.order_by("host", "pid", "id")


def _lines(
    alias: str, now: datetime, instances: Sequence[JobInstance], *, with_message: bool, jobs: int | None
) -> list[WorkerLine]:
    """These workers, in their order; with so many of their jobs at most, the newest."""
    ids = [each.id for each in instances]
    types: dict[UUID, list[JobTypeInstance]] = {}
    for line in JobTypeInstance.objects.using(alias).filter(instance_id__in=ids).order_by("job_type"):
        types.setdefault(line.instance_id, []).append(line)
    held = held_slots(alias).filter(instance_id__in=ids)
    taken = dict(held.order_by().values_list("instance_id").annotate(n=Count("*")))
    running: dict[UUID | None, list[JobSaga]] = {}
    for job in running_jobs(alias, held[:jobs], with_message=with_message):
        running.setdefault(job.attempt.instance_id, []).append(job)  # type: ignore[attr-defined]
    return [
        _line(each, now, types.get(each.id, []), running.get(each.id, []), taken.get(each.id, 0))
        for each in instances
    ]


def _line(
    instance: JobInstance, now: datetime, types: list[JobTypeInstance], running: list[JobSaga], taken: int
) -> WorkerLine:
    heard = heard_at(now, instance.lease_expires_at)
    word = condition(InstanceState(instance.state), instance.lease_expires_at, now)
    said, tone = CONDITIONS[word]
    return WorkerLine(instance, word, _(said), tone, heard, types, running, taken)


def heard_at(now: datetime, lease_expires_at: datetime) -> datetime:
    """When a worker was heard of last, by its lease."""
    return min(now, lease_expires_at - settings.HEARTBEAT_TIMEOUT)


def condition(state: InstanceState, lease_expires_at: datetime, now: datetime) -> str:
    """How a worker is, in one word for machines."""
    if state == InstanceState.STOPPED:
        return "stopped"
    if lease_expires_at <= now:
        return "lost"
    silent: timedelta = now - heard_at(now, lease_expires_at)
    if silent > 2 * settings.HEARTBEAT_INTERVAL:
        return "silent"
    return "stopping" if state == InstanceState.STOPPING else "running"
