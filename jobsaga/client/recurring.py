"""The verbs about time: a job that starts later, and jobs that run again and again.

What cannot be is refused here, in the caller's face: a schedule that means nothing, a zone that is none, an
end before the start, a recurrence without an occurrence left.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

from jobsaga.client.commands import checked_id, checked_text, job_fields, site, twin, who
from jobsaga.client.state import JobState
from jobsaga.consumers import consumers
from jobsaga.exceptions import (
    InvalidMessage,
    InvalidSchedule,
    JobHasStarted,
    JobNotFound,
    RecurringJobNotFound,
)
from jobsaga.ids import recurring_job_id, uuid7
from jobsaga.messages import (
    AddOrUpdateRecurringJob,
    CancelRecurringJob,
    FinalizeJob,
    Misfire,
    RunJob,
    SubmitJob,
)
from jobsaga.sagas.states import JobStates
from jobsaga.schedule import Builder, as_cron, check_time_zone, next_after

NAME_LENGTH = 200
OUT_OF_RANGE = "is out of range: it must be in one of the years from 1 to 9999"
#: What a recurrence keeps when it goes on as it was.
_KEPT = (
    "job_type", "message", "message_version", "properties", "headers", "priority", "concurrency_key", "title",
    "cron", "time_zone", "start_at", "end_at", "misfire", "declared",
)  # fmt: skip


def schedule_job(
    when: datetime | timedelta,
    message: Any,
    fields: Mapping[str, Any] | None = None,
    *,
    job_id: UUID | None = None,
    properties: Mapping[str, Any] | None = None,
    priority: int = 0,
    submitted_by: str = "",
) -> UUID:
    """Make a job of *message* that starts at *when*, an aware datetime, or after that time; its id.

    A time that has passed starts it at once. With the *job_id* of a job that still waits for its time, that
    job gets the new time and the new message. The rest is as in ``submit_job``.

    Raises UnknownJobType, InvalidMessage; JobHasStarted for the id of a job that does not wait for its time.
    """
    command = SubmitJob(
        job_id=uuid7() if job_id is None else checked_id(job_id),
        start_at=_start(when),
        actor=checked_text(submitted_by, "submitted_by"),
        **job_fields(message, fields, properties, priority),
    )
    state = site().put(command)
    waits = state.current_state == JobStates.WAITING_TO_START.label and not state.is_recurring
    if state.refused and not waits:
        raise JobHasStarted(command.job_id, state.current_state)
    return command.job_id


def add_or_update_recurring_job(
    name: str,
    message: Any,
    schedule: str | Builder,
    *,
    fields: Mapping[str, Any] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    time_zone: str = "UTC",
    misfire: Misfire = "run_once",
    properties: Mapping[str, Any] | None = None,
    priority: int = 0,
    by: str = "",
) -> UUID:
    """Run a job of *message* whenever *schedule* says so; its id, the same for each run.

    *schedule* is a cron text (six fields, seconds first, or five) or Every, Daily, Weekly, Monthly. The *name*
    is the job's among those of its type; called again, at each deploy for instance, it changes what is
    different and nothing else. A run that is under way goes on as it began. A recurrence that was canceled
    begins anew. *start* and *end* are aware datetimes. *misfire* says what becomes of a run that nobody could
    start within JOBSAGA["MISFIRE_GRACE"]: "run_once" starts it late, "skip" waits for the next.

    Raises InvalidSchedule for a schedule, zone, start or end that leaves no run; else as ``submit_job``.
    """
    command = recurrence(
        name, job_fields(message, fields, properties, priority), schedule, start, end, time_zone, misfire, by
    )
    state = site().put(command)
    if state.refused and not state.is_recurring:
        raise InvalidSchedule(f"Recurring job {name!r} was not added: {state.refused}.")
    return command.job_id


def run_recurring_job(job_type: Any, name: str, reason: str = "", *, by: str = "") -> JobState:
    """Run it now, once more than its schedule says. *job_type* is its message's class, or its name.

    Raises RecurringJobNotFound. ``refused`` says why when it changes nothing.
    """
    return _tell(job_type, name, RunJob, reason, by)


def cancel_recurring_job(job_type: Any, name: str, reason: str = "", *, by: str = "") -> JobState:
    """End the recurrence, and the run that is under way. The name can be added again.

    To end one run only, use ``cancel_job``. Raises RecurringJobNotFound.
    """
    return _tell(job_type, name, CancelRecurringJob, reason, by)


def resume_recurring_job(job_type: Any, name: str, *, by: str = "") -> JobState:
    """Let a recurrence that was canceled go on as it was. Raises RecurringJobNotFound; InvalidSchedule if it has
    no occurrence left.
    """
    here, known = site(), type_name(job_type)
    job = here.job(recurring_job_id(known, name))
    if job is None:
        raise RecurringJobNotFound(recurring_job_id(known, name), known, name)
    fields = {field: getattr(job, field) for field in _KEPT}
    command = AddOrUpdateRecurringJob(
        job_id=job.id, name=job.recurring_name, actor=checked_text(by, "by"), **fields
    )
    if next_after(job.cron, here.now(), time_zone=job.time_zone, start=job.start_at, end=job.end_at) is None:
        raise InvalidSchedule(
            f"Recurring job {name!r} of {known} cannot go on: its schedule has no occurrence left."
        )
    return here.put(command)


def finalize_recurring_job(job_type: Any, name: str, reason: str = "", *, by: str = "") -> JobState:
    """Remove a recurring job whose recurrence has ended. Raises RecurringJobNotFound."""
    return _tell(job_type, name, FinalizeJob, reason, by)


def get_recurring_job_state(job_type: Any, name: str) -> JobState:
    """The recurring job as it is now; ``current_state`` is "NotFound" for a name that its type has not."""
    return site().state(recurring_job_id(type_name(job_type), name))


aschedule_job = twin(schedule_job)
aadd_or_update_recurring_job = twin(add_or_update_recurring_job)
arun_recurring_job = twin(run_recurring_job)
acancel_recurring_job = twin(cancel_recurring_job)
aresume_recurring_job = twin(resume_recurring_job)
afinalize_recurring_job = twin(finalize_recurring_job)
aget_recurring_job_state = twin(get_recurring_job_state)


def recurrence(
    name: str,
    job: dict[str, Any],
    schedule: str | Builder,
    start: datetime | None,
    end: datetime | None,
    time_zone: str,
    misfire: Misfire,
    by: str,
    *,
    declared: bool = False,
) -> AddOrUpdateRecurringJob:
    """The command, checked at the door. Raises InvalidSchedule, InvalidMessage."""
    if not checked_text(name, "name") or len(name) > NAME_LENGTH:
        raise InvalidMessage("name", f"must have 1 to {NAME_LENGTH} characters, not {len(name)}")
    if misfire not in get_args(Misfire):
        raise InvalidMessage(
            "misfire", f"must be {' or '.join(map(repr, get_args(Misfire)))}, not {misfire!r}"
        )
    cron, zone = as_cron(schedule), check_time_zone(time_zone)
    start_at = None if start is None else _aware(start, "start")
    end_at = None if end is None else _aware(end, "end")
    if start_at and end_at and end_at < start_at:
        raise InvalidSchedule(f"The end ({end_at}) is before the start ({start_at}): nothing would ever run.")
    now = site().now()
    if next_after(cron, now, time_zone=zone, start=start_at, end=end_at) is None:
        raise InvalidSchedule(f"The schedule {cron!r} has no occurrence left after {now} (end: {end_at}).")
    return AddOrUpdateRecurringJob(
        job_id=recurring_job_id(job["job_type"], name),
        name=name,
        cron=cron,
        time_zone=zone,
        start_at=start_at,
        end_at=end_at,
        misfire=misfire,
        declared=declared,
        actor=checked_text(by, "by"),
        **job,
    )


def type_name(job_type: Any) -> str:
    """The name of the type of these jobs. A name that no consumer has any more is taken as it is."""
    return job_type if isinstance(job_type, str) else consumers.for_message(job_type).type_name


def _tell(job_type: Any, name: str, command: Any, reason: str, by: str) -> JobState:
    known = type_name(job_type)
    job_id = recurring_job_id(known, name)
    try:
        return site().command(command(job_id=job_id, **who(reason, by)))
    except JobNotFound:
        raise RecurringJobNotFound(job_id, known, name) from None


def _start(when: datetime | timedelta) -> datetime:
    if isinstance(when, datetime):
        return _aware(when, "when")
    if not isinstance(when, timedelta):
        raise InvalidMessage("when", f"must be a datetime or a timedelta, not {when!r}")
    try:
        return site().now() + when
    except OverflowError:
        raise InvalidMessage("when", f"{OUT_OF_RANGE}, not {when!r} from now") from None


def _aware(value: datetime, where: str) -> datetime:
    if not isinstance(value, datetime):
        raise InvalidMessage(where, f"must be a datetime, not {value!r}")
    if value.utcoffset() is None:
        raise InvalidMessage(where, f"has no time zone ({value!r}): use django.utils.timezone, or tzinfo=UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidMessage(where, f"{OUT_OF_RANGE}, not {value!r}") from None
