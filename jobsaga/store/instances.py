"""What a worker instance says and asks of the rows directly: its registration, its lease, its attempts.

A heartbeat is one short transaction, whatever the number of jobs: it renews the lease and reads the attempts
that the database has for this instance. Leases are written and compared by the database's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import connections, transaction

from jobsaga.clock import injected_clock
from jobsaga.models import JobAttemptSaga, JobInstance, sql
from jobsaga.models.workers import InstanceState
from jobsaga.sagas.states import OPEN_ATTEMPT_STATES, AttemptStates, JobStates
from jobsaga.store.transactions import begin

_OPEN = {state.value for state in OPEN_ATTEMPT_STATES}


class OpenAttempt(msgspec.Struct, frozen=True):
    """An attempt that holds a slot of this instance, as the database has it."""

    attempt_id: UUID
    job_id: UUID
    #: Its worker has taken it: it must be running there, or have ended there.
    received: bool
    #: The job waits for it no longer: it must end.
    given_up: bool
    #: Why the job is to be canceled; None: it is not.
    cancel_reason: str | None


class Beat(msgspec.Struct, frozen=True):
    """What a heartbeat brought back."""

    now: datetime
    attempts: list[OpenAttempt]


class InstanceStore:
    """The rows of one instance, from one of its threads (each thread has a connection of its own)."""

    def __init__(self, alias: str, instance_id: UUID, lease: timedelta) -> None:
        self.alias, self.instance_id, self.lease = alias, instance_id, lease

    def now(self) -> datetime:
        """The database's time, or a test's."""
        clock = injected_clock()
        return clock.now() if clock else sql.now(connections[self.alias])

    def transaction(self) -> AbstractContextManager[object]:
        """What happens inside is committed together."""
        return begin(self.alias)

    def register(self, host: str, pid: int, version: str, properties: Mapping[str, Any]) -> datetime:
        """Make the instance's row; the database's time."""
        now = self.now()
        JobInstance.objects.using(self.alias).create(
            id=self.instance_id,
            host=host[:200],
            pid=pid,
            version=version,
            started_at=now,
            lease_expires_at=now + self.lease,
            properties=dict(properties),
        )
        return now

    def beat(self, job_types: Collection[str]) -> Beat | None:
        """Renew the lease; None if it was over, and the sagas have declared the instance stopped."""
        with transaction.atomic(using=self.alias):
            now = self.now()
            mine = JobInstance.objects.using(self.alias).filter(id=self.instance_id)
            renewed = mine.exclude(state=InstanceState.STOPPED).update(lease_expires_at=now + self.lease)
            return Beat(now, self._open_attempts(job_types)) if renewed else None

    def claim(self, attempts: Collection[UUID], now: datetime) -> set[UUID]:
        """Take these attempts: from here on they are not given to another without our word.

        Gives those that are still ours. An attempt that was given up before can never be claimed after.
        """
        starting = JobAttemptSaga.objects.using(self.alias).filter(
            id__in=attempts, instance_id=self.instance_id, state=AttemptStates.STARTING.value
        )
        if starting.update(received_at=now, due_at=None) == len(attempts):
            return set(attempts)
        return set(starting.values_list("id", flat=True))

    @property
    def has_one_writer(self) -> bool:
        """Whether a write may have to wait for all others: SQLite."""
        return connections[self.alias].vendor == "sqlite"

    def set_state(self, state: InstanceState) -> None:
        """Say that the instance is stopping, or has stopped: that is the last word, whatever is said after it."""
        mine = JobInstance.objects.using(self.alias).filter(id=self.instance_id)
        mine.exclude(state=InstanceState.STOPPED).update(state=state)

    def _open_attempts(self, job_types: Collection[str]) -> list[OpenAttempt]:
        held = JobAttemptSaga.objects.using(self.alias).filter(
            holds_slot=True, job_type__in=job_types, instance_id=self.instance_id
        )
        columns = ("id", "job_id", "state", "received_at", "given_up", "job__state", "job__attempt_id")
        return [
            OpenAttempt(
                attempt_id=attempt_id,
                job_id=job_id,
                received=received_at is not None or state != AttemptStates.STARTING.value,
                given_up=given_up or state not in _OPEN,
                cancel_reason=reason if _is_canceled(job_state) and current == attempt_id else None,
            )
            for attempt_id, job_id, state, received_at, given_up, job_state, current, reason in held.values_list(
                *columns, "job__cancel_reason"
            )
        ]


def _is_canceled(job_state: int | None) -> bool:
    return job_state == JobStates.CANCELLATION_PENDING.value
