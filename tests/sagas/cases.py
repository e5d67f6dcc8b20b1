"""Every kind of record, message and surroundings that the three machines can meet, by brute force.

What the conditions of the tables look at is varied; the rest stays as it is. Records that cannot come about are
among them too: a machine that takes those in its stride takes all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID

import jobsaga.messages as said
from jobsaga.messages import AttemptStatus, CancelKind, Fault, LimitKind, Message, Progress
from jobsaga.sagas import (
    ATTEMPT,
    JOB,
    JOB_TYPE,
    Attempt,
    Checkpoint,
    Env,
    Job,
    JobType,
    Machine,
    TypeInstance,
)
from jobsaga.sagas.job import DEADLINES
from jobsaga.sagas.states import (
    ACTIVE_JOB_STATES,
    OPEN_ATTEMPT_STATES,
    AttemptStates,
    JobStates,
    JobTypeStates,
)
from tests.sagas.world import START as NOW
from tests.sagas.world import TYPE

JOB_ID, CURRENT, OTHER, INSTANCE = UUID(int=101), UUID(int=1), UUID(int=2), UUID(int=201)
HOURLY, AT_HALF_PAST = "0 0 * * * *", "0 30 * * * *"
PAST, FUTURE = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)
ABSTRACT = {said.Message, said.Report, said.Ended, said.Steering}
MACHINES: dict[str, tuple[Machine[Any], str]] = {
    "job": (JOB, "job"),
    "attempt": (ATTEMPT, "attempt"),
    "job type": (JOB_TYPE, "job_type"),
}


def concrete_messages() -> list[type[Message]]:
    """Every message there is."""
    found = [each for each in vars(said).values() if isinstance(each, type) and issubclass(each, Message)]
    return [each for each in found if each not in ABSTRACT]


def messages_for(address: str) -> list[type[Message]]:
    """Every message that this kind of saga hears."""
    return [each for each in concrete_messages() if address in each.TO]


# Records


def jobs() -> Iterator[Job]:
    attempts, slots, retries, dues = (None, CURRENT), (None, CURRENT, OTHER), (0, 3), (None, PAST, FUTURE)
    timeouts = ((None, None, None), (120.0, NOW, NOW), (None, None, NOW - timedelta(hours=1)))
    for state, attempt, slot, spent, due, (timeout, started, asked) in product(
        JobStates, attempts, slots, retries, dues, timeouts
    ):
        if state in ACTIVE_JOB_STATES and attempt is None:
            continue  # the one thing that verbs may count on
        yield Job(
            id=JOB_ID, job_type=TYPE, state=state, attempt_id=attempt, slot=slot, suspect_retries=spent, due_at=due,
            cancellation_timeout=timeout, started_at=started, progress_sequence=5, queued_at=NOW,
            cancel_requested_at=asked,
        )  # fmt: skip


def all_jobs() -> Iterator[Job]:
    yield from jobs()
    yield from recurring_jobs()


def recurring_jobs() -> Iterator[Job]:
    """A run under way or to come, and what may follow it; NOW is an occurrence of HOURLY."""
    hour, half = timedelta(hours=1), timedelta(minutes=30)
    recurrences: tuple[dict[str, Any], ...] = (
        {"next_start_at": NOW + hour},
        {"next_start_at": NOW + hour, "end_at": NOW + hour},
        {"next_start_at": NOW},
        {"next_start_at": NOW - 5 * hour},
        {"next_start_at": NOW - 5 * hour, "misfire": "skip"},
        {"next_start_at": NOW - half, "misfire": "skip", "cron": AT_HALF_PAST},
        {"next_start_at": NOW - half, "misfire": "skip", "cron": AT_HALF_PAST, "end_at": NOW},
        {"next_start_at": None},
    )
    for state, recurrence, slot, asked in product(JobStates, recurrences, (None, OTHER), (None, NOW - hour)):
        waits, active = state is JobStates.WAITING_TO_START, state in ACTIVE_JOB_STATES
        if waits and recurrence["next_start_at"] is None:
            continue  # the other thing
        due = recurrence["next_start_at"] if waits else PAST if state in DEADLINES else None
        yield Job(
            **{"cron": HOURLY, **recurrence}, id=JOB_ID, job_type=TYPE, state=state, recurring=True, recurring_name="r",
            attempt_id=CURRENT if active else None, slot=slot, due_at=due, run=3, queued_at=NOW, progress_sequence=5,
            cancel_requested_at=asked,
        )  # fmt: skip


def attempts() -> Iterator[Attempt]:
    long_ago = NOW - timedelta(minutes=1)
    for state, received, given_up, due, suspect in product(
        AttemptStates, (None, NOW), (False, True), (None, PAST, FUTURE), (None, NOW, long_ago)
    ):
        yield Attempt(
            id=CURRENT, job_id=JOB_ID, job_type=TYPE, state=state, instance_id=INSTANCE, received_at=received,
            given_up=given_up, due_at=due, suspect_at=suspect, holds_slot=state in OPEN_ATTEMPT_STATES,
        )  # fmt: skip


def job_types() -> Iterator[JobType]:
    asked: tuple[dict[str, Any], ...] = (
        {}, {"paused_at": NOW}, {"due_at": PAST}, {"due_at": FUTURE, "override_job_limit": 5},
    )  # fmt: skip
    for state, busy, active, limit, what in product(JobTypeStates, (None, 0, 1), (0, 1, 2), (None, 1), asked):
        instances = {}
        if busy is not None:
            instances[INSTANCE] = TypeInstance(job_type=TYPE, instance_id=INSTANCE, active=busy)
        yield JobType(
            id=UUID(int=0), name=TYPE, state=state, instances=instances, active=active,
            global_concurrent_job_limit=limit, **what,
        )  # fmt: skip


# Messages


def commands() -> Iterator[Message]:
    for start in (None, PAST, FUTURE):
        yield said.SubmitJob(job_id=JOB_ID, job_type=TYPE, start_at=start)
    for kind in (said.CancelJob, said.RetryJob, said.RunJob, said.FinalizeJob, said.CancelRecurringJob):
        yield kind(job_id=JOB_ID)
    yield said.CancelJob(job_id=JOB_ID, run=99)
    yield said.RunJob(job_id=JOB_ID, run=99)
    for cron, end in ((HOURLY, None), (AT_HALF_PAST, None), (HOURLY, PAST)):
        yield said.AddOrUpdateRecurringJob(job_id=JOB_ID, job_type=TYPE, name="r", cron=cron, end_at=end)


def deadlines() -> Iterator[Message]:
    for kind in (said.JobSlotWaitElapsed, said.JobRetryDelayElapsed, said.JobCancellationTimeoutElapsed):
        yield kind(job_id=JOB_ID)
    yield said.JobStatusCheckRequested(job_id=JOB_ID, attempt_id=CURRENT)


def reports(attempt: UUID) -> Iterator[Message]:
    about: dict[str, Any] = {"job_id": JOB_ID, "attempt_id": attempt, "timestamp": NOW}
    older, newer = Progress(sequence=5, value=1), Progress(sequence=6, value=2)
    yield said.JobAttemptStarted(**about)
    yield said.JobAttemptStarted(**about, job_timeout=60, job_cancellation_timeout=20)
    for progress in (None, older, newer):
        yield said.JobAttemptCompleted(**about, progress=progress)
    for delay, suspect in product((None, timedelta(0), timedelta(seconds=30)), (False, True)):
        fault: dict[str, Any] = {"fault": Fault(type="E"), "retry_delay": delay, "suspect": suspect}
        yield said.JobAttemptFaulted(**about, **fault)
        yield said.JobAttemptFaulted(**about, **fault, progress=newer)
    for kind, progress in product(CancelKind, (None, older, newer)):
        yield said.JobAttemptCanceled(**about, kind=kind, progress=progress)
    yield said.SetJobProgress(**about, progress=older)
    yield said.SetJobProgress(**about, progress=newer)


def statuses() -> Iterator[Message]:
    for status in AttemptStatus:
        yield said.JobAttemptStatus(job_id=JOB_ID, attempt_id=CURRENT, status=status)


def limits() -> Iterator[Message]:
    for kind, instance in product(LimitKind, (INSTANCE, OTHER)):
        yield said.SetConcurrentJobLimit(job_type=TYPE, kind=kind, instance_id=instance)


def steering() -> Iterator[Message]:
    yield said.OverrideJobLimit(job_type=TYPE, concurrent_job_limit=3)
    yield said.OverrideJobLimit(job_type=TYPE, global_concurrent_job_limit=0, duration=1)
    for kind in (said.RevertJobLimit, said.PauseJobType, said.ResumeJobType, said.JobLimitOverrideElapsed):
        yield kind(job_type=TYPE)
    for kind, instance in product((said.DrainInstance, said.UndrainInstance), (INSTANCE, OTHER)):
        yield kind(instance_id=instance)


def between_sagas() -> Iterator[Message]:
    both: dict[str, Any] = {"job_id": JOB_ID, "attempt_id": CURRENT}
    yield said.JobSubmitted(job_id=JOB_ID)
    yield said.AllocateJobSlot(**both, job_type=TYPE)
    yield said.JobSlotAllocated(**both, instance_id=INSTANCE)
    yield said.JobSlotUnavailable(job_id=JOB_ID)
    yield said.StartJobAttempt(**both, job_type=TYPE, instance_id=INSTANCE)
    yield said.CancelJobAttempt(**both)
    yield said.FinalizeJobAttempt(**both)
    for attempt, instance in product((CURRENT, OTHER), (INSTANCE, OTHER, None)):
        yield said.JobSlotReleased(job_id=JOB_ID, job_type=TYPE, attempt_id=attempt, instance_id=instance)


def messages(address: str) -> list[Message]:
    """Every message this kind of saga hears, in every variant that matters."""
    everything = [
        *commands(),
        *deadlines(),
        *reports(CURRENT),
        *reports(OTHER),
        *statuses(),
        *limits(),
        *steering(),
    ]
    return [each for each in (*everything, *between_sagas()) if address in each.TO]


# Surroundings


def envs() -> Iterator[Env]:
    for checkpoint, finalize, chosen in product(checkpoints(), (False, True), (None, INSTANCE, OTHER)):
        yield Env(
            now=NOW, new_id=lambda: OTHER, checkpoint=checkpoint, finalize_completed=finalize, chosen=chosen
        )


def checkpoints() -> list[Checkpoint | None]:
    """Held by someone else; free; free, and the current attempt has got on."""
    free = Checkpoint(job_id=JOB_ID, attempt_id=CURRENT)
    return [None, free, free.but(advanced_by=CURRENT)]


def cases(name: str) -> Iterator[tuple[Any, Message, Env]]:
    """Every record, every message, all surroundings, for one of MACHINES."""
    machine, address = MACHINES[name]
    records: list[Any] = list({JOB: all_jobs, ATTEMPT: attempts, JOB_TYPE: job_types}[machine]())
    surroundings = [each for each in envs() if machine is JOB_TYPE or each.chosen is None]
    return product(records, messages(address), surroundings)
