"""The store in Django's database: PostgreSQL, MariaDB/MySQL or SQLite.

Rows are read through the ORM (``values_list``), locked with SKIP LOCKED where the database knows it (SQLite
has one writer, and needs no row locks), and written by ``sql``. Every query names its alias.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connections,
    models,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet

from jobsaga.clock import Clock, SystemClock, injected_clock
from jobsaga.conf import settings
from jobsaga.ids import job_type_id
from jobsaga.messages import Message
from jobsaga.models import (
    DeadLetter,
    JobAttemptSaga,
    JobCheckpoint,
    JobHistory,
    JobInstance,
    JobSaga,
    JobTypeHistory,
    JobTypeInstance,
    JobTypeSaga,
    sql,
)
from jobsaga.sagas.records import Attempt, Checkpoint, Job, JobType, TypeInstance
from jobsaga.sagas.states import JobStates
from jobsaga.store import keys, outbox, probes, sessions, slots, transactions
from jobsaga.store.base import Changes, Drained, Locked, Retention, Transaction, grouped, place_in_line
from jobsaga.store.line import behind
from jobsaga.store.rows import COLUMNS, MODELS, records, values
from jobsaga.store.upkeep import look_after

#: How often other jobs are asked for in place of those whose rows another holds.
TRIES = 3


class DjangoStore:
    """The store of one alias. *clock* replaces the database's time, in tests."""

    def __init__(self, alias: str | None = None, clock: Clock | None = None) -> None:
        self.alias = alias or settings.DATABASE
        self.clock = clock or injected_clock()
        self.outbox = outbox.Outbox(self.alias, self.clock or SystemClock()).take

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin on this alias; commit at the end, roll back when it raises."""
        with transactions.begin(self.alias) as connection:
            yield DjangoTransaction(connection, self.clock)

    def is_transient(self, error: BaseException) -> bool:
        """Deadlock, serialization, a lost connection, a full disk: OperationalError and InterfaceError, on each
        of the databases; InternalError, when the server has ended a transaction that was frozen for too long. A
        value that cannot be stored (DataError) stays one.
        """
        return isinstance(error, OperationalError | InterfaceError | InternalError)

    def is_poison(self, error: BaseException) -> bool:
        """Whether the data itself cannot be stored, however often it is tried."""
        return isinstance(error, DataError | IntegrityError)

    def end_sessions(self, attempts: Collection[UUID]) -> None:
        sessions.end(connections[self.alias], attempts)

    def refresh(self) -> None:
        """Close the connection if it is broken or too old; the next use opens another."""
        look_after(connections[self.alias])

    def close(self) -> None:
        connections[self.alias].close()


class DjangoTransaction:
    """One open ``atomic`` block."""

    def __init__(self, connection: BaseDatabaseWrapper, clock: Clock | None = None) -> None:
        self.connection, self.alias, self.clock = connection, connection.alias, clock

    def now(self) -> datetime:
        """The database's time at this moment, not at the transaction's start."""
        return self.clock.now() if self.clock else sql.now(self.connection)

    def savepoint(self) -> AbstractContextManager[None]:
        return transaction.atomic(using=self.alias)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """A savepoint. A deadlock within it has undone more than that: then the whole transaction must go."""
        try:
            with transaction.atomic(using=self.alias):
                yield
        except DatabaseError:
            if self.connection.needs_rollback:
                raise

    def jobs(self, ids: Collection[UUID], *, wait: bool = False) -> Locked[UUID, Job]:
        return self._lock(Job, ids, wait=wait)

    def attempts(self, ids: Collection[UUID]) -> Locked[UUID, Attempt]:
        return self._lock(Attempt, ids)

    def checkpoints(self, job_ids: Collection[UUID]) -> Locked[UUID, Checkpoint]:
        return self._lock(Checkpoint, job_ids)

    def job_types(self, names: Collection[str], now: datetime) -> Locked[str, JobType]:
        rows: QuerySet[Any] = self.locking(JobTypeSaga).filter(name__in=names).order_by("name")
        types = {each.name: each for each in records(JobType, rows.values_list(*COLUMNS[JobType]))}
        busy = frozenset(names) - types.keys()
        if busy:
            there = JobTypeSaga.objects.using(self.alias).filter(name__in=busy)
            busy = frozenset(there.values_list("name", flat=True))
        return Locked(slots.counted(self.alias, types, now), busy)

    def create_job_types(self, names: Collection[str]) -> None:
        there = JobTypeSaga.objects.using(self.alias).filter(name__in=list(names))
        missing = set(names) - set(there.values_list("name", flat=True))  # an insert would wait for its lock
        columns = COLUMNS[JobType]
        rows = [values(JobType(id=job_type_id(name), name=name), columns) for name in sorted(missing)]
        sql.insert(self.connection, JobTypeSaga, columns, rows, ignore_conflicts=True)

    def waiting_jobs(
        self, job_type: str, limit: int, skip: Collection[UUID] = (), beyond: Job | None = None
    ) -> list[Job]:
        waiting = self.locking(JobSaga).filter(
            state=JobStates.WAITING_FOR_SLOT.value, job_type=job_type, slot__isnull=True
        )
        if skip:
            waiting = waiting.exclude(id__in=skip)
        if beyond is not None:
            waiting = waiting.filter(behind(beyond))
        rows = waiting.order_by("-priority", "queued_at", "id").values_list(*COLUMNS[Job])[:limit]
        return records(Job, rows)

    def waiting_by_key(
        self, job_type: JobType, limit: int, skip: Collection[UUID] = (), after: str | None = None
    ) -> tuple[list[Job], str | None]:
        passed = set(skip)
        found: list[Job] = []
        stopped: str | None = None
        for _ in range(TRIES):
            ids, stopped = keys.candidates(self.alias, job_type, limit, passed, after)
            locked = self.jobs(ids).rows.values()
            waiting = [job for job in locked if job.state is JobStates.WAITING_FOR_SLOT and job.slot is None]
            found = keys.startable(sorted(waiting, key=place_in_line), job_type, limit)
            held = set(ids) - {job.id for job in waiting}
            if not held or len(found) == limit:
                break
            passed |= held
        return found, stopped

    def instances_types(self, instances: Collection[UUID]) -> dict[UUID, list[str]]:
        return slots.instances_types(self.alias, instances)

    def set_drained(self, instance_id: UUID, drained: Drained | None) -> bool | None:
        return slots.set_drained(self.locking(JobInstance), instance_id, drained)

    def write(self, changes: Changes) -> None:
        try:
            self._write(changes)
        except (ValueError, OverflowError, RecursionError) as error:
            # What a driver or an encoder refuses before the database can: half a surrogate, a huge number.
            raise DataError(f"A value cannot be stored: {error}") from error

    def _write(self, changes: Changes) -> None:
        self._save(Job, changes.jobs)
        self._save(Attempt, changes.attempts)
        self._save(Checkpoint, changes.checkpoints)
        self._save(JobType, changes.job_types)
        self._save(TypeInstance, changes.type_instances)
        for gone in changes.removed_type_instances:
            JobTypeInstance.objects.using(self.alias).filter(
                job_type=gone.job_type, instance_id=gone.instance_id
            ).delete()
        self._remove_jobs(changes.finalized)
        self._append(changes)

    def due(self, now: datetime, limit: int) -> list[Message]:
        return probes.due(self.alias, now, limit)

    def next_due(self, now: datetime) -> datetime | None:
        return probes.next_due(self.alias, now)

    def silent(self, now: datetime, late_after: timedelta, lease: timedelta, limit: int) -> list[Message]:
        return probes.silent(self.alias, now, late_after, lease, limit)

    def types_with_work(self, now: datetime) -> list[str]:
        return probes.types_with_work(self.alias, now)

    def expire_instances(self, now: datetime) -> list[UUID]:
        return probes.expire_instances(self.alias, now)

    def prune(self, now: datetime, limit: int, retention: Retention) -> int:
        return probes.prune(self.alias, now, limit, retention)

    def locking(self, model: type[models.Model], *, wait: bool = False) -> QuerySet[Any]:
        """A queryset that locks what it reads. On PostgreSQL the weaker lock that leaves keys alone."""
        features = self.connection.features
        return model._default_manager.using(self.alias).select_for_update(
            skip_locked=features.has_select_for_update_skip_locked and not wait,
            no_key=features.has_select_for_no_key_update,
        )

    def _lock(self, record: type[Any], ids: Collection[UUID], *, wait: bool = False) -> Locked[UUID, Any]:
        if not ids:
            return Locked({}, frozenset())
        model = MODELS[record]
        rows = self.locking(model, wait=wait).filter(pk__in=ids).order_by("pk")
        found = {
            row.__dict__[COLUMNS[record][0]]: row
            for row in records(record, rows.values_list(*COLUMNS[record]))
        }
        missing = [key for key in ids if key not in found]
        if not missing or not self.connection.features.has_select_for_update:
            return Locked(found, frozenset())
        there = model._default_manager.using(self.alias).filter(pk__in=missing).values_list("pk", flat=True)
        return Locked(found, frozenset(there))

    def _save(self, record: type[Any], changes: list[tuple[Any, Any]]) -> None:
        if not changes:
            return
        model, columns = MODELS[record], COLUMNS[record]
        new = [values(after, columns) for before, after in changes if before is None]
        # An instance that is announced again after its lease was over has its row already, and is not counted.
        sql.insert(self.connection, model, columns, new, ignore_conflicts=record is TypeInstance)
        changed = [change for change in changes if change[0] is not None]
        for names, moved in grouped(changed, columns).items():
            if record is TypeInstance:
                self._save_type_instances(names, moved)
                continue
            rows = (values(after, (columns[0], *names)) for after in moved)
            sql.update(self.connection, model, names, rows)

    def _save_type_instances(self, names: tuple[str, ...], moved: list[TypeInstance]) -> None:
        """Their key is of two columns; there are as many as there are instances, not jobs."""
        for each in moved:
            JobTypeInstance.objects.using(self.alias).filter(
                job_type=each.job_type, instance_id=each.instance_id
            ).update(**{name: each.__dict__[name] for name in names})

    def _remove_jobs(self, ids: list[UUID]) -> None:
        if not ids:
            return
        attempts = JobAttemptSaga.objects.using(self.alias).filter(job_id__in=ids)
        sql.delete(self.connection, JobAttemptSaga, list(attempts.values_list("id", flat=True)))
        sql.delete(self.connection, JobCheckpoint, ids)
        sql.delete(self.connection, JobSaga, ids)

    def _append(self, changes: Changes) -> None:
        rows = [row for row in changes.history if row.sequence is None]
        lines = [row for row in changes.history if row.sequence is not None]
        sql.insert(self.connection, JobHistory, HISTORY_COLUMNS, map(_history, rows))
        sql.insert(self.connection, JobHistory, HISTORY_COLUMNS, map(_history, lines), ignore_conflicts=True)
        about_types = [tuple(getattr(row, name) for name in TYPE_COLUMNS) for row in changes.type_history]
        sql.insert(self.connection, JobTypeHistory, TYPE_COLUMNS, about_types)
        dead = [tuple(getattr(each, name) for name in DEAD_COLUMNS) for each in changes.dead]
        sql.insert(self.connection, DeadLetter, DEAD_COLUMNS, dead)
        outbox.insert(self.connection, changes.events)


HISTORY_COLUMNS = (
    "job_id", "at", "kind", "attempt_id", "sequence", "job_version", "run", "from_state", "to_state", "status",
    "message", "actor", "data",
)  # fmt: skip
TYPE_COLUMNS = ("at", "kind", "job_type", "instance_id", "message", "actor")
DEAD_COLUMNS = ("at", "endpoint", "body", "reason", "traceback", "job_id")


def _history(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in HISTORY_COLUMNS)


database_now = sql.now
