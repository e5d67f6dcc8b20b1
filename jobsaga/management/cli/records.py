"""What the verbs say of jobs and workers. Each field is a key of ``--json``; the names stay as they are.

A job is said by ``JobState``, as the client gives it. These are the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jobsaga.client.state import JobState


@dataclass(frozen=True, kw_only=True)
class JobLine:
    """A job in a list: what is small."""

    job_id: UUID
    job_type: str
    #: What its consumer calls it; empty: nothing.
    title: str
    current_state: str
    priority: int
    submitted: datetime
    submitted_by: str
    started: datetime | None
    finished: datetime | None
    duration: timedelta | None
    run: int
    last_retry_attempt: int
    progress_value: float | None
    progress_limit: float | None
    progress_message: str
    #: Why it faulted or was canceled.
    reason: str
    #: When a job that waits for its time, or for a retry, goes on.
    next_start_date: datetime | None


@dataclass(frozen=True, kw_only=True)
class AttemptLine:
    """One try of a job."""

    attempt_id: UUID
    current_state: str
    run: int
    retry_attempt: int
    #: The worker, as host:pid; empty if its row is gone.
    worker: str
    instance_id: UUID | None
    holds_slot: bool
    created: datetime
    started: datetime | None
    ended: datetime | None
    duration: timedelta | None
    outcome: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class HistoryLine:
    """One thing that happened to a job: a change of state, a note, or a line of its own log (``is_log``)."""

    at: datetime
    kind: str
    is_log: bool
    attempt_id: UUID | None
    from_state: str
    to_state: str
    status: str
    message: str
    actor: str
    data: Any


@dataclass(frozen=True, kw_only=True)
class JobDetails(JobState):
    """All there is about a job."""

    message: Any = None
    priority: int = 0
    submitted_by: str = ""
    cancel_requested_by: str = ""
    #: What it has left: where each is, by name.
    artifacts: dict[str, str] = field(default_factory=dict)
    attempts: list[AttemptLine] = field(default_factory=list)
    #: The newest lines, the oldest of them first; how many is for ``--history`` to say.
    history: list[HistoryLine] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class JobTypeLine:
    """A job type: its limits, who works on it and who waits."""

    job_type: str
    #: Whether a consumer of this name is registered where the command runs.
    registered: bool
    #: For one worker; None while no worker has announced the type.
    concurrent_job_limit: int | None
    global_concurrent_job_limit: int | None
    slots_held: int
    waiting: int
    live_instances: int
    #: What the live workers can run at once, all together, by the limits that hold now.
    capacity: int
    #: How many jobs of one concurrency key run at once; None: keys mean nothing.
    concurrency_per_key: int | None
    #: What holds in place of the two limits, until when, by whom and why; None and empty: nothing.
    override_job_limit: int | None
    override_global_limit: int | None
    override_until: datetime | None
    override_by: str
    override_reason: str
    #: Since when no job is started; None: it is not paused.
    paused: datetime | None
    paused_by: str
    pause_reason: str


@dataclass(frozen=True, kw_only=True)
class TypeHistoryLine:
    """What someone asked of a job type or a worker."""

    at: datetime
    kind: str
    job_type: str
    instance_id: UUID | None
    message: str
    actor: str


@dataclass(frozen=True, kw_only=True)
class RunningJob:
    """A job that holds a slot on an instance."""

    job_id: UUID
    job_type: str


@dataclass(frozen=True, kw_only=True)
class InstanceLine:
    """One worker process."""

    instance_id: UUID
    host: str
    pid: int
    #: Running, Draining, Drained, Stopping, Stopped; Lost if its lease is over and it did not say that it stops.
    state: str
    version: str
    started: datetime
    lease_expires: datetime
    #: Seconds until the lease is over; negative since it is.
    lease_left: float
    job_types: list[str]
    running: list[RunningJob]
    properties: dict[str, Any]
    #: Since when it is given no more jobs; None: it is.
    drained: datetime | None
    drained_by: str
    drain_reason: str


@dataclass(frozen=True, kw_only=True)
class RecurringLine:
    """A recurring job: when it runs, and how its last run went."""

    job_id: UUID
    job_type: str
    name: str
    #: Whether more runs may follow: nobody has canceled it, and its schedule has not ended.
    alive: bool
    current_state: str
    cron: str
    #: The schedule in plain words.
    schedule: str
    time_zone: str
    start: datetime | None
    end: datetime | None
    misfire: str
    #: Whether it stands in the code, as @recurring.
    declared: bool
    #: How many runs there were.
    runs: int
    last_scheduled_for: datetime | None
    last_started: datetime | None
    last_outcome: str
    next_runs: list[datetime]
