"""The verbs. Each says what it means to the job's own rules; nothing is decided here.

A job that waits has its row locked and the command applied at once. A job that runs belongs to the saga
hosts: the cancel of one is written as a message in the caller's transaction, so that no client ever holds
a row that the engine needs.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from uuid import UUID

from asgiref.sync import sync_to_async

from jobsaga.client.keys import concurrency_key
from jobsaga.client.state import JobState
from jobsaga.client.titles import title_of
from jobsaga.conf import settings
from jobsaga.consumers import JobConsumerDefinition, consumers
from jobsaga.exceptions import InvalidMessage
from jobsaga.ids import uuid7
from jobsaga.messages import CancelJob, FinalizeJob, RetryJob, RunJob, SubmitJob
from jobsaga.payload import check_json, encode, encode_fields
from jobsaga.properties import Properties

if TYPE_CHECKING:
    from jobsaga.client.site import Site

P = ParamSpec("P")
R = TypeVar("R")


def submit_job(
    message: Any,
    fields: Mapping[str, Any] | None = None,
    *,
    job_id: UUID | None = None,
    properties: Mapping[str, Any] | None = None,
    priority: int = 0,
    submitted_by: str = "",
) -> UUID:
    """Make a job of *message*, in the caller's transaction; its id.

    *message* is an object of a class that a consumer takes; or a job type's name, with the message's
    *fields*; or, for a job without a message, its consumer. With a *job_id* of your own, a second submit
    of the same id changes nothing and gives the same id. Higher *priority* goes first.

    Raises UnknownJobType; InvalidMessage, naming the field, for what cannot be stored.
    """
    command = _submission(message, fields, job_id, properties, priority, submitted_by)
    return site().submit([command], may_exist=job_id is not None)[0]


def submit_jobs(
    messages: Iterable[Any],
    *,
    properties: Mapping[str, Any] | None = None,
    priority: int = 0,
    submitted_by: str = "",
) -> list[UUID]:
    """Make a job of each message, all or none; their ids in order. Raises as ``submit_job``."""
    commands = [_submission(each, None, None, properties, priority, submitted_by) for each in messages]
    return site().submit(commands)


def cancel_job(job_id: UUID, reason: str = "", *, run: int | None = None, by: str = "") -> JobState:
    """End the job as Canceled unless it has completed; its state after that.

    A job that waits is Canceled at once. One that runs is asked to stop, and forced when it does not: its
    state is Started or CancellationPending for a while. Of a recurring job this ends one run, the one under
    way or, between two, the next, and the job goes on with the one after; ``remark`` says which was skipped.
    With a *run* it is that run or none. Raises JobNotFound.
    """
    return site().command(
        CancelJob(
            job_id=checked_id(job_id),
            run=run,
            **who(reason, by),
        )
    )


def retry_job(job_id: UUID, reason: str = "", *, by: str = "") -> JobState:
    """Run a faulted or canceled job again, with its progress and saved state; or a waiting retry at once.

    Raises JobNotFound. ``refused`` says why when it changes nothing.
    """
    return site().command(RetryJob(job_id=checked_id(job_id), **who(reason, by)))


def run_job(job_id: UUID, reason: str = "", *, by: str = "") -> JobState:
    """Run a job now that waits for its time. Raises JobNotFound."""
    return site().command(RunJob(job_id=checked_id(job_id), **who(reason, by)))


def finalize_job(job_id: UUID, reason: str = "", *, by: str = "") -> JobState:
    """Remove an ended job with its attempts and saved state; its history stays. ``refused`` says why not: it has not
    ended, or its last attempt may still run. Raises JobNotFound.
    """
    return site().command(FinalizeJob(job_id=checked_id(job_id), **who(reason, by)))


def get_job_state(job_id: UUID) -> JobState:
    """The job as it is now; ``current_state`` is "NotFound" for an id that no job has."""
    return site().state(checked_id(job_id))


def twin(verb: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """The same verb for async code."""
    other: Any = sync_to_async(verb)
    other.__name__ = other.__qualname__ = f"a{verb.__name__}"
    return cast("Callable[P, Coroutine[Any, Any, R]]", other)


asubmit_job = twin(submit_job)
asubmit_jobs = twin(submit_jobs)
acancel_job = twin(cancel_job)
aretry_job = twin(retry_job)
arun_job = twin(run_job)
afinalize_job = twin(finalize_job)
aget_job_state = twin(get_job_state)


def site() -> Site:
    """The models are loaded when the first verb is used, so that importing this needs no ``django.setup()``."""
    from jobsaga.client.site import Site

    return Site()


def _submission(
    message: Any,
    fields: Mapping[str, Any] | None,
    job_id: UUID | None,
    properties: Mapping[str, Any] | None,
    priority: int,
    submitted_by: str,
) -> SubmitJob:
    return SubmitJob(
        job_id=uuid7() if job_id is None else checked_id(job_id),
        actor=checked_text(submitted_by, "submitted_by"),
        **job_fields(message, fields, properties, priority),
    )


def job_fields(
    message: Any, fields: Mapping[str, Any] | None, properties: Mapping[str, Any] | None, priority: int
) -> dict[str, Any]:
    """What every submission says of its job, checked at the door."""
    definition, content = _content(message, fields)
    if not isinstance(properties, Mapping | None):
        raise InvalidMessage("properties", f"must be a dict, not {properties!r}")
    known = Properties(properties or {}).to_dict()
    check_json(known, "properties", max_bytes=settings.MAX_MESSAGE_BYTES)
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > 2**31 - 1:
        raise InvalidMessage("priority", f"must be a whole number of 32 bits, not {priority!r}")
    typed = None if isinstance(message, str) else message
    return {
        "job_type": definition.type_name,
        "message": content,
        "message_version": definition.message_version,
        "properties": known,
        "priority": priority,
        "concurrency_key": concurrency_key(definition, typed, content),
        "title": title_of(definition, typed, content),
    }


def _content(message: Any, fields: Mapping[str, Any] | None) -> tuple[JobConsumerDefinition, dict[str, Any]]:
    limit = settings.MAX_MESSAGE_BYTES
    if isinstance(message, str):
        definition = consumers.for_type_name(message)
        return definition, encode_fields(definition.message_type, fields or {}, max_bytes=limit)
    if fields is not None:
        raise InvalidMessage("fields", "are for a job type given by name; a message object has its own")
    definition = consumers.for_message(message)
    return definition, encode(message if definition.message_type else None, max_bytes=limit)


def who(reason: object, by: object) -> dict[str, Any]:
    """Who asks, and why: what the history says of a command."""
    return {"reason": checked_text(reason, "reason"), "actor": checked_text(by, "by")}


def checked_id(value: object, where: str = "job_id") -> UUID:
    """An id as given: a UUID or its text, and not the empty one (K32 of the conformance list)."""
    try:
        known = value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise InvalidMessage(where, f"must be a UUID, not {value!r}") from None
    if known.int == 0:
        raise InvalidMessage(where, "must not be the empty UUID: leave it out, and the job gets one")
    return known


def checked_text(value: object, where: str) -> str:
    """A text as given. Raises InvalidMessage for anything else, and for what a database refuses."""
    if not isinstance(value, str):
        raise InvalidMessage(where, f"must be a string, not {value!r}")
    check_json(value, where)
    if where != "reason" and len(value) > 200:
        raise InvalidMessage(where, "is longer than 200 characters")
    return value
