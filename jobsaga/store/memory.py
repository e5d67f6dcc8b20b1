"""The store in plain memory, with transactions: for tests, simulations, and to show that the engine needs no
database.

There is one writer at a time, so nothing is ever busy but what a test holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jobsaga.clock import Clock, SystemClock
from jobsaga.ids import job_type_id
from jobsaga.memory import Memory
from jobsaga.messages import (
    AttemptStatus,
    JobAttemptStatus,
    JobLimitOverrideElapsed,
    JobStatusCheckRequested,
    Message,
)
from jobsaga.sagas.job import DEADLINES
from jobsaga.sagas.records import Attempt, Checkpoint, Job, JobType
from jobsaga.sagas.states import AttemptStates, JobStates
from jobsaga.store.base import Changes, Drained, HistoryRow, Locked, Retention, place_in_line
from jobsaga.store.tables import TakenOut, due_rows, lock_rows, save_rows


class MemoryStore:
    """The store over a ``Memory``."""

    def __init__(self, memory: Memory | None = None, clock: Clock | None = None) -> None:
        self.memory = memory or Memory()
        self.clock = clock or SystemClock()

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with self.memory.transaction():
            yield MemoryTransaction(self.memory, self.clock)

    def is_transient(self, error: BaseException) -> bool:
        return False

    def is_poison(self, error: BaseException) -> bool:
        return False

    @contextmanager
    def outbox(self, limit: int) -> Iterator[TakenOut]:
        with self.memory.transaction():
            yield TakenOut(self.memory, limit)

    def end_sessions(self, attempts: Collection[UUID]) -> None:
        """Let go of the checkpoints that a test holds for these attempts."""
        jobs = {each.job_id for key, each in self.memory.attempts.items() if key in attempts}
        self.memory.held_checkpoints -= jobs

    def refresh(self) -> None:
        """There is no connection."""

    def close(self) -> None:
        """There is nothing to close."""

    def save_checkpoint(self, job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool) -> bool:
        """The job's own write, as ``jobsaga.store.checkpoint.save``."""
        with self.memory.transaction():
            row = self.memory.checkpoints.get(job_id)
            if row is None or row.attempt_id != attempt_id:
                return False
            advanced_by = attempt_id if advanced else row.advanced_by
            self.memory.checkpoints[job_id] = row.but(state=state, advanced_by=advanced_by)
            return True


class MemoryTransaction:
    """One open transaction. There is one writer, so nothing is ever busy, except what a test holds."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self.memory, self.clock = memory, clock

    def now(self) -> datetime:
        return self.clock.now()

    def savepoint(self) -> Any:
        return self.memory.transaction()

    def guarded(self) -> Any:
        return self.memory.transaction()

    def jobs(self, ids: Collection[UUID], *, wait: bool = False) -> Locked[UUID, Job]:
        return lock_rows(self.memory.jobs, ids, self.memory.held_jobs)

    def attempts(self, ids: Collection[UUID]) -> Locked[UUID, Attempt]:
        return lock_rows(self.memory.attempts, ids)

    def checkpoints(self, job_ids: Collection[UUID]) -> Locked[UUID, Checkpoint]:
        return lock_rows(self.memory.checkpoints, job_ids, self.memory.held_checkpoints)

    def job_types(self, names: Collection[str], now: datetime) -> Locked[str, JobType]:
        found = lock_rows(self.memory.job_types, names, self.memory.held_job_types)
        return Locked({name: self._counted(each, now) for name, each in found.rows.items()}, found.busy)

    def create_job_types(self, names: Collection[str]) -> None:
        for name in names:
            self.memory.job_types.setdefault(name, JobType(id=job_type_id(name), name=name))

    def waiting_jobs(
        self, job_type: str, limit: int, skip: Collection[UUID] = (), beyond: Job | None = None
    ) -> list[Job]:
        line = self._line(job_type, skip)
        after = [job for job in line if not beyond or place_in_line(job) > place_in_line(beyond)]
        return after[:limit]

    def waiting_by_key(
        self, job_type: JobType, limit: int, skip: Collection[UUID] = (), after: str | None = None
    ) -> tuple[list[Job], str | None]:
        found: list[Job] = []
        taken: Counter[str] = Counter()
        for job in self._line(job_type.name, skip):
            room = job_type.room_of(job.concurrency_key)
            if room is None or taken[job.concurrency_key] < room:
                taken[job.concurrency_key] += 1
                found.append(job)
        return found[:limit], None

    def _line(self, job_type: str, skip: Collection[UUID]) -> list[Job]:
        waiting = [
            job
            for key, job in self.memory.jobs.items()
            if job.state is JobStates.WAITING_FOR_SLOT
            and job.job_type == job_type
            and job.slot is None
            and key not in self.memory.held_jobs
            and key not in skip
        ]
        return sorted(waiting, key=place_in_line)

    def instances_types(self, instances: Collection[UUID]) -> dict[UUID, list[str]]:
        found: dict[UUID, list[str]] = {}
        for name, instance_id in self.memory.type_instances:
            if instance_id in instances:
                found.setdefault(instance_id, []).append(name)
        return found

    def set_drained(self, instance_id: UUID, drained: Drained | None) -> bool | None:
        instance = self.memory.instances.get(instance_id)
        if instance is None or instance.drained == (drained is not None):
            return False
        self.memory.instances[instance_id] = instance.but(drained=drained is not None)
        return True

    def write(self, changes: Changes) -> None:
        memory = self.memory
        save_rows(memory.jobs, changes.jobs, "id")
        save_rows(memory.attempts, changes.attempts, "id")
        save_rows(memory.checkpoints, changes.checkpoints, "job_id")
        memory.job_types.update(
            {after.name: after.but(instances={}, active=0, keys={}) for _, after in changes.job_types}
        )
        for _, after in changes.type_instances:
            stored = after.but(active=0, host="", drained=False)
            memory.type_instances[after.job_type, after.instance_id] = stored
        for gone in changes.removed_type_instances:
            memory.type_instances.pop((gone.job_type, gone.instance_id), None)
        for job_id in changes.finalized:
            self._remove_job(job_id)
        self._append(changes.history)
        memory.type_history.extend(changes.type_history)
        memory.dead.extend(changes.dead)
        memory.add_events(changes.events)

    def due(self, now: datetime, limit: int) -> list[Message]:
        jobs = due_rows(self.memory.jobs, now)[:limit]
        attempts = due_rows(self.memory.attempts, now)[:limit]
        said: list[Message] = [DEADLINES[job.state](job_id=job.id) for job in jobs if job.state in DEADLINES]
        said += [JobStatusCheckRequested(job_id=each.job_id, attempt_id=each.id) for each in attempts]
        said += [JobLimitOverrideElapsed(job_type=each.name) for each in due_rows(self.memory.job_types, now)]
        return said

    def next_due(self, now: datetime) -> datetime | None:
        return min(
            (job.due_at for job in self.memory.jobs.values() if job.due_at and job.due_at > now), default=None
        )

    def silent(self, now: datetime, late_after: timedelta, lease: timedelta, limit: int) -> list[Message]:
        said: list[Message] = []
        for each in self.memory.attempts.values():
            status = self._status(each, now, lease - late_after)
            if each.holds_slot and status is not None:
                said.append(
                    JobAttemptStatus(
                        job_id=each.job_id, attempt_id=each.id, status=status, reason=f"Its worker: {status}"
                    )
                )
        return said[:limit]

    def types_with_work(self, now: datetime) -> list[str]:
        instances = self.memory.instances
        lives = {key for key, each in instances.items() if self._lives(key, now) and not each.drained}
        with_worker = {name for name, instance in self.memory.type_instances if instance in lives}
        awake = {name for name, each in self.memory.job_types.items() if each.paused_at is None}
        return [name for name in with_worker & awake if self.waiting_jobs(name, 1)]

    def expire_instances(self, now: datetime) -> list[UUID]:
        over = [i.id for i in self.memory.instances.values() if i.running and i.lease_expires_at <= now]
        for key in over:
            self.memory.instances[key] = self.memory.instances[key].but(running=False)
        return over

    def prune(self, now: datetime, limit: int, retention: Retention) -> int:
        removed = 0
        if retention.jobs is not None:
            removed += self._prune_jobs(now - retention.jobs, limit)
        if retention.history is not None:
            removed += self._prune_history(now - retention.history, limit)
        if retention.logs is not None:
            removed += self._prune_history(now - retention.logs, limit, only_lines=True)
        return removed

    def _prune_jobs(self, before: datetime, limit: int) -> int:
        jobs = self.memory.jobs.values()
        old = [
            job.id
            for job in jobs
            if job.finished_at
            and job.finished_at <= before
            and not (job.slot or job.recurring_name)
            and job.id not in self.memory.held_jobs
        ]
        for job_id in old[:limit]:
            self._remove_job(job_id)
        return len(old[:limit]) + self._prune_runs(before, limit)

    def _prune_runs(self, before: datetime, limit: int) -> int:
        """A recurring job is never old; the attempts of its runs are."""
        recurring = {job.id for job in self.memory.jobs.values() if job.recurring_name}
        old = [
            each.id
            for each in self.memory.attempts.values()
            if each.job_id in recurring
            and each.created_at
            and each.created_at <= before
            and not each.holds_slot
        ]
        for attempt_id in old[:limit]:
            del self.memory.attempts[attempt_id]
        return len(old[:limit])

    def _prune_history(self, before: datetime, limit: int, *, only_lines: bool = False) -> int:
        history = self.memory.history
        old = [row for row in history if row.at <= before and (row.sequence is not None or not only_lines)]
        gone = {id(row) for row in old[:limit]}
        self.memory.history = [row for row in history if id(row) not in gone]
        return len(gone)

    def _lives(self, instance_id: UUID | None, now: datetime) -> bool:
        instance = self.memory.instances.get(instance_id) if instance_id else None
        return instance is not None and instance.running and instance.lease_expires_at > now

    def _status(self, attempt: Attempt, now: datetime, margin: timedelta) -> AttemptStatus | None:
        in_doubt = attempt.state in (AttemptStates.CHECKING_STATUS, AttemptStates.SUSPECT)
        instance = self.memory.instances.get(attempt.instance_id) if attempt.instance_id else None
        if instance is None or instance.lease_expires_at <= now:
            return AttemptStatus.LOST
        if not instance.running and attempt.received_at is None:
            return AttemptStatus.LOST
        if instance.lease_expires_at <= now + margin:
            return None if in_doubt else AttemptStatus.LATE
        return AttemptStatus.RUNNING if in_doubt and not attempt.given_up else None

    def _counted(self, job_type: JobType, now: datetime) -> JobType:
        holders = [a for a in self.memory.attempts.values() if a.holds_slot and a.job_type == job_type.name]
        held = Counter(each.instance_id for each in holders)
        keys = Counter(each.concurrency_key for each in holders if each.concurrency_key)
        instances = {
            key: each.but(active=held[key], drained=self.memory.instances[key].drained)
            for (name, key), each in self.memory.type_instances.items()
            if name == job_type.name and self._lives(key, now)
        }
        return job_type.but(instances=instances, active=sum(held.values()), keys=keys)

    def _remove_job(self, job_id: UUID) -> None:
        self.memory.jobs.pop(job_id, None)
        self.memory.checkpoints.pop(job_id, None)
        attempts = self.memory.attempts.values()
        for key in [each.id for each in attempts if each.job_id == job_id]:
            del self.memory.attempts[key]

    def _append(self, rows: list[HistoryRow]) -> None:
        lines = {(row.attempt_id, row.sequence) for row in self.memory.history if row.sequence is not None}
        for row in rows:
            if row.sequence is None or (row.attempt_id, row.sequence) not in lines:
                self.memory.history.append(row)
                lines.add((row.attempt_id, row.sequence))
