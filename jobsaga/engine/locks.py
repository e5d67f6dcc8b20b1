"""Which rows a list of messages concerns. They are all locked before anything is decided.

The engine never waits for a lock that someone else's code may hold: a job of which one row is taken is *busy*,
and its messages wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from jobsaga.engine.turn import Turn
from jobsaga.messages import (
    CancelJob,
    CancelRecurringJob,
    FinalizeJob,
    JobAttemptFaulted,
    JobAttemptStatus,
    JobCancellationTimeoutElapsed,
    JobStatusCheckRequested,
    Message,
)
from jobsaga.store.base import Transaction

#: Messages that may give an attempt up, or spend a suspect retry: they look at the checkpoint.
FENCE_MOVERS = (
    JobCancellationTimeoutElapsed,
    JobStatusCheckRequested,
    JobAttemptStatus,
    JobAttemptFaulted,
    FinalizeJob,
)
#: Messages to a job that are handed on to its current attempt.
FOR_THE_CURRENT_ATTEMPT = (CancelJob, CancelRecurringJob, JobCancellationTimeoutElapsed)


def begin(tx: Transaction, turn: Turn, messages: Sequence[Message], *, wait: bool = False) -> Turn:
    """Take every row in hand that *messages* concern, and then the time. With *wait*, for a client's command:
    wait for the job's row.
    """
    about_jobs: list[Any] = [
        message for message in messages if "history" not in message.TO and hasattr(message, "job_id")
    ]
    jobs = tx.jobs(sorted({message.job_id for message in about_jobs}), wait=wait)
    turn.jobs.hold(jobs.rows)
    turn.busy |= jobs.busy
    _lock_attempts(tx, turn, about_jobs)
    _lock_fences(tx, turn, about_jobs)
    turn.now = tx.now()
    return turn


def _lock_attempts(tx: Transaction, turn: Turn, messages: Sequence[Any]) -> None:
    wanted: dict[UUID, UUID] = {}
    for message in messages:
        if (attempt_id := getattr(message, "attempt_id", None)) is not None:
            wanted[attempt_id] = message.job_id
        elif isinstance(message, FOR_THE_CURRENT_ATTEMPT):
            job = turn.jobs.now.get(message.job_id)
            if job is not None and job.attempt_id is not None:
                wanted[job.attempt_id] = job.id
    attempts = tx.attempts(sorted(wanted))
    turn.attempts.hold(attempts.rows)
    turn.busy |= {wanted[attempt_id] for attempt_id in attempts.busy}


def _lock_fences(tx: Transaction, turn: Turn, messages: Sequence[Any]) -> None:
    """A fence that is held makes only a finalization wait: the sagas know what to do without it."""
    movers = {message.job_id for message in messages if isinstance(message, FENCE_MOVERS)}
    fences = tx.checkpoints(sorted(movers - turn.busy))
    turn.checkpoints.hold(fences.rows)
    finalized = {message.job_id for message in messages if isinstance(message, FinalizeJob)}
    turn.busy |= finalized & fences.busy
