"""The tables in plain memory, with transactions. The memory store keeps its rows here, and the memory transport
its queue, so that both take part in one transaction.

A transaction holds the one lock and remembers all tables as they were; when it raises they are put back.
Records never change, so a shallow copy is a whole one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Any
from uuid import UUID

import msgspec

from jobsaga.remote.events import Announcement
from jobsaga.sagas.machine import Record
from jobsaga.sagas.records import Attempt, Checkpoint, Job, JobType, TypeInstance


class Queued(msgspec.Struct, frozen=True):
    """A message on its way."""

    endpoint: str
    body: str
    visible_at: datetime | None = None
    tries: int = 0


@dataclass(frozen=True, kw_only=True)
class Instance(Record):
    """A worker instance as the store sees it."""

    id: UUID
    lease_expires_at: datetime
    running: bool = True
    drained: bool = False


@dataclass
class Memory:
    """All tables, and the lock that makes a transaction."""

    jobs: dict[UUID, Job] = field(default_factory=dict)
    attempts: dict[UUID, Attempt] = field(default_factory=dict)
    checkpoints: dict[UUID, Checkpoint] = field(default_factory=dict)
    job_types: dict[str, JobType] = field(default_factory=dict)
    type_instances: dict[tuple[str, UUID], TypeInstance] = field(default_factory=dict)
    instances: dict[UUID, Instance] = field(default_factory=dict)
    history: list[Any] = field(default_factory=list)
    type_history: list[Any] = field(default_factory=list)
    dead: list[Any] = field(default_factory=list)
    events: dict[int, Announcement] = field(default_factory=dict)
    #: The number of the event that was written last: none is given twice.
    last_event: int = 0
    queue: dict[int, Queued] = field(default_factory=dict)
    #: Rows that someone else's transaction holds, in a test: jobs, checkpoints by job, job types by name.
    held_jobs: set[UUID] = field(default_factory=set)
    held_checkpoints: set[UUID] = field(default_factory=set)
    held_job_types: set[str] = field(default_factory=set)
    lock: Any = field(default_factory=RLock, repr=False)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; may be nested, as a savepoint."""
        with self.lock:
            before = {name: copy(table) for name, table in vars(self).items() if name != "lock"}
            try:
                yield
            except BaseException:
                vars(self).update(before)
                raise

    def add_events(self, events: Iterable[Announcement]) -> None:
        """Keep them until they are published."""
        for each in events:
            self.last_event += 1
            self.events[self.last_event] = each

    def defer(self, key: int, now: datetime, seconds: float) -> None:
        """Let a message come again later."""
        if key in self.queue:
            was = self.queue[key]
            self.queue[key] = msgspec.structs.replace(
                was, visible_at=now + timedelta(seconds=seconds), tries=was.tries + 1
            )
