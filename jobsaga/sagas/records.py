"""What the sagas know: one frozen record per row.

The stores turn rows into these and back; the fields have the names of the model's columns, and a
test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jobsaga.messages import Json, Misfire
from jobsaga.sagas.machine import Record
from jobsaga.sagas.states import AttemptStates, JobStates, JobTypeStates


@dataclass(frozen=True, kw_only=True)
class Job(Record):
    """One job. Times are aware datetimes of the database's clock."""

    id: UUID
    job_type: str = ""
    state: JobStates = JobStates.INITIAL
    #: Goes up by one with each change of state; the history rows carry it.
    version: int = 0
    message: Json | None = None
    message_version: int = 1
    properties: Json = field(default_factory=dict)
    headers: Json = field(default_factory=dict)
    submitted_at: datetime | None = None
    submitted_by: str = ""
    priority: int = 0
    queued_at: datetime | None = None
    #: The current attempt: the only one whose reports count. None: there is none.
    attempt_id: UUID | None = None
    #: The attempt that holds the job's slot; it may be one that was given up.
    slot: UUID | None = None
    #: Counts the runs of a recurring job, from 1; 0 before the first. Any other job has one.
    run: int = 1
    #: The time for which this run was planned. None: it was not.
    scheduled_for: datetime | None = None
    #: At most so many of one key run at a time; "": no key.
    concurrency_key: str = ""
    #: What its consumer calls it, for people; "": nothing.
    title: str = ""
    #: Whether it has a recurrence that nobody has ended.
    recurring: bool = False
    recurring_name: str = ""
    cron: str = ""
    time_zone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None
    misfire: Misfire = "run_once"
    declared: bool = False
    #: The next occurrence that no run was made for yet. None: there is none left.
    next_start_at: datetime | None = None
    retry_attempt: int = 0
    policy_retries: int = 0
    suspect_retries: int = 0
    started_at: datetime | None = None
    completed_at: datetime | None = None
    faulted_at: datetime | None = None
    finished_at: datetime | None = None
    duration: timedelta | None = None
    reason: str = ""
    fault: Json | None = None
    result: Any = None
    progress_value: float | None = None
    progress_limit: float | None = None
    progress_message: str = ""
    progress_sequence: int = 0
    progress_at: datetime | None = None
    #: See ``sagas.samples``.
    progress_samples: list[list[float]] = field(default_factory=list)
    cancel_requested_at: datetime | None = None
    cancel_requested_by: str = ""
    cancel_reason: str = ""
    #: Seconds the job's worker gives a canceled attempt; None: the setting's.
    cancellation_timeout: float | None = None
    #: When a row that waits must be looked at again. None while it is runnable, or its attempt's lease rules.
    due_at: datetime | None = None

    @property
    def samples(self) -> list[list[float]]:
        """The samples of the current attempt: until it says something there are none."""
        return self.progress_samples if self.progress_sequence else []

    @property
    def was_tried(self) -> bool:
        """Whether it may have had an attempt, and so a checkpoint: in its first state it had none."""
        return self.version > 1


@dataclass(frozen=True, kw_only=True)
class Attempt(Record):
    """One try to run a job on one instance."""

    id: UUID
    job_id: UUID
    job_type: str = ""
    state: AttemptStates = AttemptStates.INITIAL
    instance_id: UUID | None = None
    run: int = 1
    retry_attempt: int = 0
    scheduled_for: datetime | None = None
    holds_slot: bool = False
    concurrency_key: str = ""
    #: The job no longer waits for this attempt, but its worker has not said that it has ended.
    given_up: bool = False
    created_at: datetime | None = None
    #: Set by the worker when it takes the start message, before user code runs.
    received_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration: timedelta | None = None
    outcome: str = ""
    reason: str = ""
    fault: Json | None = None
    result: Any = None
    due_at: datetime | None = None
    #: Since when it should be given up, while someone's transaction holds its fence.
    suspect_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Record):
    """A job's saved state and its fence: only *attempt_id* may save. The state is this *run*'s."""

    job_id: UUID
    attempt_id: UUID | None = None
    run: int = 1
    state: Any = None
    #: The last attempt that saved something else than it was given: it got on with the work.
    advanced_by: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class TypeInstance(Record):
    """What a job type knows of one instance: its own limit, what it runs, when it was last chosen."""

    job_type: str
    instance_id: UUID
    concurrent_job_limit: int = 1
    #: What its worker was started with: no override goes beyond it.
    concurrency_cap: int | None = None
    used_at: datetime | None = None
    properties: Json = field(default_factory=dict)
    #: Messages of a newer version than this it cannot read.
    message_version: int = 1
    #: Slots it holds, the machine it runs on, and whether it is to get no more (or cannot be told to start any): known
    #: when it is asked for.
    active: int = 0
    host: str = ""
    drained: bool = False


@dataclass(frozen=True, kw_only=True)
class JobType(Record):
    """A job type: its limits, and the live instances that can run it (counted, not stored)."""

    id: UUID
    name: str
    state: JobTypeStates = JobTypeStates.INITIAL
    concurrent_job_limit: int = 1
    global_concurrent_job_limit: int | None = None
    #: How many slots the jobs of one concurrency key hold at a time; None: keys mean nothing.
    concurrency_per_key: int | None = None
    properties: Json = field(default_factory=dict)
    #: What holds in place of the limits until ``due_at``; None: that one is as it was announced.
    override_job_limit: int | None = None
    override_global_limit: int | None = None
    override_at: datetime | None = None
    override_by: str = ""
    override_reason: str = ""
    due_at: datetime | None = None
    paused_at: datetime | None = None
    paused_by: str = ""
    pause_reason: str = ""
    #: Live instances by id.
    instances: Mapping[UUID, TypeInstance] = field(default_factory=dict)
    #: Slots held by any instance, live or not.
    active: int = 0
    #: The same by concurrency key.
    keys: Mapping[str, int] = field(default_factory=dict)

    def limit_of(self, instance: TypeInstance) -> int:
        """How many slots this instance may hold now."""
        if instance.drained:
            return 0
        if self.override_job_limit is None:
            return instance.concurrent_job_limit
        if instance.concurrency_cap is None:
            return self.override_job_limit
        return min(self.override_job_limit, instance.concurrency_cap)

    @property
    def global_limit(self) -> int | None:
        """How many slots all instances together may hold now; None: as many as each for itself."""
        if self.override_global_limit is None:
            return self.global_concurrent_job_limit
        return self.override_global_limit

    @property
    def room(self) -> int:
        """How many more slots can be given now, to whatever key."""
        if self.paused_at is not None:
            return 0
        local = sum(max(0, self.limit_of(each) - each.active) for each in self.instances.values())
        return local if self.global_limit is None else max(0, min(local, self.global_limit - self.active))

    def room_of(self, key: str) -> int | None:
        """How many more slots the jobs of this key may hold; None: as many as there are."""
        if self.concurrency_per_key is None or not key:
            return None
        return max(0, self.concurrency_per_key - self.keys.get(key, 0))
