"""What the API answers. Names are camel case in JSON; times are UTC in ISO 8601, durations seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from jobsaga.live.explain import Reason
from jobsaga.live.queries.types import TypeLine
from jobsaga.live.queries.workers import WorkerLine
from jobsaga.messages import LONGEST_OVERRIDE
from jobsaga.models import JobAttemptSaga, JobHistory, JobSaga
from jobsaga.sagas.states import AttemptStates, JobStates

Limit = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of all answers."""


class Event(Record, frozen=True, kw_only=True):
    """One thing that happened to a job."""

    job_id: str
    #: Unique among all events, and in their order.
    id: str
    status: str
    message: str
    timestamp_utc: str
    kind: str
    attempt_id: str | None = None
    actor: str = ""


class ReasonRecord(Record, frozen=True, kw_only=True):
    """One rule that holds for a job."""

    code: str
    severity: str
    title: str
    detail: str = ""
    since: str | None = None
    fix: str = ""


class Job(Record, frozen=True, kw_only=True):
    """A job in a list."""

    job_id: str
    job_type: str
    #: What its consumer calls it; empty: nothing.
    title: str
    state: str
    version: int
    priority: int
    run: int
    retry_attempt: int
    submitted: str
    submitted_by: str
    started: str | None = None
    finished: str | None = None
    duration: float | None = None
    progress_value: float | None = None
    progress_limit: float | None = None
    progress_message: str = ""
    worker: str = ""
    reason: str = ""
    next_start: str | None = None


class Attempt(Record, frozen=True, kw_only=True):
    """One try of a job."""

    attempt_id: str
    state: str
    outcome: str
    retry_attempt: int
    worker: str
    created: str
    started: str | None = None
    ended: str | None = None
    duration: float | None = None
    reason: str = ""


class JobDetail(Job, frozen=True, kw_only=True):
    """A job, its attempts, and why it waits. ``input``, ``result``, ``saved_state`` and ``properties`` are null for
    those who may not see them.
    """

    reasons: list[ReasonRecord] = []
    attempts: list[Attempt] = []
    fault: dict[str, Any] | None = None
    input: Any = None
    properties: Any = None
    result: Any = None
    saved_state: Any = None


class JobsPage(Record, frozen=True, kw_only=True):
    """Some jobs, and the cursors of the pages beside them."""

    jobs: list[Job]
    before: str | None = None
    after: str | None = None


class JobType(Record, frozen=True, kw_only=True):
    """A job type as it is now."""

    name: str
    registered: bool
    concurrent_job_limit: int | None
    global_concurrent_job_limit: int | None
    slots_held: int
    capacity: int
    workers: int
    waiting: int
    oldest: str | None = None
    paused: str | None = None
    override_until: str | None = None


class Worker(Record, frozen=True, kw_only=True):
    """A worker process; ``state`` is running, silent, lost, stopping or stopped."""

    instance_id: str
    host: str
    pid: int
    state: str
    version: str
    started: str
    heard: str
    job_types: list[str]
    running: list[str]


class Stats(Record, frozen=True, kw_only=True):
    """Jobs by state, each counted up to ``counted``; the last three of the last 24 hours."""

    running: int
    waiting: int
    scheduled: int
    retrying: int
    faulted: int
    completed: int
    canceled: int
    counted: int


class Check(Record, frozen=True, kw_only=True):
    """Something that was looked at: good, warn or bad."""

    name: str
    state: str
    said: str
    fix: str = ""


class Submission(Record, frozen=True, kw_only=True):
    """A job to submit: the name of its type, and the fields of its message."""

    job_type: str
    message: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    priority: int = 0


class Command(Record, frozen=True, kw_only=True):
    """With a version: only if the job has not changed since."""

    expected_version: int | None = None
    reason: str = ""


class Why(Record, frozen=True, kw_only=True):
    """Why it is asked, for the history."""

    reason: str = ""


class Limits(Why, frozen=True, kw_only=True):
    """Other limits for a job type, one of them or both, for so many seconds."""

    concurrent_job_limit: Limit | None = None
    global_concurrent_job_limit: Limit | None = None
    seconds: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_OVERRIDE)] = 1800


class Asked(Record, frozen=True, kw_only=True):
    """What was asked of a job type or a worker: a saga host does it as soon as it has heard of it."""

    asked: str
    of: str


class Accepted(Record, frozen=True, kw_only=True):
    """What came of a command: the job's state after it. ``refused`` says why nothing was done, ``remark`` that it
    will be, and when.
    """

    job_id: str
    state: str
    refused: str = ""
    remark: str = ""


class Problem(Record, frozen=True, kw_only=True):
    """What is wrong with a request."""

    error: str
    detail: str


def utc(at: datetime | None) -> str | None:
    """A time as text."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def seconds(duration: timedelta | None) -> float | None:
    """A duration as a number."""
    return duration.total_seconds() if duration is not None else None


def event(row: JobHistory) -> Event:
    """An event of the history."""
    state = JobStates(row.to_state).label if row.to_state is not None else ""
    return Event(
        job_id=str(row.job_id),
        id=str(row.pk),
        status=row.status or state or row.kind,
        message=row.message,
        timestamp_utc=utc(row.at) or "",
        kind=row.kind,
        attempt_id=str(row.attempt_id) if row.attempt_id else None,
        actor=row.actor,
    )


def job_fields(job: JobSaga) -> dict[str, Any]:
    """What a job is in a list and in full."""
    waits = job.state in (JobStates.WAITING_TO_START.value, JobStates.WAITING_TO_RETRY.value)
    return {
        "job_id": str(job.pk), "job_type": job.job_type, "title": job.title, "state": JobStates(job.state).label,
        "version": job.version, "priority": job.priority, "run": job.run, "retry_attempt": job.retry_attempt,
        "submitted": utc(job.submitted_at), "submitted_by": job.submitted_by, "started": utc(job.started_at),
        "finished": utc(job.finished_at), "duration": seconds(job.duration),
        "progress_value": job.progress_value, "progress_limit": job.progress_limit,
        "progress_message": job.progress_message, "worker": getattr(job, "worker", ""), "reason": job.reason,
        "next_start": utc(job.due_at) if waits else None,
    }  # fmt: skip


def reason(each: Reason) -> ReasonRecord:
    """One rule."""
    said = {"code": each.code, "severity": each.severity, "title": each.title, "detail": each.detail}
    return ReasonRecord(**said, since=utc(each.since), fix=each.fix)


def attempt(each: JobAttemptSaga) -> Attempt:
    """One try."""
    return Attempt(
        attempt_id=str(each.pk), state=AttemptStates(each.state).label, outcome=each.outcome,
        retry_attempt=each.retry_attempt, worker=str(each.instance) if each.instance else "",
        created=utc(each.created_at) or "", started=utc(each.started_at), ended=utc(each.ended_at),
        duration=seconds(each.duration), reason=each.reason,
    )  # fmt: skip


def job_type(line: TypeLine) -> JobType:
    """A type."""
    return JobType(
        name=line.name, registered=line.registered,
        concurrent_job_limit=line.per_worker,
        global_concurrent_job_limit=line.saga.global_limit,
        slots_held=line.held, capacity=line.capacity, workers=line.workers, waiting=line.waiting,
        oldest=utc(line.oldest), paused=utc(line.saga.paused_at), override_until=utc(line.saga.due_at),
    )  # fmt: skip


def worker(line: WorkerLine) -> Worker:
    """A worker."""
    row = line.instance
    return Worker(
        instance_id=str(row.pk), host=row.host, pid=row.pid, state=line.condition, version=row.version,
        started=utc(row.started_at) or "", heard=utc(line.heard) or "",
        job_types=[each.job_type for each in line.types], running=[str(job.pk) for job in line.running],
    )  # fmt: skip
