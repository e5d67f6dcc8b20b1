"""The two places where a world's rows can be: plain memory, and the test's database.

A place knows what the store's protocol does not offer, because only workers and tests need it: to register an
instance and renew its lease, to save a job's state, to read what was appended, and to hold a row as someone
else's transaction would.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Protocol
from uuid import UUID

from jobsaga.clock import Clock, ManualClock, SystemClock
from jobsaga.memory import Instance, Memory
from jobsaga.messages import Message, decode
from jobsaga.sagas import Attempt, Checkpoint, Job
from jobsaga.sagas.states import AttemptStates, JobStates
from jobsaga.store.base import Dead, HistoryRow, Store, TypeHistoryRow
from jobsaga.store.memory import MemoryStore
from jobsaga.transport.base import Transport
from jobsaga.transport.memory import MemoryTransport
from tests.threads import in_thread

LEASE = timedelta(seconds=15)
#: What can be held: the model, and the column that names its row.
HELD = {
    "job": ("JobSaga", "pk"),
    "attempt": ("JobAttemptSaga", "pk"),
    "checkpoint": ("JobCheckpoint", "pk"),
    "job_type": ("JobTypeSaga", "name"),
    "instance": ("JobInstance", "pk"),
    "message": ("TransportMessage", "pk"),
}
SOON = 20


class Place(Protocol):
    """Where the rows are."""

    store: Store
    transport: Transport
    clock: Clock | None

    def now(self) -> datetime: ...
    def register(self, instance_id: UUID) -> None: ...
    def renew(self, instance_id: UUID) -> bool: ...
    def stop(self, instance_id: UUID) -> None: ...
    def claim(self, instance_id: UUID, attempts: Collection[UUID]) -> set[UUID]: ...
    def save(self, job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool) -> bool: ...
    def job(self, job_id: UUID) -> Job | None: ...
    def checkpoint(self, job_id: UUID) -> Checkpoint | None: ...
    def attempts(self, job_id: UUID | None) -> list[Attempt]: ...
    def history(self, job_id: UUID) -> list[HistoryRow]: ...
    def type_history(self) -> list[TypeHistoryRow]: ...
    def dead(self) -> list[Dead]: ...
    def waiting_for(self, endpoint: str) -> list[Message]: ...
    def hold(self, what: str, key: Any) -> AbstractContextManager[None]: ...


class MemoryPlace:
    """Everything in one ``Memory``."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or ManualClock()
        self.memory = Memory()
        self.store = MemoryStore(self.memory, self.clock)
        self.transport = MemoryTransport(self.memory, self.clock)

    def now(self) -> datetime:
        return self.clock.now()

    def register(self, instance_id: UUID) -> None:
        with self.memory.transaction():
            self.memory.instances[instance_id] = Instance(id=instance_id, lease_expires_at=self.now() + LEASE)

    def renew(self, instance_id: UUID) -> bool:
        with self.memory.transaction():
            instance = self.memory.instances[instance_id]
            if instance.running:
                self.memory.instances[instance_id] = instance.but(lease_expires_at=self.now() + LEASE)
            return instance.running

    def stop(self, instance_id: UUID) -> None:
        with self.memory.transaction():
            self.memory.instances[instance_id] = self.memory.instances[instance_id].but(running=False)

    def claim(self, instance_id: UUID, attempts: Collection[UUID]) -> set[UUID]:
        with self.memory.transaction():
            ours = {
                key
                for key in attempts
                if (row := self.memory.attempts.get(key)) is not None
                and row.instance_id == instance_id
                and row.state is AttemptStates.STARTING
            }
            for key in ours:
                self.memory.attempts[key] = self.memory.attempts[key].but(received_at=self.now(), due_at=None)
        return ours

    def save(self, job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool) -> bool:
        return self.store.save_checkpoint(job_id, attempt_id, state, advanced=advanced)

    def job(self, job_id: UUID) -> Job | None:
        return self.memory.jobs.get(job_id)

    def checkpoint(self, job_id: UUID) -> Checkpoint | None:
        return self.memory.checkpoints.get(job_id)

    def attempts(self, job_id: UUID | None) -> list[Attempt]:
        return [each for each in self.memory.attempts.values() if job_id in (None, each.job_id)]

    def history(self, job_id: UUID) -> list[HistoryRow]:
        return [row for row in self.memory.history if row.job_id == job_id]

    def type_history(self) -> list[TypeHistoryRow]:
        return list(self.memory.type_history)

    def dead(self) -> list[Dead]:
        return list(self.memory.dead)

    def waiting_for(self, endpoint: str) -> list[Message]:
        queued = sorted(self.memory.queue.items())
        return [decode(each.body, "instance") for _, each in queued if each.endpoint == endpoint]

    @contextmanager
    def hold(self, what: str, key: Any) -> Iterator[None]:
        held = getattr(self.memory, f"held_{what}s")
        held.add(key)
        try:
            yield
        finally:
            getattr(self.memory, f"held_{what}s").discard(key)


class DatabasePlace:
    """JOBSAGA's database. With *clock* None it lives in the database's own time."""

    def __init__(self, clock: Clock | None) -> None:
        from jobsaga.conf import settings
        from jobsaga.store.django import DjangoStore
        from jobsaga.transport.database import DatabaseTransport

        self.alias, self.clock = settings.DATABASE, clock
        self.store = DjangoStore(self.alias, clock)
        self.transport = DatabaseTransport(self.alias, clock)

    def now(self) -> datetime:
        return (self.clock or SystemClock()).now()

    def rows(self, model: str) -> Any:
        """All rows of a model of jobsaga, by its name."""
        from jobsaga import models

        return getattr(models, model).objects.using(self.alias)

    def register(self, instance_id: UUID) -> None:
        now = self.now()
        self.rows("JobInstance").create(
            id=instance_id, host="test", pid=1, started_at=now, lease_expires_at=now + LEASE
        )

    def renew(self, instance_id: UUID) -> bool:
        from jobsaga.models.workers import InstanceState

        living = self.rows("JobInstance").filter(id=instance_id).exclude(state=InstanceState.STOPPED)
        return bool(living.update(lease_expires_at=self.now() + LEASE))

    def stop(self, instance_id: UUID) -> None:
        from jobsaga.store.instances import InstanceState, InstanceStore

        InstanceStore(self.alias, instance_id, LEASE).set_state(InstanceState.STOPPED)

    def claim(self, instance_id: UUID, attempts: Collection[UUID]) -> set[UUID]:
        from jobsaga.store.instances import InstanceStore

        return (
            InstanceStore(self.alias, instance_id, LEASE).claim(attempts, self.now()) if attempts else set()
        )

    def save(self, job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool) -> bool:
        from jobsaga.store import checkpoint

        return checkpoint.save(job_id, attempt_id, state, advanced=advanced)

    def job(self, job_id: UUID) -> Job | None:
        return next(iter(self._records(Job, pk=job_id)), None)

    def checkpoint(self, job_id: UUID) -> Checkpoint | None:
        return next(iter(self._records(Checkpoint, pk=job_id)), None)

    def attempts(self, job_id: UUID | None) -> list[Attempt]:
        return self._records(Attempt, **({} if job_id is None else {"job_id": job_id}))

    def _records(self, record: type[Any], **known: Any) -> list[Any]:
        """Read without a lock."""
        from jobsaga.store.rows import COLUMNS, MODELS, records

        rows = MODELS[record]._default_manager.using(self.alias).filter(**known)
        return records(record, rows.values_list(*COLUMNS[record]))

    def history(self, job_id: UUID) -> list[HistoryRow]:
        return [_history(row) for row in self.rows("JobHistory").filter(job_id=job_id).order_by("id")]

    def type_history(self) -> list[TypeHistoryRow]:
        names = TypeHistoryRow.__struct_fields__
        return [TypeHistoryRow(**row) for row in self.rows("JobTypeHistory").order_by("id").values(*names)]

    def dead(self) -> list[Dead]:
        names = Dead.__struct_fields__
        return [Dead(**row) for row in self.rows("DeadLetter").order_by("id").values(*names)]

    def waiting_for(self, endpoint: str) -> list[Message]:
        bodies = self.rows("TransportMessage").filter(endpoint=endpoint).order_by("id")
        return [decode(body, "instance") for body in bodies.values_list("body", flat=True)]

    @contextmanager
    def hold(self, what: str, key: Any) -> Iterator[None]:
        """In a thread, so on a connection of its own. The test must be of the transactional kind."""
        held, release, failure = Event(), Event(), []

        def run() -> None:
            try:
                with self.locked(what, key):
                    held.set()
                    release.wait(SOON)
            except Exception as error:  # noqa: BLE001 - told to the test below
                failure.append(error)
            finally:
                held.set()

        thread = in_thread(run)
        try:
            assert held.wait(SOON), f"{what} {key} could not be locked"
            assert not failure, failure
            yield
        finally:
            release.set()
            thread.join(SOON)

    @contextmanager
    def locked(self, what: str, key: Any) -> Iterator[None]:
        """A transaction of the calling thread that holds one row."""
        from django.db import transaction

        with transaction.atomic(using=self.alias):
            model, column = HELD[what]
            rows = self.rows(model).filter(**{column: key})
            assert len(rows.select_for_update()) == 1, f"there is no {what} {key}"
            yield


def _history(row: Any) -> HistoryRow:
    fields = {name: getattr(row, name) for name in HistoryRow.__struct_fields__}
    for name in ("from_state", "to_state"):
        fields[name] = None if fields[name] is None else JobStates(fields[name])
    return HistoryRow(**fields)
