"""Everything the three sagas, the clients and the workers can say to each other.

Terminology
  job       what was asked for: one row, one JobSaga
  attempt   one try to run it, on one instance: one JobAttemptSaga
  job type  all jobs of one message type, and the instances that can run them: one JobTypeSaga
  instance  one worker process, which holds a lease and runs attempts in its children
  slot      the right to run one attempt on one instance; held by an attempt
  fence     the attempt whose checkpoint writes and reports count; moved when an attempt is given up

Each message is frozen and knows which sagas hear it (``TO``). Commands are imperatives, events past
tense; the names are MassTransit's. What is sent to a worker has the one address ``"instance"``.
Messages between the sagas never leave the engine; the others travel as JSON with their type's name.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, get_args
from uuid import UUID

import msgspec

Address = Literal["job", "attempt", "job_type", "history", "instance"]
Json = dict[str, Any]
#: What a person says, and how much room there is for it; a limit that a database can store.
Actor = Annotated[str, msgspec.Meta(max_length=200)]
TypeName = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
LONGEST_OVERRIDE = 366 * 24 * 3600
Limit = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
#: What becomes of an occurrence that nobody could start in time: it runs late, once; or it is left out.
Misfire = Literal["run_once", "skip"]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="type", omit_defaults=True):
    """What every message has: an address, and one line for the history."""

    TO: ClassVar[tuple[Address, ...]] = ("job",)
    #: Heard by a job only while its ``attempt_id`` is the job's current one.
    FENCED: ClassVar[bool] = False

    @property
    def summary(self) -> str:
        """What a person wants to read of this message in the job's history."""
        return ""


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An exception as it is stored: its class, its text, its traceback."""

    type: str
    message: str = ""
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far an attempt is. Its highest sequence number wins."""

    sequence: int
    value: float
    limit: float | None = None
    message: str = ""


class CancelKind(StrEnum):
    """Why an attempt was asked to stop, or stopped by itself. The causes are never mixed up."""

    USER = "user"  # cancel_job: ends in Canceled
    CONSUMER = "consumer"  # the job itself raised JobCancellation: ends in Canceled
    SHUTDOWN = "shutdown"  # its worker stops: the job goes on elsewhere, no retry is spent
    NOT_STARTED = "not_started"  # no user code ran: the job goes on elsewhere, no retry is spent
    TIMEOUT = "timeout"  # asked of the job; reported as a fault, under the retry policy
    STALLED = "stalled"  # the same, for a job that did not get on
    MEMORY = "memory"  # the same, for a job that used too much


class AttemptStatus(StrEnum):
    """What the sweep knows of an attempt, by its instance's lease; what a worker says of it."""

    RUNNING = "Running"
    LATE = "Late"  # heartbeats are missing
    LOST = "Lost"  # the lease is over, or its worker does not know the attempt
    UNKNOWN = "Unknown"  # its worker lives and says that it does not run it


class LimitKind(StrEnum):
    """What a SetConcurrentJobLimit is about."""

    CONFIGURED = "Configured"
    STOPPED = "Stopped"


# Commands to a job


class SubmitJob(Message, frozen=True, kw_only=True):
    """Make this job. Said again with the same id it changes nothing."""

    job_id: UUID
    job_type: str
    message: Json | None = None
    message_version: int = 1
    properties: Json = {}
    headers: Json = {}
    priority: int = 0
    #: At most so many of one key run at a time; "": no key.
    concurrency_key: str = ""
    #: What people are shown of it in lists.
    title: str = ""
    #: Not before this time. Said again with another time, while the job waits for it: then.
    start_at: datetime | None = None
    actor: str = ""


class AddOrUpdateRecurringJob(Message, frozen=True, kw_only=True):
    """Run this job whenever its schedule says so. Said again it changes what is different, from now on."""

    job_id: UUID
    job_type: str
    name: str
    message: Json | None = None
    message_version: int = 1
    properties: Json = {}
    headers: Json = {}
    priority: int = 0
    concurrency_key: str = ""
    title: str = ""
    #: The schedule as ``jobsaga.schedule.as_cron`` gives it.
    cron: str
    time_zone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None
    misfire: Misfire = "run_once"
    #: Whether it stands in the code, as ``@recurring``, and not in a call.
    declared: bool = False
    actor: str = ""


class CancelRecurringJob(Message, frozen=True, kw_only=True):
    """End the recurrence, and the run that is under way. The same name can be added again."""

    job_id: UUID
    reason: str = ""
    actor: str = ""

    @property
    def summary(self) -> str:
        return self.reason or "Cancellation Requested"


class CancelJob(Message, frozen=True, kw_only=True):
    """End the job as Canceled, unless it has completed. Of a recurring job it ends one run: this one, if a
    *run* is given; else the one that is under way, or the next.
    """

    job_id: UUID
    reason: str = ""
    run: int | None = None
    actor: str = ""

    @property
    def summary(self) -> str:
        return self.reason or "Cancellation Requested"


class RetryJob(Message, frozen=True, kw_only=True):
    """Run a faulted or canceled job again, or one that waits to be retried at once."""

    job_id: UUID
    reason: str = ""
    actor: str = ""

    @property
    def summary(self) -> str:
        return self.reason


class RunJob(Message, frozen=True, kw_only=True):
    """Do not wait for the job's time: run it now. For a recurring job that is a run more, and only this
    *run*, if it is given: said late or twice it makes no other.
    """

    job_id: UUID
    run: int | None = None
    reason: str = ""
    actor: str = ""

    @property
    def summary(self) -> str:
        return self.reason


class FinalizeJob(Message, frozen=True, kw_only=True):
    """Remove an ended job and its attempts."""

    job_id: UUID
    reason: str = ""
    actor: str = ""

    @property
    def summary(self) -> str:
        return self.reason


# What a job says of itself, and its deadlines


class JobSubmitted(Message, frozen=True, kw_only=True):
    """The job exists. Its title is in the history, which outlives the job."""

    job_id: UUID
    title: str = ""
    actor: str = ""

    @property
    def summary(self) -> str:
        return self.title


class JobSlotWaitElapsed(Message, frozen=True, kw_only=True):
    """The job's time has come; or, while it waits for a slot: there may be one."""

    job_id: UUID


class JobRetryDelayElapsed(Message, frozen=True, kw_only=True):
    """The delay before a retry is over."""

    job_id: UUID


class JobCancellationTimeoutElapsed(Message, frozen=True, kw_only=True):
    """The worker has not said in time that a canceled attempt has ended."""

    job_id: UUID


# Slots: between job and job type


class AllocateJobSlot(Message, frozen=True, kw_only=True):
    """Give this job a slot on some instance."""

    TO: ClassVar[tuple[Address, ...]] = ("job_type",)
    job_id: UUID
    job_type: str
    attempt_id: UUID
    properties: Json = {}
    concurrency_key: str = ""
    priority: int = 0
    run: int = 1
    retry_attempt: int = 0


class JobSlotAllocated(Message, frozen=True, kw_only=True):
    """The job has a slot on this instance; the attempt that takes it has this id."""

    job_id: UUID
    attempt_id: UUID
    instance_id: UUID


class JobSlotUnavailable(Message, frozen=True, kw_only=True):
    """No slot for this job now."""

    job_id: UUID


class JobSlotReleased(Message, frozen=True, kw_only=True):
    """The attempt no longer holds its slot."""

    TO: ClassVar[tuple[Address, ...]] = ("job", "job_type")
    job_id: UUID
    job_type: str
    attempt_id: UUID
    instance_id: UUID | None = None
    concurrency_key: str = ""


# Attempts: between job, attempt and worker


class StartJobAttempt(Message, frozen=True, kw_only=True):
    """Make an attempt and tell its worker to start it."""

    TO: ClassVar[tuple[Address, ...]] = ("attempt",)
    job_id: UUID
    attempt_id: UUID
    job_type: str
    instance_id: UUID
    run: int = 1
    retry_attempt: int = 0
    policy_retries: int = 0
    message: Json | None = None
    message_version: int = 1
    properties: Json = {}
    concurrency_key: str = ""
    headers: Json = {}
    progress_value: float | None = None
    progress_limit: float | None = None
    job_state: Any = None
    scheduled_for: datetime | None = None
    #: It is not the first attempt of its run.
    follows_another: bool = False


class StartJob(StartJobAttempt, frozen=True, kw_only=True):
    """To the worker: run this attempt."""

    TO: ClassVar[tuple[Address, ...]] = ("instance",)
    #: How many lines it may write into the log, as its worker has counted; None: JOB_LOG_LINES.
    log_lines: int | None = None


class CancelJobAttempt(Message, frozen=True, kw_only=True):
    """Ask a running attempt to stop. To the attempt, which hands it on to its worker."""

    TO: ClassVar[tuple[Address, ...]] = ("attempt",)
    job_id: UUID
    attempt_id: UUID
    instance_id: UUID | None = None
    reason: str = ""


class FinalizeJobAttempt(Message, frozen=True, kw_only=True):
    """The job no longer waits for this attempt; its slot is free when its worker says it has ended."""

    TO: ClassVar[tuple[Address, ...]] = ("attempt",)
    job_id: UUID
    attempt_id: UUID
    reason: str = ""


class JobStatusCheckRequested(Message, frozen=True, kw_only=True):
    """An attempt's deadline has passed."""

    TO: ClassVar[tuple[Address, ...]] = ("attempt",)
    job_id: UUID
    attempt_id: UUID


class JobAttemptStatus(Message, frozen=True, kw_only=True):
    """What is known of an attempt: by its instance's lease, or said by its worker."""

    TO: ClassVar[tuple[Address, ...]] = ("attempt",)
    job_id: UUID
    attempt_id: UUID
    status: AttemptStatus
    reason: str = ""


class Report(Message, frozen=True, kw_only=True):
    """A worker's word on an attempt: only the current attempt's changes the job."""

    TO: ClassVar[tuple[Address, ...]] = ("attempt", "job")
    FENCED: ClassVar[bool] = True
    job_id: UUID
    attempt_id: UUID
    timestamp: datetime


class JobAttemptStarted(Report, frozen=True, kw_only=True):
    """User code is about to run. The type's timeouts come along, in seconds, as its worker knows them."""

    job_timeout: float | None = None
    job_cancellation_timeout: float | None = None


class Ended(Report, frozen=True, kw_only=True):
    """The last word on an attempt; the last progress comes with it, so that neither can overtake the
    other.
    """

    progress: Progress | None = None


class JobAttemptCompleted(Ended, frozen=True, kw_only=True):
    """``run`` returned."""

    duration: timedelta = timedelta(0)
    result: Any = None


class JobAttemptFaulted(Ended, frozen=True, kw_only=True):
    """The attempt failed. ``retry_delay`` is the retry policy's word; None: no retry by policy."""

    duration: timedelta = timedelta(0)
    fault: Fault
    retry_delay: timedelta | None = None
    #: The worker was lost or its process was killed: not the job's own fault, another budget.
    suspect: bool = False

    @property
    def summary(self) -> str:
        return str(self.fault)


class JobAttemptCanceled(Ended, frozen=True, kw_only=True):
    """The attempt stopped because it was asked to, or because the job itself said so."""

    duration: timedelta = timedelta(0)
    reason: str = ""
    kind: CancelKind = CancelKind.USER

    @property
    def summary(self) -> str:
        return self.reason


class SetJobProgress(Report, frozen=True, kw_only=True):
    """How far the job is."""

    TO: ClassVar[tuple[Address, ...]] = ("job",)
    progress: Progress


class WriteJobLog(Message, frozen=True, kw_only=True):
    """A line of the job's own log; written to the history as it is, once per sequence number.

    Or what it left (``JobArtifact``): that has no number, and is kept as long as the history.
    """

    TO: ClassVar[tuple[Address, ...]] = ("history",)
    job_id: UUID
    attempt_id: UUID
    timestamp: datetime
    sequence: int | None
    message: str
    kind: Literal["JobLog", "JobArtifact"] = "JobLog"
    status: str = ""
    data: Json | None = None


# Job types


class SetConcurrentJobLimit(Message, frozen=True, kw_only=True):
    """An instance announces a job type that it can run, or that it stops."""

    TO: ClassVar[tuple[Address, ...]] = ("job_type",)
    job_type: str
    kind: LimitKind
    instance_id: UUID
    concurrent_job_limit: int = 1
    #: More than this the worker was told not to run of any type, whatever an override says. None: it was not.
    concurrency_cap: int | None = None
    global_concurrent_job_limit: int | None = None
    concurrency_per_key: int | None = None
    job_type_properties: Json = {}
    instance_properties: Json = {}
    message_version: int = 1


class Steering(Message, frozen=True, kw_only=True):
    """What a person asks of a job type or an instance: who and why is kept, in a history of their own."""

    TO: ClassVar[tuple[Address, ...]] = ("job_type",)
    reason: str = ""
    actor: Actor = ""

    @property
    def summary(self) -> str:
        return self.reason


class OverrideJobLimit(Steering, frozen=True, kw_only=True):
    """For *duration* seconds other limits than those that were announced; None: that one stays. Zero: no new job
    starts. Another override takes the place of this one.
    """

    job_type: TypeName
    concurrent_job_limit: Limit | None = None
    global_concurrent_job_limit: Limit | None = None
    duration: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_OVERRIDE)] = 1800.0


class RevertJobLimit(Steering, frozen=True, kw_only=True):
    """End the override now."""

    job_type: TypeName


class PauseJobType(Steering, frozen=True, kw_only=True):
    """Start no more jobs of this type. Those that run go on."""

    job_type: TypeName


class ResumeJobType(Steering, frozen=True, kw_only=True):
    """Go on where it was paused."""

    job_type: TypeName


class DrainInstance(Steering, frozen=True, kw_only=True):
    """Give this instance no more jobs. Those that it runs go on."""

    instance_id: UUID


class UndrainInstance(Steering, frozen=True, kw_only=True):
    """Give it jobs again."""

    instance_id: UUID


#: All that people ask of job types and instances.
JobTypeCommand = (
    OverrideJobLimit | RevertJobLimit | PauseJobType | ResumeJobType | DrainInstance | UndrainInstance
)


class JobLimitOverrideElapsed(Message, frozen=True, kw_only=True):
    """The time of an override is over."""

    TO: ClassVar[tuple[Address, ...]] = ("job_type",)
    job_type: str


# Events for the site's own code: django signals, and later the broker


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a job: ``name`` is JobSubmitted, JobStarted, JobCompleted, JobFaulted or
    JobCanceled.
    """

    name: str
    job_id: UUID
    job_type: str
    timestamp: datetime
    message: Json | None = None
    properties: Json = {}
    attempt_id: UUID | None = None
    run: int = 1
    retry_attempt: int = 0
    instance_id: UUID | None = None
    duration: timedelta | None = None
    reason: str = ""
    fault: Fault | None = None
    result: Any = None


#: What may arrive at the saga endpoint from outside.
ToSagas = (
    CancelJob | RetryJob | RunJob | FinalizeJob | AddOrUpdateRecurringJob | CancelRecurringJob
    | JobAttemptStarted | JobAttemptCompleted | JobAttemptFaulted | JobAttemptCanceled
    | SetJobProgress | WriteJobLog | JobAttemptStatus | SetConcurrentJobLimit
    | JobTypeCommand
)  # fmt: skip
#: What may arrive at an instance.
ToInstance = StartJob | CancelJobAttempt

_decoders = {
    "saga": msgspec.json.Decoder(ToSagas),
    "instance": msgspec.json.Decoder(ToInstance),
}
_encoder = msgspec.json.Encoder()


def encode(message: Message) -> str:
    """The message as JSON text with its type's name under ``type``."""
    return _encoder.encode(message).decode()


def decode(text: str | bytes, endpoint: Literal["saga", "instance"]) -> Any:
    """The message that *text* holds.

    Raises ``msgspec.DecodeError`` (with the field's path) for what is no message of this endpoint.
    """
    return _decoders[endpoint].decode(text)


SAGA_MESSAGES: tuple[type[Message], ...] = get_args(ToSagas)
