"""What each request means here: the verbs of ``jobsaga.client``, without ever waiting for somebody else's lock."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from uuid import UUID

from jobsaga.client.commands import checked_id, checked_text, job_fields
from jobsaga.client.site import Site
from jobsaga.client.state import JobState
from jobsaga.consumers import consumers
from jobsaga.exceptions import InvalidMessage, JobHasStarted
from jobsaga.messages import CancelJob, FinalizeJob, RetryJob, RunJob, SubmitJob
from jobsaga.payload import check_json
from jobsaga.payload.versions import upgraded
from jobsaga.remote import contract
from jobsaga.sagas.states import JobStates

AGAIN = "this request was carried out before"
Steering = contract.CancelJob | contract.RetryJob | contract.RunJob | contract.FinalizeJob
_STATE = tuple(field.name for field in fields(JobState) if field.name not in ("duration", "fault"))


def carry_out(request: contract.Request, request_id: UUID) -> contract.Reply:
    """Do it, in the caller's transaction. Raises as the verbs of ``jobsaga.client``; JobBusy."""
    if isinstance(request, contract.SubmitJob):
        return _submit(request, request_id)
    if isinstance(request, Steering):
        return _told(Site().command(_command(request), wait=False))
    return state_of(request)


def say_again(request: contract.Request, request_id: UUID) -> contract.Reply:
    """The answer to a request that was carried out before: how things are now."""
    if isinstance(request, contract.SubmitJob):
        return contract.JobSubmissionAccepted(job_id=request.job_id or request_id)
    return state_of(request, remark=AGAIN)


def state_of(request: Any, remark: str = "") -> contract.JobState:
    """The job as it is."""
    return _told(Site().state(checked_id(request.job_id), remark=remark))


def _submit(request: contract.SubmitJob, request_id: UUID) -> contract.Reply:
    start = request.start if isinstance(request, contract.ScheduleJob) else None
    command = SubmitJob(
        job_id=checked_id(request.job_id or request_id),
        start_at=start,
        actor=_actor(request.actor),
        **job_fields(request.job_type, _message(request), request.properties, request.priority),
    )
    if start is None:
        Site().submit([command], may_exist=True)
    else:
        state = Site().put(command, wait=False)
        waits = state.current_state == JobStates.WAITING_TO_START.label and not state.is_recurring
        if state.refused and not waits:
            raise JobHasStarted(command.job_id, state.current_state)
    return contract.JobSubmissionAccepted(job_id=command.job_id)


def _message(request: contract.SubmitJob) -> dict[str, Any]:
    """The message as the present release reads it: a service may still write that of an older one."""
    definition = consumers.for_type_name(request.job_type)
    check_json(request.message, "message")  # before any code of the site sees it
    if request.message_version is None:
        return request.message
    try:
        found: dict[str, Any] = upgraded(definition.message_type, request.message, request.message_version)
    except InvalidMessage:
        raise
    except Exception as error:
        said = f"cannot be brought up from version {request.message_version}: {type(error).__name__}: {error}"
        raise InvalidMessage("message", said) from error
    return found


def _command(request: Steering) -> CancelJob | RetryJob | RunJob | FinalizeJob:
    said: dict[str, Any] = {
        "job_id": checked_id(request.job_id),
        "reason": checked_text(request.reason, "reason"),
        "actor": _actor(request.actor),
    }
    if isinstance(request, contract.CancelJob):
        return CancelJob(**said, run=request.run)
    if isinstance(request, contract.RunJob):
        return RunJob(**said, run=request.run)
    return RetryJob(**said) if isinstance(request, contract.RetryJob) else FinalizeJob(**said)


def _actor(said: str) -> str:
    """Who the history says has asked; nobody can pass for one of the site's own people."""
    return f"remote:{checked_text(said, 'actor')}".removesuffix(":")


def _told(state: JobState) -> contract.JobState:
    """What strangers are told of a job: all but the traceback."""
    fault = state.fault and contract.JobFault(
        type=state.fault["type"], message=state.fault.get("message", "")
    )
    return contract.JobState(
        **{name: getattr(state, name) for name in _STATE},
        duration=None if state.duration is None else state.duration.total_seconds(),
        fault=fault or None,
    )
