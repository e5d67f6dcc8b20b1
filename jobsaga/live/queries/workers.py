"""The worker processes, and the jobs that each of them runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobsaga.conf import settings
from jobsaga.live.queries.rows import light, named
from jobsaga.models import JobAttemptSaga, JobInstance, JobSaga, JobTypeInstance
from jobsaga.models.workers import InstanceState

#: How many slots are read at most, and how many workers that stopped are shown.
SHOWN = 200
STOPPED = 20
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

    @property
    def capacity(self) -> int:
        """The sum of its limits for each type."""
        return sum(each.concurrent_job_limit for each in self.types)


def held_slots(alias: str, limit: int = SHOWN) -> QuerySet[JobAttemptSaga, Any]:
    """The attempts that hold a slot, the newest first, each with its worker."""
    rows = JobAttemptSaga.objects.using(alias).filter(holds_slot=True).defer("fault", "result")
    return rows.select_related("instance").order_by("-created_at", "-id")[:limit]


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


def read(alias: str, now: datetime, *, with_message: bool) -> tuple[list[WorkerLine], list[WorkerLine]]:
    """The workers that run or should, by name; and the last that stopped."""
    rows = JobInstance.objects.using(alias)
    there = list(rows.exclude(state=InstanceState.STOPPED).order_by("host", "pid")[:SHOWN])
    gone = list(rows.filter(state=InstanceState.STOPPED).order_by("-lease_expires_at")[:STOPPED])
    ids = [each.id for each in (*there, *gone)]
    types: dict[UUID, list[JobTypeInstance]] = {}
    for line in JobTypeInstance.objects.using(alias).filter(instance_id__in=ids).order_by("job_type"):
        types.setdefault(line.instance_id, []).append(line)
    running: dict[UUID | None, list[JobSaga]] = {}
    for job in running_jobs(alias, held_slots(alias), with_message=with_message):
        running.setdefault(job.attempt.instance_id, []).append(job)  # type: ignore[attr-defined]

    def lines(instances: list[JobInstance]) -> list[WorkerLine]:
        return [_line(each, now, types.get(each.id, []), running.get(each.id, [])) for each in instances]

    return lines(there), lines(gone)


def _line(
    instance: JobInstance, now: datetime, types: list[JobTypeInstance], running: list[JobSaga]
) -> WorkerLine:
    heard = heard_at(now, instance.lease_expires_at)
    word = condition(InstanceState(instance.state), instance.lease_expires_at, now)
    said, tone = CONDITIONS[word]
    return WorkerLine(instance, word, _(said), tone, heard, types, running)


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
