"""Job types: their limits, who can run them, who holds which slot, and who waits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from django.db.models import Count, Min

from jobsaga.consumers import consumers
from jobsaga.live.explain import Around
from jobsaga.live.queries.rows import light, named
from jobsaga.models import JobAttemptSaga, JobSaga, JobTypeInstance, JobTypeSaga
from jobsaga.models.workers import InstanceState
from jobsaga.sagas.states import JobStates
from jobsaga.store import health

#: Durations and shares of failures are those of so many jobs that have ended last.
LAST_RUNS = 2000
NO_CREW = health.Crew(instances=0, capacity=0, room=0)


@dataclass
class Pace:
    """How long runs took and how many failed, of the last few."""

    runs: int = 0
    failed: int = 0
    durations: list[timedelta] = field(default_factory=list)
    waits: list[timedelta] = field(default_factory=list)

    @property
    def median(self) -> timedelta | None:
        """Half of the runs took no longer."""
        return quantile(self.durations, 0.5)

    @property
    def p95(self) -> timedelta | None:
        """19 of 20 runs took no longer."""
        return quantile(self.durations, 0.95)

    @property
    def median_wait(self) -> timedelta | None:
        """Half of the runs waited no longer for a slot."""
        return quantile(self.waits, 0.5)

    @property
    def p95_wait(self) -> timedelta | None:
        """19 of 20 runs waited no longer for a slot."""
        return quantile(self.waits, 0.95)


@dataclass
class TypeLine:
    """A job type as it is now."""

    name: str
    registered: bool = False
    row: JobTypeSaga | None = None
    crew: health.Crew = NO_CREW
    held: int = 0
    waiting: int = 0
    oldest: datetime | None = None
    pace: Pace = field(default_factory=Pace)


@dataclass
class Types:
    """What is known of all types; read once for a page."""

    lines: dict[str, TypeLine]
    now: datetime

    def around(self, name: str, **more: Any) -> Around:
        """What ``explain`` wants to know of a job of this type."""
        line = self.lines.get(name) or TypeLine(name)
        return Around(
            now=self.now,
            workers=line.crew.instances,
            capacity=line.crew.capacity,
            room=line.crew.room,
            global_limit=line.row.global_concurrent_job_limit if line.row else None,
            held=line.held,
            registered=line.registered,
            **more,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """In order."""
        return tuple(sorted(self.lines))


def read(alias: str, now: datetime, *, waiting: bool = True) -> Types:
    """All types that are registered here, were announced by a worker, hold a slot, or have a job waiting."""
    registered = {each.type_name for each in consumers.all()}
    rows = {each.name: each for each in JobTypeSaga.objects.using(alias)}
    crews = health.crews(alias, now)
    held: dict[str, int] = {}
    for (name, _), slots in health.slots_held(alias).items():
        held[name] = held.get(name, 0) + slots
    queues = _queues(alias) if waiting else {}
    lines = {}
    for name in {*registered, *rows, *held, *queues}:
        count, oldest = queues.get(name, (0, None))
        lines[name] = TypeLine(
            name,
            name in registered,
            rows.get(name),
            crews.get(name, NO_CREW),
            held.get(name, 0),
            count,
            oldest,
        )
    return Types(lines, now)


def _queues(alias: str) -> dict[str, tuple[int, datetime | None]]:
    waiting = JobSaga.objects.using(alias).filter(state=JobStates.WAITING_FOR_SLOT.value)
    counted = waiting.values_list("job_type").annotate(n=Count("*"), oldest=Min("queued_at")).order_by()
    return {name: (n, oldest) for name, n, oldest in counted}


def paces(alias: str) -> dict[str, Pace]:
    """How the last runs went, by type; and of all together under the name ""."""
    ended = JobSaga.objects.using(alias).filter(finished_at__isnull=False).order_by("-finished_at")
    columns = ("job_type", "state", "duration", "queued_at", "started_at")
    found: dict[str, Pace] = {"": Pace()}
    for name, state, duration, queued_at, started_at in ended.values_list(*columns)[:LAST_RUNS]:
        for pace in (found[""], found.setdefault(name, Pace())):
            pace.runs += 1
            pace.failed += state == JobStates.FAULTED.value
            if duration is not None and state == JobStates.COMPLETED.value:
                pace.durations.append(duration)
            if queued_at is not None and started_at is not None and started_at >= queued_at:
                pace.waits.append(started_at - queued_at)
    return found


def quantile(values: Iterable[timedelta], share: float) -> timedelta | None:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


@dataclass
class Slots:
    """The slots of a type on one worker: the attempts that hold one, and how many are free."""

    line: JobTypeInstance
    alive: bool
    holders: list[JobAttemptSaga]

    @property
    def free(self) -> range:
        """One number for each free slot."""
        return range(max(0, self.line.concurrent_job_limit - len(self.holders)) if self.alive else 0)


def slots(alias: str, name: str, now: datetime) -> list[Slots]:
    """Who holds which slot of a type; the workers that stopped and hold none are left out."""
    held = JobAttemptSaga.objects.using(alias).filter(holds_slot=True, job_type=name).defer("fault", "result")
    by_instance: dict[UUID | None, list[JobAttemptSaga]] = {}
    attempts = list(held.order_by("created_at", "id"))
    jobs = {
        job.id: job
        for job in named(light(alias, with_message=True).filter(pk__in=[a.job_id for a in attempts]))
    }
    for attempt in attempts:
        attempt.shown_job = jobs.get(attempt.job_id)  # type: ignore[attr-defined]
        by_instance.setdefault(attempt.instance_id, []).append(attempt)
    lines = JobTypeInstance.objects.using(alias).filter(job_type=name).select_related("instance")
    found = []
    for line in lines.order_by("instance__host", "instance__pid"):
        instance = line.instance
        alive = instance.state == InstanceState.RUNNING and instance.lease_expires_at > now
        holders = by_instance.get(line.instance_id, [])
        if alive or holders:
            found.append(Slots(line, alive, holders))
    return found
