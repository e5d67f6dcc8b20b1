"""Who holds the slots of a job type, and who may be given more: counted when it is asked for, kept nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from jobsaga.models import JobAttemptSaga, JobTypeInstance
from jobsaga.models.workers import InstanceState
from jobsaga.sagas.records import JobType, TypeInstance
from jobsaga.store.base import Drained
from jobsaga.store.rows import COLUMNS, records


def counted(alias: str, types: dict[str, JobType], now: datetime) -> dict[str, JobType]:
    """With live instances and held slots: a statement of its own, after the lock, sees all that was committed
    before the lock was given.
    """
    if not types:
        return {}
    held = JobAttemptSaga.objects.using(alias).filter(holds_slot=True, job_type__in=types)
    by_instance: Counter[tuple[str, UUID | None]] = Counter()
    by_key: dict[str, Counter[str]] = {name: Counter() for name in types}
    totals: Counter[str] = Counter()
    for name, instance, key, count in (
        held.values_list("job_type", "instance_id", "concurrency_key").annotate(n=Count("*")).order_by()
    ):
        by_instance[name, instance] += count
        totals[name] += count
        if key:
            by_key[name][key] += count
    instances = _live_instances(alias, types, by_instance, now)
    return {
        name: each.but(instances=instances[name], active=totals[name], keys=by_key[name])
        for name, each in types.items()
    }


def _live_instances(
    alias: str, types: Collection[str], held: Mapping[tuple[str, UUID | None], int], now: datetime
) -> dict[str, dict[UUID, TypeInstance]]:
    live = JobTypeInstance.objects.using(alias).filter(
        job_type__in=types, instance__state=InstanceState.RUNNING, instance__lease_expires_at__gt=now
    )
    found: dict[str, dict[UUID, TypeInstance]] = {name: {} for name in types}
    rows = list(live.values_list(*COLUMNS[TypeInstance], "instance__host", "instance__drained_at"))
    for each, (*_, host, drained_at) in zip(
        records(TypeInstance, (row[:-2] for row in rows)), rows, strict=True
    ):
        active = held.get((each.job_type, each.instance_id), 0)
        found[each.job_type][each.instance_id] = each.but(
            host=host, drained=drained_at is not None, active=active
        )
    return found


def instances_types(alias: str, instances: Collection[UUID]) -> dict[UUID, list[str]]:
    """The job types that these instances have announced."""
    found: dict[UUID, list[str]] = {}
    rows = JobTypeInstance.objects.using(alias).filter(instance_id__in=instances)
    for instance_id, name in rows.values_list("instance_id", "job_type"):
        found.setdefault(instance_id, []).append(name)
    return found


def set_drained(locking: QuerySet[Any], instance_id: UUID, drained: Drained | None) -> bool | None:
    """Note that an instance is to get no more jobs, or that it may (None). *locking*: instances, to be locked.

    False: it is as it was, or unknown; None: another holds its row.
    """
    rows = locking.model._default_manager.using(locking.db).filter(
        id=instance_id, drained_at__isnull=drained is not None
    )
    if not rows.exists():
        return False
    if not list(locking.filter(id=instance_id).values_list("id")):
        return None
    if drained is None:
        return bool(rows.update(drained_at=None, drained_by="", drain_reason=""))
    return bool(rows.update(drained_at=drained.at, drained_by=drained.by, drain_reason=drained.reason))
