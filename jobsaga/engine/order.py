"""What a message implies that has not been heard yet, what it must say because it may come twice, and what must not be
overtaken.

Where a broker deals messages out to several saga hosts, the end of a short attempt may overtake its beginning. What
people ask of a job is no such fact: the last word holds, so it is heard last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from jobsaga.messages import (
    AddOrUpdateRecurringJob,
    CancelJob,
    CancelRecurringJob,
    FinalizeJob,
    JobAttemptCompleted,
    JobAttemptFaulted,
    JobAttemptStarted,
    Message,
    RetryJob,
    RunJob,
)
from jobsaga.sagas.records import Job
from jobsaga.sagas.states import AttemptStates
from jobsaga.transport.base import Delivery, Transport

Command = AddOrUpdateRecurringJob | CancelJob | CancelRecurringJob | FinalizeJob | RetryJob | RunJob


def implied(message: Message, attempts: Mapping[UUID, Any]) -> list[JobAttemptStarted]:
    """What must have come before *message*, given the attempts as they are: user code ran, so it was started."""
    if not isinstance(message, JobAttemptCompleted | JobAttemptFaulted) or not message.duration:
        return []
    attempt = attempts.get(message.attempt_id)
    if attempt is None or attempt.state is not AttemptStates.STARTING:
        return []
    began = message.timestamp - message.duration
    return [JobAttemptStarted(job_id=message.job_id, attempt_id=message.attempt_id, timestamp=began)]


def check_run(message: Message, jobs: Mapping[UUID, Job]) -> None:
    """What a queue brings may come twice, or late. Raises ValueError for a command to a recurring job that could
    then be about the next run; our own clients name the run.
    """
    if isinstance(message, CancelJob | RunJob) and message.run is None:
        job = jobs.get(message.job_id)
        if job is not None and job.recurring:
            raise ValueError("It does not say which run it is about: when it comes twice it would be two")


def overtaken(
    transport: Transport, messages: Sequence[tuple[Message, Delivery]], received: Sequence[Delivery]
) -> set[UUID]:
    """The jobs of which a command is here, and something that came before it is not: that waits for a row."""
    commands = {delivery: each.job_id for each, delivery in messages if isinstance(each, Command)}
    if not commands:
        return set()
    waiting = transport.still_before(list(commands), received)
    return {commands[late] for late, early in waiting if str(commands[late]) in early}
