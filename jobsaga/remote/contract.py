"""The contract with other services: what they may ask for over RabbitMQ, and what they are answered.

Every message is one JSON object, the envelope; what it says is in its ``body``:

    {"version": 1, "type": "CancelJob", "id": "<uuid>", "time": "<RFC 3339>", "body": {"job_id": "<uuid>"}}

The names are MassTransit's, its fields in snake case. Within version 1 fields are only added, and only such as may be
left out. A request is read strictly: a field that this release does not know is refused, because what it asks for
would silently not be done. An answer is to be read leniently: later releases may say more.

Nothing here knows Django, pika or the site.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from jobsaga.clock import SystemClock
from jobsaga.exceptions import near_matches

VERSION = 1
#: Where requests arrive: the queue ``<prefix>.v1.requests``.
REQUESTS = "requests"

Json = dict[str, Any]
Actor = Annotated[
    str, msgspec.Meta(max_length=190, description="Who asks, for the history: it shows remote:<actor>.")
]
TypeName = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Reason = Annotated[str, msgspec.Meta(max_length=10_000, description="Why, for the history.")]
Run = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a service may ask for."""


class SubmitJob(Request, frozen=True, kw_only=True):
    """Make a job of this type; with an id that a job has already it changes nothing, and is accepted."""

    job_type: TypeName
    #: The message's fields, as the job type's class has them (MassTransit's ``Job``).
    message: Json = {}
    #: Without one the job's id is the request's.
    job_id: UUID | None = None
    properties: Json = {}
    #: Higher goes first.
    priority: Annotated[int, msgspec.Meta(ge=-(2**31) + 1, le=2**31 - 1)] = 0
    #: The version of the message's class by which ``message`` was written. Without one: the site's present version.
    message_version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    actor: Actor = ""


class ScheduleJob(SubmitJob, frozen=True, kw_only=True):
    """Make a job that starts at a time, or give one that still waits for its time another time and message."""

    start: Moment


class CancelJob(Request, frozen=True, kw_only=True):
    """End a job as Canceled, unless it has completed. Of a recurring job one run: this one, if a ``run`` is given."""

    job_id: UUID
    reason: Reason = ""
    run: Run | None = None
    actor: Actor = ""


class RetryJob(Request, frozen=True, kw_only=True):
    """Run a faulted or canceled job again, or one that waits to be retried at once."""

    job_id: UUID
    reason: Reason = ""
    actor: Actor = ""


class RunJob(Request, frozen=True, kw_only=True):
    """Run a job now that waits for its time. Of a recurring job only this ``run``, if one is given."""

    job_id: UUID
    reason: Reason = ""
    run: Run | None = None
    actor: Actor = ""


class FinalizeJob(Request, frozen=True, kw_only=True):
    """Remove an ended job and all but its history. Refused while its last attempt may still run."""

    job_id: UUID
    reason: Reason = ""
    actor: Actor = ""


class GetJobState(Request, frozen=True, kw_only=True):
    """How a job is. Changes nothing."""

    job_id: UUID


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a service is answered."""


class JobSubmissionAccepted(Reply, frozen=True, kw_only=True):
    """The job exists: its row is committed."""

    job_id: UUID


class JobFault(msgspec.Struct, frozen=True, kw_only=True):
    """The exception with which a job's last attempt failed."""

    type: str
    message: str = ""


class JobState(Reply, frozen=True, kw_only=True):
    """A job as it is now. The fields are those of ``jobsaga.JobState``; ``duration`` is in seconds."""

    job_id: UUID
    #: MassTransit's word: "WaitingForSlot", "Started", "Completed", ...; "NotFound" for an id that no job has.
    current_state: str
    job_type: str = ""
    #: What people are shown of it in lists.
    title: str = ""
    submitted: datetime | None = None
    started: datetime | None = None
    completed: datetime | None = None
    faulted: datetime | None = None
    #: When it ended, in whatever way.
    finished: datetime | None = None
    duration: float | None = None
    #: Why it faulted or was canceled.
    reason: str = ""
    fault: JobFault | None = None
    last_retry_attempt: int = 0
    run: int = 1
    progress_value: float | None = None
    progress_limit: float | None = None
    progress_message: str = ""
    #: Progress per second, and when it will be done by that.
    rate: float | None = None
    eta: datetime | None = None
    #: What the job saved last; what it returned.
    job_state: Any = None
    result: Any = None
    properties: Json | None = None
    next_start_date: datetime | None = None
    scheduled_for: datetime | None = None
    is_recurring: bool = False
    recurring_name: str = ""
    cron: str = ""
    time_zone: str = "UTC"
    start_date: datetime | None = None
    end_date: datetime | None = None
    cancel_requested: datetime | None = None
    #: Why it waits: in a sentence, and as a word that stays as it is.
    waiting_for: str = ""
    waiting_code: str = ""
    #: Why the request changed nothing; empty if it did.
    refused: str = ""
    #: What the request did that the state alone does not show.
    remark: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether it has ended: Completed, Faulted or Canceled."""
        return self.finished is not None


class Fault(Reply, frozen=True, kw_only=True):
    """The request was not carried out, and had no effect. The ``code`` is for programs and stays as it is."""

    code: str
    message: str
    #: Which field of the body is wrong, as "message.path" or "priority"; empty if that is not what is wrong.
    field: str = ""
    #: What may have been meant instead.
    near: list[str] = []
    #: The request's id, as far as it could be read.
    faulted_message_id: UUID | None = None


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What every message has around its body."""

    version: int
    type: str
    id: UUID
    time: datetime | None = None
    body: msgspec.Raw = msgspec.Raw(b"{}")


REQUEST_TYPES: tuple[type[Request], ...] = (
    SubmitJob, ScheduleJob, CancelJob, RetryJob, FinalizeJob, RunJob, GetJobState,
)  # fmt: skip
REPLY_TYPES: tuple[type[Reply], ...] = (JobSubmissionAccepted, JobState, Fault)

#: The codes of faults, and when they are given.
CODES = {
    "MalformedRequest": "it is no JSON, or no envelope",
    "TooLarge": "it has more bytes than any request needs",
    "UnsupportedVersion": "its envelope's version is not 1",
    "UnknownRequestType": "its envelope's type is none of the requests",
    "InvalidMessage": "a field of its body, or of the job's message, is missing, wrong or unknown",
    "UnknownJobType": "the site has no job consumer of this name",
    "JobNotFound": "no job has this id",
    "JobHasStarted": "ScheduleJob for a job that does not wait for its time any more",
    "JobBusy": "a transaction of the site held the job all the time: ask again",
    "InternalError": "the site failed in a way that nobody foresaw; its log and a dead letter say how",
}


class Refused(Exception):
    """A request that cannot be read; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def encode(body: msgspec.Struct, message_id: UUID, *, kind: str = "", time: datetime | None = None) -> bytes:
    """The envelope around *body*, as JSON."""
    envelope = {
        "version": VERSION,
        "type": kind or type(body).__name__,
        "id": message_id,
        "time": time or SystemClock().now().astimezone(UTC),
        "body": body,
    }
    return msgspec.json.encode(envelope)


def decode_request(data: bytes) -> tuple[UUID, Request]:
    """The request's id and what it asks for. Raises Refused."""
    envelope = _envelope(data)
    if envelope.version != VERSION:
        said = f"version {envelope.version} is not spoken here"
        raise _refused("UnsupportedVersion", said, envelope, "version")
    kinds = {each.__name__: each for each in REQUEST_TYPES}
    if envelope.type not in kinds:
        near = near_matches(envelope.type[:200], kinds)
        said = f"{envelope.type[:200]!r} is no type of request; known are {', '.join(kinds)}"
        raise _refused("UnknownRequestType", said, envelope, "type", near)
    if envelope.id.int == 0:
        raise _refused("MalformedRequest", "the id must not be the empty UUID", envelope, "id")
    try:
        return envelope.id, msgspec.json.decode(envelope.body, type=kinds[envelope.type])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        field, problem = _told(error)
        near = near_matches(field, kinds[envelope.type].__struct_fields__) if "unknown" in problem else []
        raise _refused("InvalidMessage", f"{field} {problem}".strip(), envelope, field, near) from None


def decode_reply(data: bytes) -> Reply:
    """What was answered. Raises Refused for what is no answer of this version."""
    envelope = _envelope(data)
    kinds = {each.__name__: each for each in REPLY_TYPES}
    if envelope.version != VERSION or envelope.type not in kinds:
        said = f"{envelope.type[:200]!r} of version {envelope.version} is no answer that is known here"
        raise _refused("MalformedRequest", said, envelope)
    try:
        return msgspec.json.decode(envelope.body, type=kinds[envelope.type])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _refused("MalformedRequest", " ".join(_told(error)), envelope) from None


def _envelope(data: bytes) -> Envelope:
    try:
        return msgspec.json.decode(data, type=Envelope)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        field, problem = _told(error)
        said = " ".join(filter(None, ("it is no envelope:", field, problem)))
        raise Refused(Fault(code="MalformedRequest", message=said, field=field)) from None


def _refused(
    code: str, message: str, envelope: Envelope, field: str = "", near: list[str] | None = None
) -> Refused:
    fault = Fault(code=code, message=message, field=field, near=near or [], faulted_message_id=envelope.id)
    return Refused(fault)


def _told(error: Exception) -> tuple[str, str]:
    """Which field, and what is wrong with it, of msgspec's "Expected `int`, got `str` - at `$.a[0]`"."""
    if isinstance(error, RecursionError):
        return "", "it is nested too deep"
    problem, _, place = str(error).partition(" - at ")
    path = place.replace("`key` in ", "the keys of ").strip("`").removeprefix("$").lstrip(".")
    named = re.fullmatch(r"Object (missing required|contains unknown) field `(.+)`", problem, re.DOTALL)
    if named:
        what = "is missing" if named[1].startswith("missing") else "is unknown"
        return ".".join(filter(None, (path, named[2][:200]))), what
    return path[:500], f"is not valid: {problem[:1].lower()}{problem[1:500]}" if path else problem[:500]
