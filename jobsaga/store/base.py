"""The port between the engine and whatever keeps the rows.

A ``Store`` gives transactions; a ``Transaction`` locks rows and hands them out as records, and takes the
changed records back in one ``write``. Two implementations fill it, Django's ORM and plain memory, and one
contract suite proves both (``tests/store/contract.py``).

A locking read never waits for a lock that someone else's code may hold: what it could lock comes back as
records, what is there but locked by another comes back as ``busy``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from jobsaga.messages import Json, Message
from jobsaga.remote.events import Announcement
from jobsaga.sagas.records import Attempt, Checkpoint, Job, JobType, TypeInstance
from jobsaga.sagas.states import JobStates

K = TypeVar("K")
R = TypeVar("R")


class Locked(msgspec.Struct, Generic[K, R], frozen=True):
    """What a locking read gave: the rows in hand by key, and the keys whose rows another holds."""

    rows: dict[K, R]
    busy: frozenset[K]


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a job's history, as it is written."""

    job_id: UUID
    at: datetime
    kind: str
    attempt_id: UUID | None = None
    sequence: int | None = None
    job_version: int = 0
    run: int | None = None
    from_state: JobStates | None = None
    to_state: JobStates | None = None
    status: str = ""
    message: str = ""
    actor: str = ""
    data: Json | None = None


class TypeHistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what people asked of a job type or an instance."""

    at: datetime
    kind: str
    job_type: str = ""
    instance_id: UUID | None = None
    message: str = ""
    actor: str = ""


class Drained(msgspec.Struct, frozen=True):
    """Since when an instance is drained, by whom, and why."""

    at: datetime
    by: str = ""
    reason: str = ""


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be handled, and why."""

    at: datetime
    endpoint: str
    body: str
    reason: str
    traceback: str = ""
    job_id: UUID | None = None


Change = tuple[Any, Any]


@dataclass
class Changes:
    """What one transaction writes: (before, after) of each changed record, before is None for a new one."""

    jobs: list[tuple[Job | None, Job]] = field(default_factory=list)
    finalized: list[UUID] = field(default_factory=list)
    attempts: list[tuple[Attempt | None, Attempt]] = field(default_factory=list)
    checkpoints: list[tuple[Checkpoint | None, Checkpoint]] = field(default_factory=list)
    job_types: list[tuple[JobType | None, JobType]] = field(default_factory=list)
    type_instances: list[tuple[TypeInstance | None, TypeInstance]] = field(default_factory=list)
    removed_type_instances: list[TypeInstance] = field(default_factory=list)
    history: list[HistoryRow] = field(default_factory=list)
    type_history: list[TypeHistoryRow] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    #: What the world is to be told.
    events: list[Announcement] = field(default_factory=list)


class Transaction(Protocol):
    """One transaction: all of it or nothing."""

    def now(self) -> datetime:
        """The database's time (or the injected clock's)."""

    def savepoint(self) -> AbstractContextManager[None]:
        """What happens inside is undone when it raises; the transaction goes on."""

    def guarded(self) -> AbstractContextManager[None]:
        """For code of the site's own: what it breaks in the transaction is undone, with its own queries, and the
        transaction goes on. Raises if it cannot.
        """

    def jobs(self, ids: Collection[UUID], *, wait: bool = False) -> Locked[UUID, Job]:
        """Lock these jobs. With *wait*, for a client's single job: wait for its lock."""

    def attempts(self, ids: Collection[UUID]) -> Locked[UUID, Attempt]:
        """Lock these attempts."""

    def checkpoints(self, job_ids: Collection[UUID]) -> Locked[UUID, Checkpoint]:
        """Lock these jobs' checkpoints. A job that never had an attempt has none."""

    def job_types(self, names: Collection[str], now: datetime) -> Locked[str, JobType]:
        """Lock these types, then count: live instances with the slots they hold, slots held in all."""

    def create_job_types(self, names: Collection[str]) -> None:
        """Make the rows of types that have none yet."""

    def waiting_jobs(
        self, job_type: str, limit: int, skip: Collection[UUID] = (), beyond: Job | None = None
    ) -> list[Job]:
        """Lock the first waiting jobs of the type that hold no slot: by priority, then first come. Not those in
        *skip*, and only those that stand *beyond* this one.
        """

    def waiting_by_key(
        self, job_type: JobType, limit: int, skip: Collection[UUID] = (), after: str | None = None
    ) -> tuple[list[Job], str | None]:
        """The same, of those that can start together: no concurrency key beyond its room. With very many keys not
        all are looked at: also where it stopped, to go on *after* that key next time; None: there are no more.
        """

    def instances_types(self, instances: Collection[UUID]) -> dict[UUID, list[str]]:
        """The job types that these instances have announced."""

    def set_drained(self, instance_id: UUID, drained: Drained | None) -> bool | None:
        """Note that an instance is to get no more jobs, or that it may (None). False: it is as it was; None: its
        row is locked by another.
        """

    def write(self, changes: Changes) -> None:
        """Write everything, with as few statements as there are tables and kinds of change."""

    def due(self, now: datetime, limit: int) -> list[Message]:
        """What to tell the jobs and attempts whose deadline has passed, as messages."""

    def next_due(self, now: datetime) -> datetime | None:
        """The first deadline of a job that is still to come."""

    def silent(self, now: datetime, late_after: timedelta, lease: timedelta, limit: int) -> list[Message]:
        """What to tell the attempts whose instance is late, lost or back, as JobAttemptStatus."""

    def types_with_work(self, now: datetime) -> list[str]:
        """The types that have a waiting job, and a live instance with room for it."""

    def expire_instances(self, now: datetime) -> list[UUID]:
        """Mark the instances whose lease is over as stopped; gives their ids."""

    def prune(self, now: datetime, limit: int, retention: Retention) -> int:
        """Remove at most *limit* of each kind that is older than it must be kept; how many were removed."""


class Waiting(Protocol):
    """Events of the outbox, in hand."""

    @property
    def events(self) -> Mapping[int, Announcement]:
        """In the order in which they were written."""

    def remove(self, keys: Collection[int], dead: Sequence[Dead] = ()) -> None:
        """These need not be sent any more; and what is to be known of those that cannot be."""


@dataclass(frozen=True)
class Retention:
    """How long ended jobs, history and log lines are kept. None: for ever."""

    jobs: timedelta | None = None
    history: timedelta | None = None
    logs: timedelta | None = None


class Store(Protocol):
    """Where the sagas live."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin; commit at the end, roll back when it raises."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether the same work may succeed if it is done again: deadlock, lost connection, full disk."""

    def is_poison(self, error: BaseException) -> bool:
        """Whether the data itself cannot be stored, however often it is tried."""

    def outbox(self, limit: int) -> AbstractContextManager[Waiting]:
        """The first events that wait to be published, while nobody else has them in hand, as far as the database can
        keep others away. They stay, unless they are removed.
        """

    def end_sessions(self, attempts: Collection[UUID]) -> None:
        """End the database sessions in which these attempts hold their job's checkpoint."""

    def refresh(self) -> None:
        """Between two uses: drop a connection that is no longer good."""

    def close(self) -> None:
        """The calling thread needs it no longer: close its connection."""


def grouped(changes: Sequence[Change], fields: Sequence[str]) -> dict[tuple[str, ...], list[Any]]:
    """Changed records by which of *fields* changed: rows that moved alike are written by one statement."""
    groups: dict[tuple[str, ...], list[Any]] = {}
    for before, after in changes:
        was, now = before.__dict__, after.__dict__
        changed = tuple(name for name in fields if was[name] is not now[name] and was[name] != now[name])
        if changed:
            groups.setdefault(changed, []).append(after)
    return groups


def place_in_line(job: Job) -> tuple[Any, ...]:
    """Where a waiting job stands: by priority, then first come."""
    return (-job.priority, job.queued_at, job.id)
