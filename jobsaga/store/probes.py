"""What the sweep asks of the database: each question is one indexed statement, or a few in small batches."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connections
from django.db.models import Q

from jobsaga.messages import (
    AttemptStatus,
    JobAttemptStatus,
    JobLimitOverrideElapsed,
    JobStatusCheckRequested,
    Message,
)
from jobsaga.models import (
    JobAttemptSaga,
    JobCheckpoint,
    JobHistory,
    JobInstance,
    JobSaga,
    JobTypeInstance,
    JobTypeSaga,
    sql,
)
from jobsaga.models.workers import InstanceState
from jobsaga.sagas.job import DEADLINES
from jobsaga.sagas.states import AttemptStates, JobStates
from jobsaga.store.base import Retention

_BEATING = (AttemptStates.STARTING.value, AttemptStates.RUNNING.value)
_IN_DOUBT = (AttemptStates.CHECKING_STATUS.value, AttemptStates.SUSPECT.value)


def due(alias: str, now: datetime, limit: int) -> list[Message]:
    """Jobs and attempts whose deadline has passed, the oldest first, as the messages that say so."""
    jobs = (
        JobSaga.objects.using(alias)
        .filter(due_at__lte=now)
        .order_by("due_at")
        .values_list("id", "state")[:limit]
    )
    attempts = JobAttemptSaga.objects.using(alias).filter(due_at__lte=now).order_by("due_at")
    said: list[Message] = [
        DEADLINES[JobStates(state)](job_id=job_id) for job_id, state in jobs if JobStates(state) in DEADLINES
    ]
    said += [
        JobStatusCheckRequested(job_id=job_id, attempt_id=attempt_id)
        for attempt_id, job_id in attempts.values_list("id", "job_id")[:limit]
    ]
    overrides = JobTypeSaga.objects.using(alias).filter(due_at__lte=now)
    said += [JobLimitOverrideElapsed(job_type=name) for name in overrides.values_list("name", flat=True)]
    return said


def next_due(alias: str, now: datetime) -> datetime | None:
    """The first deadline of a job that is still to come."""
    later = JobSaga.objects.using(alias).filter(due_at__gt=now).order_by("due_at")
    return later.values_list("due_at", flat=True).first()


def silent(alias: str, now: datetime, late_after: timedelta, lease: timedelta, limit: int) -> list[Message]:
    """Attempts with a slot whose instance is late, lost, gone, or back: by the instance's lease alone.

    One that has stopped in good order gave its last words to the transport before, where they may wait or be in the
    hands of another saga host. So its lease counts on, but for attempts that it never received.
    """
    open_attempts = JobAttemptSaga.objects.using(alias).filter(holds_slot=True)
    lost = (
        Q(instance__lease_expires_at__lte=now)
        | Q(instance__state=InstanceState.STOPPED, received_at=None)
        | Q(instance__started_at=None)  # there is no such instance
    )
    late_before = now + lease - late_after
    late = Q(instance__lease_expires_at__gt=now, instance__lease_expires_at__lte=late_before)
    well = Q(instance__lease_expires_at__gt=late_before)
    questions = (
        (lost, AttemptStatus.LOST),
        (late & Q(state__in=_BEATING), AttemptStatus.LATE),
        (well & Q(state__in=_IN_DOUBT, given_up=False), AttemptStatus.RUNNING),
    )
    said: list[Message] = []
    for condition, status in questions:
        rows = open_attempts.filter(condition).values_list("id", "job_id", "instance__host", "instance__pid")[
            :limit
        ]
        said += [
            JobAttemptStatus(
                job_id=job_id, attempt_id=attempt_id, status=status, reason=_reason(status, host, pid)
            )
            for attempt_id, job_id, host, pid in rows
        ]
    return said


def _reason(status: AttemptStatus, host: str | None, pid: int | None) -> str:
    worker = f"Worker {host}:{pid}" if host else "Its worker"
    return {
        AttemptStatus.LOST: f"{worker} was lost: no heartbeat before its lease was over",
        AttemptStatus.LATE: f"{worker} missed heartbeats",
        AttemptStatus.RUNNING: f"{worker} is heard again",
    }[status]


def types_with_work(alias: str, now: datetime) -> list[str]:
    """Types that are announced by a live instance and have a job waiting. Room is counted under the lock.

    Asked in each lap, so it is no queryset: to build that takes longer than the answer.
    """
    connection = connections[alias]
    waiting, running = JobStates.WAITING_FOR_SLOT.value, InstanceState.RUNNING.value
    values = [running, connection.ops.adapt_datetimefield_value(now), waiting]
    with connection.cursor() as cursor:
        cursor.execute(TYPES_WITH_WORK, values)
        return [name for (name,) in cursor.fetchall()]


TYPES_WITH_WORK = f"""
SELECT t.name FROM {JobTypeSaga._meta.db_table} t
WHERE t.paused_at IS NULL AND EXISTS (
    SELECT 1 FROM {JobTypeInstance._meta.db_table} ti JOIN {JobInstance._meta.db_table} i ON i.id = ti.instance_id
    WHERE ti.job_type = t.name AND i.state = %s AND i.lease_expires_at > %s AND i.drained_at IS NULL
) AND EXISTS (
    SELECT 1 FROM {JobSaga._meta.db_table} j WHERE j.state = %s AND j.job_type = t.name AND j.slot IS NULL
)"""


def expire_instances(alias: str, now: datetime) -> list[UUID]:
    """Instances that still count as running although their lease is over; they are marked stopped.

    One whose row is locked (it may be frozen in the middle of a heartbeat) is left for the next sweep.
    """
    rows = JobInstance.objects.using(alias)
    over = rows.filter(lease_expires_at__lte=now).exclude(state=InstanceState.STOPPED)
    features = connections[alias].features
    over = over.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
    ids = list(over.values_list("id", flat=True))
    if ids:
        rows.filter(id__in=ids).update(state=InstanceState.STOPPED)
    return ids


def prune(alias: str, now: datetime, limit: int, retention: Retention) -> int:
    """Remove ended jobs with their attempts, old history, old log lines, and instances nobody refers to."""
    removed = 0
    if retention.jobs is not None:
        removed += _remove_old_jobs(alias, now - retention.jobs, limit)
        gone = JobInstance.objects.using(alias).filter(
            state=InstanceState.STOPPED, lease_expires_at__lte=now - retention.jobs
        )
        removed += _remove_old_runs(alias, now - retention.jobs, limit)
        JobTypeInstance.objects.using(alias).filter(instance__in=gone)._raw_delete(alias)
        removed += gone._raw_delete(alias)
    if retention.history is not None:
        removed += _remove_oldest(alias, now - retention.history, limit)
    if retention.logs is not None:
        removed += _remove_old_lines(alias, now - retention.logs, limit)
    return removed


def _remove_old_jobs(alias: str, before: datetime, limit: int) -> int:
    """Ended jobs that nobody has in hand: a client may be about to retry one. A recurring job stays, also when its
    recurrence has ended: if it were gone, the next deploy would begin anew what an operator has canceled.
    """
    features = connections[alias].features
    jobs = JobSaga.objects.using(alias).filter(finished_at__lte=before, slot__isnull=True, recurring_name="")
    jobs = jobs.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
    ids = list(jobs.order_by("finished_at").values_list("id", flat=True)[:limit])
    if ids:
        connection = connections[alias]
        attempts = JobAttemptSaga.objects.using(alias).filter(job_id__in=ids)
        sql.delete(connection, JobAttemptSaga, list(attempts.values_list("id", flat=True)))
        sql.delete(connection, JobCheckpoint, ids)
        sql.delete(connection, JobSaga, ids)
    return len(ids)


def _remove_old_runs(alias: str, before: datetime, limit: int) -> int:
    """A recurring job is never old; the attempts of its runs are."""
    recurring = JobSaga.objects.using(alias).exclude(recurring_name="").values("id")
    attempts = JobAttemptSaga.objects.using(alias).filter(
        job_id__in=recurring, created_at__lte=before, holds_slot=False
    )
    ids = list(attempts.values_list("id", flat=True)[:limit])
    sql.delete(connections[alias], JobAttemptSaga, ids)
    return len(ids)


def _remove_oldest(alias: str, before: datetime, limit: int) -> int:
    """History has no index by time: its keys are in the order of time, so the oldest are the first. No more of them
    are looked at than may go, and log lines go with them: past those that stay longer each look would have to walk.
    """
    first = JobHistory.objects.using(alias).order_by("pk").values_list("pk", "at")[:limit]
    old = [key for key, at in first if at <= before]
    sql.delete(connections[alias], JobHistory, old)
    return len(old)


def _remove_old_lines(alias: str, before: datetime, limit: int) -> int:
    lines = JobHistory.objects.using(alias).filter(at__lte=before, sequence__isnull=False).order_by("at")
    old = list(lines.values_list("pk", flat=True)[:limit])
    sql.delete(connections[alias], JobHistory, old)
    return len(old)


def is_idle(alias: str, job_types: Collection[str] | None) -> bool:
    """Whether no job (of these types; None: of any) waits for a slot or a retry, or runs."""
    jobs, attempts = JobSaga.objects.using(alias), JobAttemptSaga.objects.using(alias)
    if job_types is not None:
        jobs, attempts = jobs.filter(job_type__in=job_types), attempts.filter(job_type__in=job_types)
    waiting = jobs.filter(state=JobStates.WAITING_FOR_SLOT.value)
    retrying = jobs.filter(due_at__isnull=False).exclude(state=JobStates.WAITING_TO_START.value)
    running = attempts.filter(holds_slot=True)
    return not (waiting.exists() or running.exists() or retrying.exists())
