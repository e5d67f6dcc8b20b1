"""What people ask of job types and workers: pause, resume, other limits for a while, drain.

Each is a message to the saga hosts, written in the caller's transaction: a saga host applies it as soon as that
has committed, and writes down who asked for what, and why. Nothing here takes a job from a worker.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from jobsaga.client.commands import checked_id, checked_text, site, twin
from jobsaga.consumers import consumers
from jobsaga.exceptions import InstanceNotFound, InvalidMessage, UnknownJobType
from jobsaga.messages import (
    LONGEST_OVERRIDE,
    DrainInstance,
    JobTypeCommand,
    OverrideJobLimit,
    PauseJobType,
    ResumeJobType,
    RevertJobLimit,
    UndrainInstance,
)
from jobsaga.payload import safe_text
from jobsaga.validation import Duration, as_count, as_duration

HALF_AN_HOUR = timedelta(minutes=30)
LARGEST_LIMIT = 2**31 - 1


def override_job_limit(
    job_type: Any,
    concurrent_job_limit: int | None = None,
    *,
    global_concurrent_job_limit: int | None = None,
    duration: Duration = HALF_AN_HOUR,
    reason: str = "",
    by: str = "",
) -> None:
    """For *duration* (timedelta or seconds) other limits for a job type: for each of its workers, for all together,
    or both. Then those hold again that its workers have announced.

    A worker is given no more than its ``--concurrency``. With a limit below what runs, no job is ended: none is
    started until it is met. 0: none is started. Another override takes the place of this one.

    *job_type* is a message class, a consumer, or a name. Raises UnknownJobType; InvalidMessage, naming the field.
    """
    limits = {
        "concurrent_job_limit": _limit("concurrent_job_limit", concurrent_job_limit),
        "global_concurrent_job_limit": _limit("global_concurrent_job_limit", global_concurrent_job_limit),
    }
    if set(limits.values()) == {None}:
        raise InvalidMessage("concurrent_job_limit", "is missing, and so is global_concurrent_job_limit")
    _send(
        OverrideJobLimit(
            job_type=_name(job_type),
            duration=_seconds(duration),
            reason=checked_text(reason, "reason"),
            actor=checked_text(by, "by"),
            **limits,
        )
    )


def revert_job_limit(job_type: Any, reason: str = "", *, by: str = "") -> None:
    """End the override of a job type's limits now. Raises UnknownJobType."""
    _send(RevertJobLimit(job_type=_name(job_type), **_who(reason, by)))


def pause_job_type(job_type: Any, reason: str = "", *, by: str = "") -> None:
    """Start no more jobs of this type until ``resume_job_type``. Those that run go on, new ones wait.

    *job_type* is a message class, a consumer, or a name. Raises UnknownJobType.
    """
    _send(PauseJobType(job_type=_name(job_type), **_who(reason, by)))


def resume_job_type(job_type: Any, reason: str = "", *, by: str = "") -> None:
    """Let a paused type go on: what waits starts at once, in its order. Raises UnknownJobType."""
    _send(ResumeJobType(job_type=_name(job_type), **_who(reason, by)))


def drain_instance(instance_id: UUID, reason: str = "", *, by: str = "") -> None:
    """Give this worker no more jobs; those that it runs go on. Raises InstanceNotFound if there is no such worker, or
    it has stopped.
    """
    _send(DrainInstance(instance_id=_instance(instance_id), **_who(reason, by)))


def undrain_instance(instance_id: UUID, reason: str = "", *, by: str = "") -> None:
    """Give a drained worker jobs again. Raises InstanceNotFound."""
    _send(UndrainInstance(instance_id=_instance(instance_id), **_who(reason, by)))


aoverride_job_limit = twin(override_job_limit)
arevert_job_limit = twin(revert_job_limit)
apause_job_type = twin(pause_job_type)
aresume_job_type = twin(resume_job_type)
adrain_instance = twin(drain_instance)
aundrain_instance = twin(undrain_instance)


def _send(message: JobTypeCommand) -> None:
    site().send(message)


def _who(reason: object, by: object) -> dict[str, str]:
    return {"reason": checked_text(reason, "reason"), "actor": checked_text(by, "by")}


def _name(job_type: Any) -> str:
    """The name of a type: of one that is registered here, or that some worker has announced, or a job has."""
    if not isinstance(job_type, str):
        return consumers.for_message(job_type).type_name
    names = [each.type_name for each in consumers.all()]
    storable = safe_text(job_type) == job_type  # what is not, no database can be asked for
    if job_type not in names and not (storable and site().has_type(job_type)):
        raise UnknownJobType(job_type, names)
    return job_type


def _instance(instance_id: object) -> UUID:
    known = checked_id(instance_id, "instance_id")
    if not site().has_instance(known):
        raise InstanceNotFound(known)
    return known


def _limit(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    try:
        limit = as_count(value, minimum=0)
    except ValueError as problem:
        raise InvalidMessage(name, str(problem)) from None
    if limit > LARGEST_LIMIT:
        raise InvalidMessage(name, f"must be at most {LARGEST_LIMIT}, not {value!r}")
    return limit


def _seconds(duration: Duration) -> float:
    try:
        seconds = as_duration(duration).total_seconds()
    except ValueError as problem:
        raise InvalidMessage("duration", str(problem)) from None
    if seconds > LONGEST_OVERRIDE:
        raise InvalidMessage("duration", f"must be at most a year, not {duration!r}: change the limit itself")
    return seconds
