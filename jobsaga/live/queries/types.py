"""Job types: their limits, who can run them, who holds which slot, and who waits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Min

from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.engine.strategies import DEFAULT, PROPERTY
from jobsaga.ids import job_type_id
from jobsaga.live import scope
from jobsaga.live.explain import Around
from jobsaga.live.queries.pace import Pace
from jobsaga.live.queries.rows import light, named
from jobsaga.models import JobAttemptSaga, JobTypeInstance, JobTypeSaga
from jobsaga.models.workers import InstanceState
from jobsaga.properties import Properties
from jobsaga.sagas.records import JobType, TypeInstance
from jobsaga.sagas.states import JobStates
from jobsaga.store import health
from jobsaga.store.rows import COLUMNS, records


@dataclass
class TypeLine:
    """A job type as it is now. ``saga`` counts as the saga hosts do: its rules say what can be started."""

    name: str
    saga: JobType
    registered: bool = False
    #: Whether a worker has ever announced it: only then are its limits known.
    announced: bool = False
    waiting: int = 0
    oldest: datetime | None = None
    #: The versions of its message that the live workers read; when one of them came, or was given a job last.
    versions: dict[UUID, int] = field(default_factory=dict)
    moved: datetime | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def newest_version(self) -> int | None:
        """The newest version of its message that a live worker reads."""
        return max(self.versions.values(), default=None)

    def for_version(self, version: int) -> TypeLine:
        """The same, with those workers alone that can read a message of this version."""
        able = {key: each for key, each in self.saga.instances.items() if self.versions[key] >= version}
        return replace(self, saga=self.saga.but(instances=able))

    @property
    def workers(self) -> int:
        """How many live workers run it."""
        return len(self.saga.instances)

    @property
    def held(self) -> int:
        """The slots that are held."""
        return self.saga.active

    @property
    def is_idle(self) -> bool:
        """Whether nothing of this type happens, waits, could start or ended lately."""
        return not (self.workers or self.held or self.waiting or self.pace.runs)

    @property
    def capacity(self) -> int:
        """How many jobs the live workers can run at once, by all limits as they are now."""
        local = sum(map(self.saga.limit_of, self.saga.instances.values()))
        return local if self.saga.global_limit is None else min(local, self.saga.global_limit)

    @property
    def per_worker(self) -> int | None:
        """The limit of each worker now; None while no worker has announced the type."""
        if self.saga.override_job_limit is not None:
            return self.saga.override_job_limit
        return self.saga.concurrent_job_limit if self.announced else None


@dataclass
class Types:
    """What is known of all types; read once for a page."""

    lines: dict[str, TypeLine]
    now: datetime

    def around(self, name: str, version: int = 1, **more: Any) -> Around:
        """What ``explain`` wants to know of a job of this type, whose message has this version."""
        known = self.lines.get(name) or TypeLine(name, _unknown(name))
        line = known.for_version(version)
        saga = line.saga
        full = [key for key in saga.keys if saga.room_of(key) == 0]
        return Around(
            drained=bool(saga.instances) and all(each.drained for each in saga.instances.values()),
            newest_version=line.newest_version, moved=line.moved, per_key=saga.concurrency_per_key,
            full_keys=full, strategy=_has_strategy(saga),
            now=self.now, workers=known.workers, capacity=line.capacity, room=saga.room,
            global_limit=saga.global_limit, held=line.held, registered=line.registered, paused_at=saga.paused_at,
            paused_by=saga.paused_by, pause_reason=saga.pause_reason, override_until=saga.due_at, **more,
        )  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """In order."""
        return tuple(sorted(self.lines))


def read(alias: str, now: datetime, *, waiting: bool = True, keys: bool = True) -> Types:
    """All types that are registered here, were announced by a worker, hold a slot, or have a job waiting. *keys*: with
    the slots that are held by jobs of each concurrency key.
    """
    registered = {each.type_name for each in consumers.all()}
    rows = JobTypeSaga.objects.using(alias).values_list(*COLUMNS[JobType])
    known = {each.name: each for each in records(JobType, rows)}
    slots = health.slots_held(alias)
    held: dict[str, int] = {}
    for (name, _), count in slots.items():
        held[name] = held.get(name, 0) + count
    crews = _crews(alias, now)
    by_key = _keys(alias) if keys else {}
    queues = _queues(alias) if waiting else {}
    lines = {}
    for name in {*registered, *known, *held, *queues}:
        crew = crews.get(name, [])
        saga = (known.get(name) or _unknown(name)).but(
            instances=_instances(crew, slots), active=held.get(name, 0), keys=by_key.get(name, {})
        )
        count, oldest = queues.get(name, (0, None))
        moves = (at for each in crew for at in (each.instance.started_at, each.used_at) if at is not None)
        versions = {each.instance_id: each.message_version for each in crew}
        moved = max(moves, default=None)
        lines[name] = TypeLine(name, saga, name in registered, name in known, count, oldest, versions, moved)
    return Types(lines, now)


def _has_strategy(saga: JobType) -> bool:
    """Whether a strategy of the site's own chooses for the type, by its name, by a property, or for all."""
    named = Properties(saga.properties).get(PROPERTY)
    return any(
        isinstance(name, str) and name in settings.DISTRIBUTION_STRATEGIES
        for name in (saga.name, named, DEFAULT)
    )


def _unknown(name: str) -> JobType:
    """A type that no worker has announced."""
    return JobType(id=job_type_id(name), name=name)


def _crews(alias: str, now: datetime) -> dict[str, list[JobTypeInstance]]:
    """The live instances of each type."""
    rows = JobTypeInstance.objects.using(alias).filter(
        instance__state=InstanceState.RUNNING, instance__lease_expires_at__gt=now
    )
    found: dict[str, list[JobTypeInstance]] = {}
    for each in rows.select_related("instance"):
        found.setdefault(each.job_type, []).append(each)
    return found


def _instances(
    crew: list[JobTypeInstance], slots: dict[tuple[str, UUID | None], int]
) -> dict[UUID, TypeInstance]:
    """The same as records, with the slots they hold."""
    return {
        each.instance_id: TypeInstance(
            job_type=each.job_type,
            instance_id=each.instance_id,
            concurrent_job_limit=each.concurrent_job_limit,
            concurrency_cap=each.concurrency_cap,
            active=slots.get((each.job_type, each.instance_id), 0),
            drained=each.instance.drained_at is not None,
        )
        for each in crew
    }


def _keys(alias: str) -> dict[str, dict[str, int]]:
    """The slots that are held by the jobs of each concurrency key, by type."""
    held = JobAttemptSaga.objects.using(alias).filter(holds_slot=True).exclude(concurrency_key="")
    counted = held.values_list("job_type", "concurrency_key").annotate(n=Count("*")).order_by()
    found: dict[str, dict[str, int]] = {}
    for name, key, n in counted:
        found.setdefault(name, {})[key] = n
    return found


def _queues(alias: str) -> dict[str, tuple[int, datetime | None]]:
    waiting = scope.jobs(alias).filter(state=JobStates.WAITING_FOR_SLOT.value)
    counted = waiting.values_list("job_type").annotate(n=Count("*"), oldest=Min("queued_at")).order_by()
    return {name: (n, oldest) for name, n, oldest in counted}


@dataclass
class Slots:
    """The slots of a type on one worker: the attempts that hold one, and how many are free."""

    line: JobTypeInstance
    alive: bool
    holders: list[JobAttemptSaga]
    #: How many more are held, by jobs that whoever looks does not see.
    hidden: int = 0

    @property
    def free(self) -> range:
        """One number for each free slot."""
        return range(
            max(0, self.line.concurrent_job_limit - len(self.holders) - self.hidden) if self.alive else 0
        )


def slots(alias: str, name: str, now: datetime, *, with_message: bool) -> list[Slots]:
    """Who holds which slot of a type; the workers that stopped and hold none are left out."""
    held = JobAttemptSaga.objects.using(alias).filter(holds_slot=True, job_type=name).defer("fault", "result")
    by_instance: dict[UUID | None, list[JobAttemptSaga]] = {}
    attempts = list(held.order_by("created_at", "id"))
    jobs = {
        job.id: job
        for job in named(light(alias, with_message=with_message).filter(pk__in=[a.job_id for a in attempts]))
    }
    seen = scope.visible(alias, {attempt.job_id for attempt in attempts})
    hidden = Counter(attempt.instance_id for attempt in attempts if attempt.job_id not in seen)
    for attempt in attempts:
        if attempt.job_id not in seen:
            continue
        attempt.shown_job = jobs.get(attempt.job_id)  # type: ignore[attr-defined]
        by_instance.setdefault(attempt.instance_id, []).append(attempt)
    lines = JobTypeInstance.objects.using(alias).filter(job_type=name).select_related("instance")
    found = []
    for line in lines.order_by("instance__host", "instance__pid"):
        instance = line.instance
        alive = instance.state == InstanceState.RUNNING and instance.lease_expires_at > now
        holders = by_instance.get(line.instance_id, [])
        if alive or holders:
            found.append(Slots(line, alive, holders, hidden[line.instance_id]))
    return found
