"""The job, from submission to its end: slots, retries, faults, cancellation.

``TABLE`` is the whole behaviour and holds every condition; the verbs above it are straight lines. A
job in WAITING_FOR_SLOT is runnable; the engine says JobSlotWaitElapsed to it when there is room, and
SUBMITTED and ALLOCATING_JOB_SLOT are passed through inside that one transaction.

A report is heard only if it comes from the job's current attempt (``heard``). ``attempt_id`` is
cleared when an attempt is given up or handed over, so nothing it says later changes the job. ``slot``
outlives that: it names the attempt that holds the job's slot until its worker says it has ended, and
a job whose old attempt still holds one gets no other, and is not removed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from jobsaga.messages import (
    AddOrUpdateRecurringJob,
    AllocateJobSlot,
    CancelJob,
    CancelJobAttempt,
    CancelKind,
    CancelRecurringJob,
    Ended,
    FinalizeJob,
    FinalizeJobAttempt,
    JobAttemptCanceled,
    JobAttemptCompleted,
    JobAttemptFaulted,
    JobAttemptStarted,
    JobCancellationTimeoutElapsed,
    JobEvent,
    JobRetryDelayElapsed,
    JobSlotAllocated,
    JobSlotReleased,
    JobSlotUnavailable,
    JobSlotWaitElapsed,
    JobSubmitted,
    Message,
    Progress,
    Report,
    RetryJob,
    RunJob,
    SetJobProgress,
    StartJobAttempt,
    SubmitJob,
)
from jobsaga.sagas import samples
from jobsaga.sagas.machine import (
    Effects,
    EndSession,
    Env,
    Machine,
    MoveFence,
    Note,
    On,
    Publish,
    Send,
    ignore,
)
from jobsaga.sagas.records import Job
from jobsaga.sagas.recurrence import (
    add_again,
    begin_extra_run,
    does_not_recur,
    end_recurrence,
    end_without_next,
    goes_on,
    has_no_occurrence,
    is_about_another_run,
    is_left_out,
    is_left_out_for_good,
    is_left_out_for_good_and_goes,
    last_attempt_may_go_on,
    leave_out,
    next_run_is_not_the_last,
    note_recurrence,
    recurs,
    says_nothing_new,
    skip_last_run,
    skip_run,
    take_occurrence,
    update,
    wait_for_next,
)
from jobsaga.sagas.states import JobStates

S = JobStates
Step = tuple[Job, Effects]
#: What the saga gives a worker beyond its cancellation timeout before it stops waiting for its word.
CANCELLATION_SLACK = timedelta(seconds=10)
FENCE_RETRY = timedelta(seconds=1)


# Conditions


def starts_later(job: Job, message: Message, env: Env) -> bool:
    return job.due_at is not None and job.due_at > env.now


def is_not_due(job: Job, message: Message, env: Env) -> bool:
    return job.due_at is None or job.due_at > env.now


def start_is_known(job: Job, message: JobAttemptStarted, env: Env) -> bool:
    return job.started_at == message.timestamp


def is_suspect_and_may_retry(job: Job, message: JobAttemptFaulted, env: Env) -> bool:
    return message.suspect and suspect_retries_spent(job, env) < env.suspect_job_retry_count


def policy_says_at_once(job: Job, message: JobAttemptFaulted, env: Env) -> bool:
    return not message.suspect and message.retry_delay is not None and not message.retry_delay


def policy_says_later(job: Job, message: JobAttemptFaulted, env: Env) -> bool:
    return not message.suspect and message.retry_delay is not None


def is_handed_over(job: Job, message: JobAttemptCanceled, env: Env) -> bool:
    return message.kind in (CancelKind.SHUTDOWN, CancelKind.NOT_STARTED)


def is_newer_progress(job: Job, message: SetJobProgress, env: Env) -> bool:
    return message.progress.sequence > job.progress_sequence


def fence_is_free(job: Job, message: Message, env: Env) -> bool:
    return env.checkpoint is not None


def fence_is_free_and_it_goes_on(job: Job, message: Message, env: Env) -> bool:
    return fence_is_free(job, message, env) and goes_on(job, message, env)


def is_zombie(job: Job, message: Message, env: Env) -> bool:
    return env.now >= cancellation_deadline(job, env) + env.zombie_grace


def is_put_off(job: Job, message: SubmitJob, env: Env) -> bool:
    """The same job at another time, which has not come yet, or with something else in it."""
    at = message.start_at
    return not job.recurring and at is not None and at > env.now and with_submission(job, message) != job


def is_put_forward(job: Job, message: SubmitJob, env: Env) -> bool:
    """The same job at a time that has come."""
    return not job.recurring and message.start_at is not None and message.start_at <= env.now


def completed_jobs_go(job: Job, message: Message, env: Env) -> bool:
    """A recurrence that was canceled stays: if it were gone, the next deploy would begin it anew."""
    was_canceled = bool(job.recurring_name) and not job.recurring
    return env.finalize_completed and not was_canceled


# Verbs


def note_submission(job: Job, message: SubmitJob, env: Env) -> Step:
    job = with_submission(job, message).but(submitted_at=env.now, submitted_by=message.actor)
    submitted = JobSubmitted(job_id=job.id, title=job.title, actor=message.actor)
    return job, [Send(submitted), publish(job, "JobSubmitted", env)]


def tell_submission(job: Job, message: AddOrUpdateRecurringJob, env: Env) -> Step:
    return job, [publish(job, "JobSubmitted", env)]


def reschedule(job: Job, message: SubmitJob, env: Env) -> Step:
    note = Note("JobRescheduled", f"to start at {message.start_at}", actor=message.actor)
    return with_submission(job, message), [note]


def enqueue(job: Job, message: Message, env: Env) -> Step:
    return job.but(queued_at=job.queued_at or env.now, due_at=None), ()


def enqueue_last(job: Job, message: Message, env: Env) -> Step:
    return job.but(queued_at=env.now, due_at=None), ()


def request_slot(job: Job, message: JobSlotWaitElapsed, env: Env) -> Step:
    request = AllocateJobSlot(
        job_id=job.id,
        job_type=job.job_type,
        attempt_id=env.new_id(),
        properties=job.properties,
        concurrency_key=job.concurrency_key,
        priority=job.priority,
        run=job.run,
        retry_attempt=job.retry_attempt,
    )
    return job, [Send(request)]


def start_attempt(job: Job, message: JobSlotAllocated, env: Env) -> Step:
    job = job.but(
        attempt_id=message.attempt_id, slot=message.attempt_id, progress_sequence=0, cancellation_timeout=None
    )
    before = env.checkpoint if env.checkpoint and env.checkpoint.run == job.run else None
    start = StartJobAttempt(
        job_id=job.id,
        attempt_id=message.attempt_id,
        job_type=job.job_type,
        instance_id=message.instance_id,
        run=job.run,
        retry_attempt=job.retry_attempt,
        policy_retries=job.policy_retries,
        message=job.message,
        message_version=job.message_version,
        properties=job.properties,
        concurrency_key=job.concurrency_key,
        headers=job.headers,
        progress_value=job.progress_value,
        progress_limit=job.progress_limit,
        job_state=before.state if before else None,
        scheduled_for=job.scheduled_for,
        follows_another=before is not None,
    )
    return job, [MoveFence(message.attempt_id, job.run), Send(start)]


def note_start(job: Job, message: JobAttemptStarted, env: Env) -> Step:
    job = job.but(started_at=message.timestamp, cancellation_timeout=message.job_cancellation_timeout)
    return job, [publish(job, "JobStarted", env, attempt_id=message.attempt_id)]


def note_start_by_its_end(job: Job, message: JobAttemptCompleted, env: Env) -> Step:
    job = job.but(started_at=message.timestamp - message.duration)
    return job, [publish(job, "JobStarted", env, attempt_id=message.attempt_id)]


def note_progress(job: Job, message: SetJobProgress, env: Env) -> Step:
    return with_progress(job, message.progress, env), ()


def note_last_progress(job: Job, message: Ended, env: Env) -> Step:
    if message.progress is None or message.progress.sequence <= job.progress_sequence:
        return job, ()
    return with_progress(job, message.progress, env), ()


def complete(job: Job, message: JobAttemptCompleted, env: Env) -> Step:
    job = job.but(
        completed_at=message.timestamp,
        finished_at=env.now,
        duration=message.duration,
        result=message.result,
        reason="",
        fault=None,
        faulted_at=None,
        due_at=None,
    )
    return job, [
        publish(
            job,
            "JobCompleted",
            env,
            attempt_id=message.attempt_id,
            duration=message.duration,
            result=message.result,
        )
    ]


def note_fault(job: Job, message: JobAttemptFaulted, env: Env) -> Step:
    fault = {
        "type": message.fault.type,
        "message": message.fault.message,
        "traceback": message.fault.traceback,
    }
    return job.but(
        faulted_at=message.timestamp, reason=str(message.fault), fault=fault, duration=message.duration
    ), ()


def give_up_attempt(job: Job, message: Message, env: Env) -> Step:
    return job.but(attempt_id=None), ()


def spend_suspect_retry(job: Job, message: JobAttemptFaulted, env: Env) -> Step:
    return job.but(
        suspect_retries=suspect_retries_spent(job, env) + 1, due_at=env.now + env.suspect_job_retry_delay
    ), ()


def spend_policy_retry(job: Job, message: JobAttemptFaulted, env: Env) -> Step:
    return job.but(
        policy_retries=job.policy_retries + 1, due_at=env.now + (message.retry_delay or timedelta(0))
    ), ()


def elapse_at_once(job: Job, message: JobAttemptFaulted, env: Env) -> Step:
    return job, [Send(JobRetryDelayElapsed(job_id=job.id))]


def begin_retry(job: Job, message: Message, env: Env) -> Step:
    return job.but(retry_attempt=job.retry_attempt + 1), ()


def begin_anew(job: Job, message: RetryJob, env: Env) -> Step:
    """A person's retry: both budgets start afresh, progress and saved state stay."""
    return job.but(
        attempt_id=None,
        policy_retries=0,
        suspect_retries=0,
        finished_at=None,
        faulted_at=None,
        fault=None,
        reason="",
        cancel_requested_at=None,
        cancel_requested_by="",
        cancel_reason="",
    ), ()


def fault(job: Job, message: JobAttemptFaulted, env: Env) -> Step:
    job = job.but(finished_at=env.now, due_at=None)
    return job, [
        publish(
            job, "JobFaulted", env, attempt_id=message.attempt_id, duration=message.duration, fault=message.fault,
            reason=job.reason,
        )
    ]  # fmt: skip


def note_cancellation(job: Job, message: CancelJob | CancelRecurringJob, env: Env) -> Step:
    return job.but(
        cancel_requested_at=env.now, cancel_requested_by=message.actor, cancel_reason=message.summary
    ), ()


def note_own_cancellation(job: Job, message: JobAttemptCanceled, env: Env) -> Step:
    return job.but(cancel_reason=message.reason or "Consumer Initiated"), ()


def cancel_attempt(job: Job, message: CancelJob | CancelRecurringJob, env: Env) -> Step:
    assert job.attempt_id is not None
    ask = CancelJobAttempt(job_id=job.id, attempt_id=job.attempt_id, reason=job.cancel_reason)
    return job.but(due_at=cancellation_deadline(job, env)), [Send(ask)]


def allow_its_own_timeout(job: Job, message: JobAttemptStarted, env: Env) -> Step:
    """The cancel met an attempt that had not started, so the type's own timeout was not known yet."""
    return job.but(due_at=cancellation_deadline(job, env)), ()


def cancel(job: Job, message: Message, env: Env) -> Step:
    job = job.but(finished_at=env.now, reason=job.cancel_reason, due_at=None)
    return job, [publish(job, "JobCanceled", env, attempt_id=job.attempt_id, reason=job.reason)]


def abandon_attempt(job: Job, message: JobCancellationTimeoutElapsed, env: Env) -> Step:
    assert job.attempt_id is not None
    given_up = FinalizeJobAttempt(
        job_id=job.id, attempt_id=job.attempt_id, reason="its worker did not end it in time after the cancel"
    )
    return job, [MoveFence(None), Send(given_up)]


def try_the_fence_again(job: Job, message: Message, env: Env) -> Step:
    return job.but(due_at=env.now + FENCE_RETRY), ()


def end_session(job: Job, message: Message, env: Env) -> Step:
    assert job.attempt_id is not None
    return job, [EndSession(job.attempt_id)]


def free_slot(job: Job, message: JobSlotReleased, env: Env) -> Step:
    return (job.but(slot=None) if job.slot == message.attempt_id else job), ()


# Small print


def with_submission(job: Job, message: SubmitJob) -> Job:
    return job.but(
        job_type=message.job_type,
        message=message.message,
        message_version=message.message_version,
        properties=message.properties,
        headers=message.headers,
        priority=message.priority,
        concurrency_key=message.concurrency_key,
        title=message.title,
        scheduled_for=message.start_at,
        due_at=message.start_at,
    )


def heard(job: Job, message: Message) -> bool:
    """A report counts only while its attempt is the current one."""
    return not isinstance(message, Report) or message.attempt_id == job.attempt_id


def suspect_retries_spent(job: Job, env: Env) -> int:
    """Lost workers since the job last got on: an attempt that saved a new state starts the count anew."""
    got_on = env.checkpoint is not None and job.attempt_id is not None
    return 0 if got_on and env.checkpoint.advanced_by == job.attempt_id else job.suspect_retries


def cancellation_deadline(job: Job, env: Env) -> datetime:
    timeout = env.job_cancellation_timeout
    if job.cancellation_timeout is not None:
        timeout = timedelta(seconds=job.cancellation_timeout)
    return (job.cancel_requested_at or env.now) + timeout + CANCELLATION_SLACK


def with_progress(job: Job, progress: Progress, env: Env) -> Job:
    return job.but(
        progress_samples=samples.add(job.samples, env.now, progress.value),
        progress_value=progress.value,
        progress_limit=progress.limit,
        progress_message=progress.message,
        progress_sequence=progress.sequence,
        progress_at=env.now,
    )


def publish(job: Job, name: str, env: Env, **details: Any) -> Publish:
    event = JobEvent(
        name=name,
        job_id=job.id,
        job_type=job.job_type,
        timestamp=env.now,
        message=job.message,
        properties=job.properties,
        run=job.run,
        retry_attempt=job.retry_attempt,
        **details,
    )
    return Publish(event)


# The table

TABLE = {
    S.INITIAL: [
        On(SubmitJob, do=(note_submission,), to=S.SUBMITTED),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(note_recurrence, tell_submission), to=S.SUBMITTED),
        ignore(JobSubmitted, "no such job: it was never submitted, or it was finalized"),
        ignore(CancelJob, "no such job: it was never submitted, or it was finalized"),
        ignore(RetryJob, "no such job: it was never submitted, or it was finalized"),
        ignore(RunJob, "no such job: it was never submitted, or it was finalized"),
        ignore(FinalizeJob, "no such job: it was never submitted, or it was finalized"),
        ignore(JobSlotWaitElapsed, "no such job: it was never submitted, or it was finalized"),
        ignore(JobSlotAllocated, "no such job: it was never submitted, or it was finalized"),
        ignore(JobSlotUnavailable, "no such job: it was never submitted, or it was finalized"),
        ignore(JobSlotReleased, "no such job: it was never submitted, or it was finalized"),
        ignore(JobRetryDelayElapsed, "no such job: it was never submitted, or it was finalized"),
        ignore(JobCancellationTimeoutElapsed, "no such job: it was never submitted, or it was finalized"),
        ignore(JobAttemptStarted, "no such job: it was never submitted, or it was finalized"),
        ignore(JobAttemptCompleted, "no such job: it was never submitted, or it was finalized"),
        ignore(JobAttemptFaulted, "no such job: it was never submitted, or it was finalized"),
        ignore(JobAttemptCanceled, "no such job: it was never submitted, or it was finalized"),
        ignore(SetJobProgress, "no such job: it was never submitted, or it was finalized"),
        ignore(CancelRecurringJob, "no such job: it was never submitted, or it was finalized"),
    ],
    S.SUBMITTED: [
        On(JobSubmitted, given=starts_later, to=S.WAITING_TO_START),
        On(JobSubmitted, do=(enqueue,), to=S.WAITING_FOR_SLOT),
        ignore(SubmitJob, "nothing from outside meets a job in this state"),
        ignore(CancelJob, "nothing from outside meets a job in this state"),
        ignore(RetryJob, "nothing from outside meets a job in this state"),
        ignore(RunJob, "nothing from outside meets a job in this state"),
        ignore(FinalizeJob, "nothing from outside meets a job in this state"),
        ignore(JobSlotWaitElapsed, "nothing from outside meets a job in this state"),
        ignore(JobSlotAllocated, "no slot was asked for yet"),
        ignore(JobSlotUnavailable, "no slot was asked for yet"),
        ignore(JobSlotReleased, "a new job has held no slot"),
        ignore(JobRetryDelayElapsed, "nothing from outside meets a job in this state"),
        ignore(JobCancellationTimeoutElapsed, "nothing from outside meets a job in this state"),
        ignore(JobAttemptStarted, "nothing from outside meets a job in this state"),
        ignore(JobAttemptCompleted, "nothing from outside meets a job in this state"),
        ignore(JobAttemptFaulted, "nothing from outside meets a job in this state"),
        ignore(JobAttemptCanceled, "nothing from outside meets a job in this state"),
        ignore(SetJobProgress, "nothing from outside meets a job in this state"),
        ignore(AddOrUpdateRecurringJob, "nothing from outside meets a job in this state"),
        ignore(CancelRecurringJob, "nothing from outside meets a job in this state"),
    ],
    S.WAITING_TO_START: [
        ignore(JobSlotWaitElapsed, "its time has not come", given=is_not_due),
        On(
            JobSlotWaitElapsed,
            given=is_left_out_for_good_and_goes,
            do=(leave_out, end_without_next),
            to=S.FINAL,
        ),
        On(JobSlotWaitElapsed, given=is_left_out_for_good, do=(leave_out, end_without_next), to=S.COMPLETED),
        On(JobSlotWaitElapsed, given=is_left_out, do=(leave_out, wait_for_next)),
        On(JobSlotWaitElapsed, given=recurs, do=(take_occurrence, enqueue), to=S.WAITING_FOR_SLOT),
        On(JobSlotWaitElapsed, do=(enqueue,), to=S.WAITING_FOR_SLOT),
        ignore(RunJob, "it is about another run", given=is_about_another_run),
        On(RunJob, given=recurs, do=(begin_extra_run, enqueue), to=S.WAITING_FOR_SLOT),
        On(RunJob, do=(enqueue,), to=S.WAITING_FOR_SLOT),
        ignore(CancelJob, "it is about another run", given=is_about_another_run),
        On(CancelJob, given=next_run_is_not_the_last, do=(skip_run, wait_for_next)),
        On(CancelJob, given=recurs, do=(skip_last_run, note_cancellation, cancel), to=S.CANCELED),
        On(CancelJob, do=(note_cancellation, cancel), to=S.CANCELED),
        ignore(CancelRecurringJob, "it does not recur: cancel the job", given=does_not_recur),
        On(
            CancelRecurringJob,
            do=(begin_extra_run, note_cancellation, end_recurrence, cancel),
            to=S.CANCELED,
        ),
        ignore(AddOrUpdateRecurringJob, "it says what is known", given=says_nothing_new),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(update, wait_for_next)),
        On(SubmitJob, given=is_put_off, do=(reschedule,)),
        On(SubmitJob, given=is_put_forward, do=(reschedule, enqueue), to=S.WAITING_FOR_SLOT),
        On(JobSlotReleased, do=(free_slot,)),
        ignore(SubmitJob, "a job of this id exists: saying it twice changes nothing"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(RetryJob, "it waits for its time: use run-now"),
        ignore(FinalizeJob, "only an ended job can be finalized: cancel it first"),
        ignore(JobSlotAllocated, "no slot was asked for"),
        ignore(JobSlotUnavailable, "no slot was asked for"),
        ignore(JobRetryDelayElapsed, "it does not wait for a retry"),
        ignore(JobCancellationTimeoutElapsed, "no cancel is pending"),
        ignore(JobAttemptStarted, "no attempt is under way"),
        ignore(JobAttemptCompleted, "no attempt is under way"),
        ignore(JobAttemptFaulted, "no attempt is under way"),
        ignore(JobAttemptCanceled, "no attempt is under way"),
        ignore(SetJobProgress, "no attempt is under way"),
    ],
    S.WAITING_FOR_SLOT: [
        ignore(JobSlotWaitElapsed, "its last attempt may still run", given=last_attempt_may_go_on),
        On(JobSlotWaitElapsed, do=(request_slot,), to=S.ALLOCATING_JOB_SLOT),
        ignore(CancelJob, "it is about another run", given=is_about_another_run),
        On(CancelJob, given=goes_on, do=(note_cancellation, cancel, wait_for_next), to=S.WAITING_TO_START),
        On(CancelJob, do=(note_cancellation, cancel), to=S.CANCELED),
        ignore(CancelRecurringJob, "it does not recur: cancel the job", given=does_not_recur),
        On(CancelRecurringJob, do=(note_cancellation, end_recurrence, cancel), to=S.CANCELED),
        ignore(AddOrUpdateRecurringJob, "it says what is known", given=says_nothing_new),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(update,)),
        On(JobSlotReleased, do=(free_slot,)),
        ignore(SubmitJob, "a job of this id exists: saying it twice changes nothing"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(RetryJob, "it is runnable already"),
        ignore(RunJob, "it is runnable already"),
        ignore(FinalizeJob, "only an ended job can be finalized: cancel it first"),
        ignore(JobSlotAllocated, "no slot was asked for"),
        ignore(JobSlotUnavailable, "no slot was asked for"),
        ignore(JobRetryDelayElapsed, "it does not wait for a retry"),
        ignore(JobCancellationTimeoutElapsed, "no cancel is pending"),
        ignore(JobAttemptStarted, "no attempt is under way"),
        ignore(JobAttemptCompleted, "no attempt is under way"),
        ignore(JobAttemptFaulted, "no attempt is under way"),
        ignore(JobAttemptCanceled, "no attempt is under way"),
        ignore(SetJobProgress, "no attempt is under way"),
    ],
    S.ALLOCATING_JOB_SLOT: [
        On(JobSlotAllocated, do=(start_attempt,), to=S.STARTING_JOB_ATTEMPT),
        On(JobSlotUnavailable, to=S.WAITING_FOR_SLOT),
        ignore(SubmitJob, "nothing from outside meets a job in this state"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(CancelJob, "nothing from outside meets a job in this state"),
        ignore(RetryJob, "nothing from outside meets a job in this state"),
        ignore(RunJob, "nothing from outside meets a job in this state"),
        ignore(FinalizeJob, "nothing from outside meets a job in this state"),
        ignore(JobSlotWaitElapsed, "a slot was asked for already"),
        ignore(JobSlotReleased, "no slot is asked for while an old attempt holds one"),
        ignore(JobRetryDelayElapsed, "nothing from outside meets a job in this state"),
        ignore(JobCancellationTimeoutElapsed, "nothing from outside meets a job in this state"),
        ignore(JobAttemptStarted, "nothing from outside meets a job in this state"),
        ignore(JobAttemptCompleted, "nothing from outside meets a job in this state"),
        ignore(JobAttemptFaulted, "nothing from outside meets a job in this state"),
        ignore(JobAttemptCanceled, "nothing from outside meets a job in this state"),
        ignore(SetJobProgress, "nothing from outside meets a job in this state"),
        ignore(AddOrUpdateRecurringJob, "nothing from outside meets a job in this state"),
        ignore(CancelRecurringJob, "nothing from outside meets a job in this state"),
    ],
    S.STARTING_JOB_ATTEMPT: [
        On(JobAttemptStarted, do=(note_start,), to=S.STARTED),
        On(
            JobAttemptCompleted,
            given=goes_on,
            do=(note_start_by_its_end, note_last_progress, complete, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(
            JobAttemptCompleted,
            given=completed_jobs_go,
            do=(note_start_by_its_end, note_last_progress, complete),
            to=S.FINAL,
        ),
        On(JobAttemptCompleted, do=(note_start_by_its_end, note_last_progress, complete), to=S.COMPLETED),
        On(
            JobAttemptFaulted,
            given=is_suspect_and_may_retry,
            do=(note_last_progress, note_fault, spend_suspect_retry, give_up_attempt),
            to=S.WAITING_TO_RETRY,
        ),
        On(
            JobAttemptFaulted,
            given=policy_says_at_once,
            do=(note_last_progress, note_fault, spend_policy_retry, give_up_attempt, elapse_at_once),
            to=S.WAITING_TO_RETRY,
        ),
        On(
            JobAttemptFaulted,
            given=policy_says_later,
            do=(note_last_progress, note_fault, spend_policy_retry, give_up_attempt),
            to=S.WAITING_TO_RETRY,
        ),
        On(
            JobAttemptFaulted,
            given=goes_on,
            do=(note_last_progress, note_fault, fault, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(JobAttemptFaulted, do=(note_last_progress, note_fault, fault), to=S.FAULTED),
        On(
            JobAttemptCanceled,
            given=is_handed_over,
            do=(note_last_progress, give_up_attempt, enqueue),
            to=S.WAITING_FOR_SLOT,
        ),
        On(
            JobAttemptCanceled,
            given=goes_on,
            do=(note_last_progress, note_own_cancellation, cancel, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(JobAttemptCanceled, do=(note_last_progress, note_own_cancellation, cancel), to=S.CANCELED),
        ignore(CancelJob, "it is about another run", given=is_about_another_run),
        On(CancelJob, do=(note_cancellation, cancel_attempt), to=S.CANCELLATION_PENDING),
        ignore(CancelRecurringJob, "it does not recur: cancel the job", given=does_not_recur),
        On(
            CancelRecurringJob,
            do=(note_cancellation, end_recurrence, cancel_attempt),
            to=S.CANCELLATION_PENDING,
        ),
        ignore(AddOrUpdateRecurringJob, "it says what is known", given=says_nothing_new),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(update,)),
        On(SetJobProgress, given=is_newer_progress, do=(note_progress,)),
        ignore(SetJobProgress, "older than what is known"),
        On(JobSlotReleased, do=(free_slot,)),
        ignore(SubmitJob, "a job of this id exists: saying it twice changes nothing"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(RetryJob, "it runs already"),
        ignore(RunJob, "run-now is for a job that waits for its time"),
        ignore(FinalizeJob, "only an ended job can be finalized: cancel it first"),
        ignore(JobSlotWaitElapsed, "it does not wait"),
        ignore(JobSlotAllocated, "no slot was asked for"),
        ignore(JobSlotUnavailable, "no slot was asked for"),
        ignore(JobRetryDelayElapsed, "it does not wait for a retry"),
        ignore(JobCancellationTimeoutElapsed, "no cancel is pending"),
    ],
    S.STARTED: [
        On(
            JobAttemptCompleted,
            given=goes_on,
            do=(note_last_progress, complete, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(JobAttemptCompleted, given=completed_jobs_go, do=(note_last_progress, complete), to=S.FINAL),
        On(JobAttemptCompleted, do=(note_last_progress, complete), to=S.COMPLETED),
        On(
            JobAttemptFaulted,
            given=is_suspect_and_may_retry,
            do=(note_last_progress, note_fault, spend_suspect_retry, give_up_attempt),
            to=S.WAITING_TO_RETRY,
        ),
        On(
            JobAttemptFaulted,
            given=policy_says_at_once,
            do=(note_last_progress, note_fault, spend_policy_retry, give_up_attempt, elapse_at_once),
            to=S.WAITING_TO_RETRY,
        ),
        On(
            JobAttemptFaulted,
            given=policy_says_later,
            do=(note_last_progress, note_fault, spend_policy_retry, give_up_attempt),
            to=S.WAITING_TO_RETRY,
        ),
        On(
            JobAttemptFaulted,
            given=goes_on,
            do=(note_last_progress, note_fault, fault, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(JobAttemptFaulted, do=(note_last_progress, note_fault, fault), to=S.FAULTED),
        On(
            JobAttemptCanceled,
            given=is_handed_over,
            do=(note_last_progress, give_up_attempt, enqueue),
            to=S.WAITING_FOR_SLOT,
        ),
        On(
            JobAttemptCanceled,
            given=goes_on,
            do=(note_last_progress, note_own_cancellation, cancel, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(JobAttemptCanceled, do=(note_last_progress, note_own_cancellation, cancel), to=S.CANCELED),
        ignore(CancelJob, "it is about another run", given=is_about_another_run),
        On(CancelJob, do=(note_cancellation, cancel_attempt), to=S.CANCELLATION_PENDING),
        ignore(CancelRecurringJob, "it does not recur: cancel the job", given=does_not_recur),
        On(
            CancelRecurringJob,
            do=(note_cancellation, end_recurrence, cancel_attempt),
            to=S.CANCELLATION_PENDING,
        ),
        ignore(AddOrUpdateRecurringJob, "it says what is known", given=says_nothing_new),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(update,)),
        On(SetJobProgress, given=is_newer_progress, do=(note_progress,)),
        ignore(SetJobProgress, "older than what is known"),
        On(JobSlotReleased, do=(free_slot,)),
        ignore(SubmitJob, "a job of this id exists: saying it twice changes nothing"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(RetryJob, "it runs already"),
        ignore(RunJob, "run-now is for a job that waits for its time"),
        ignore(FinalizeJob, "only an ended job can be finalized: cancel it first"),
        ignore(JobSlotWaitElapsed, "it does not wait"),
        ignore(JobSlotAllocated, "no slot was asked for"),
        ignore(JobSlotUnavailable, "no slot was asked for"),
        ignore(JobRetryDelayElapsed, "it does not wait for a retry"),
        ignore(JobCancellationTimeoutElapsed, "no cancel is pending"),
        ignore(JobAttemptStarted, "said twice"),
    ],
    S.WAITING_TO_RETRY: [
        ignore(JobRetryDelayElapsed, "its delay is not over", given=is_not_due),
        On(JobRetryDelayElapsed, do=(begin_retry, enqueue), to=S.WAITING_FOR_SLOT),
        On(RetryJob, do=(begin_retry, enqueue), to=S.WAITING_FOR_SLOT),
        ignore(CancelJob, "it is about another run", given=is_about_another_run),
        On(CancelJob, given=goes_on, do=(note_cancellation, cancel, wait_for_next), to=S.WAITING_TO_START),
        On(CancelJob, do=(note_cancellation, cancel), to=S.CANCELED),
        ignore(CancelRecurringJob, "it does not recur: cancel the job", given=does_not_recur),
        On(CancelRecurringJob, do=(note_cancellation, end_recurrence, cancel), to=S.CANCELED),
        ignore(AddOrUpdateRecurringJob, "it says what is known", given=says_nothing_new),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(update,)),
        On(JobSlotReleased, do=(free_slot,)),
        ignore(SubmitJob, "a job of this id exists: saying it twice changes nothing"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(RunJob, "use retry, which does not wait for the delay"),
        ignore(FinalizeJob, "only an ended job can be finalized: cancel it first"),
        ignore(JobSlotWaitElapsed, "it waits for its retry delay, not for a slot"),
        ignore(JobSlotAllocated, "no slot was asked for"),
        ignore(JobSlotUnavailable, "no slot was asked for"),
        ignore(JobCancellationTimeoutElapsed, "no cancel is pending"),
        ignore(JobAttemptStarted, "the attempt was over when the retry was decided"),
        ignore(JobAttemptCompleted, "the attempt was over when the retry was decided"),
        ignore(JobAttemptFaulted, "the attempt was over when the retry was decided"),
        ignore(JobAttemptCanceled, "the attempt was over when the retry was decided"),
        ignore(SetJobProgress, "the attempt was over when the retry was decided"),
    ],
    S.CANCELLATION_PENDING: [
        ignore(JobAttemptStarted, "said twice", given=start_is_known),
        On(JobAttemptStarted, do=(note_start, allow_its_own_timeout)),
        On(
            JobAttemptCompleted,
            given=goes_on,
            do=(note_last_progress, complete, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(JobAttemptCompleted, given=completed_jobs_go, do=(note_last_progress, complete), to=S.FINAL),
        On(JobAttemptCompleted, do=(note_last_progress, complete), to=S.COMPLETED),
        On(
            JobAttemptFaulted,
            given=goes_on,
            do=(note_last_progress, cancel, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(JobAttemptFaulted, do=(note_last_progress, cancel), to=S.CANCELED),
        On(
            JobAttemptCanceled,
            given=goes_on,
            do=(note_last_progress, cancel, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(JobAttemptCanceled, do=(note_last_progress, cancel), to=S.CANCELED),
        ignore(JobCancellationTimeoutElapsed, "its worker still has time", given=is_not_due),
        On(
            JobCancellationTimeoutElapsed,
            given=fence_is_free_and_it_goes_on,
            do=(abandon_attempt, cancel, wait_for_next),
            to=S.WAITING_TO_START,
        ),
        On(
            JobCancellationTimeoutElapsed,
            given=fence_is_free,
            do=(abandon_attempt, cancel, give_up_attempt),
            to=S.CANCELED,
        ),
        On(JobCancellationTimeoutElapsed, given=is_zombie, do=(end_session, try_the_fence_again)),
        On(JobCancellationTimeoutElapsed, do=(try_the_fence_again,)),
        On(SetJobProgress, given=is_newer_progress, do=(note_progress,)),
        ignore(SetJobProgress, "older than what is known"),
        On(JobSlotReleased, do=(free_slot,)),
        ignore(SubmitJob, "a job of this id exists: saying it twice changes nothing"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(CancelJob, "a cancel is under way: the first reason stands"),
        ignore(RetryJob, "refused until the cancel has ended it"),
        ignore(RunJob, "run-now is for a job that waits for its time"),
        ignore(FinalizeJob, "only an ended job can be finalized: cancel it first"),
        ignore(JobSlotWaitElapsed, "it does not wait"),
        ignore(JobSlotAllocated, "no slot was asked for"),
        ignore(JobSlotUnavailable, "no slot was asked for"),
        ignore(JobRetryDelayElapsed, "it does not wait for a retry"),
        ignore(CancelRecurringJob, "it does not recur: cancel the job", given=does_not_recur),
        On(CancelRecurringJob, do=(end_recurrence,)),
        ignore(AddOrUpdateRecurringJob, "it says what is known", given=says_nothing_new),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(update,)),
    ],
    S.COMPLETED: [
        ignore(FinalizeJob, "its last attempt may still run", given=last_attempt_may_go_on),
        On(FinalizeJob, to=S.FINAL),
        On(JobSlotReleased, do=(free_slot,)),
        ignore(SubmitJob, "a job of this id exists: saying it twice changes nothing"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(CancelJob, "the job has ended already"),
        ignore(RetryJob, "it completed: submit it again"),
        ignore(RunJob, "run-now is for a job that waits for its time"),
        ignore(JobSlotWaitElapsed, "it does not wait"),
        ignore(JobSlotAllocated, "no slot was asked for"),
        ignore(JobSlotUnavailable, "no slot was asked for"),
        ignore(JobRetryDelayElapsed, "it does not wait for a retry"),
        ignore(JobCancellationTimeoutElapsed, "no cancel is pending"),
        ignore(JobAttemptStarted, "the attempt has ended"),
        ignore(JobAttemptCompleted, "said twice"),
        ignore(JobAttemptFaulted, "the attempt has ended"),
        ignore(JobAttemptCanceled, "the attempt has ended"),
        ignore(SetJobProgress, "the attempt has ended"),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(add_again, wait_for_next), to=S.WAITING_TO_START),
        ignore(CancelRecurringJob, "its recurrence has ended already"),
    ],
    S.FAULTED: [
        On(RetryJob, do=(begin_anew, begin_retry, enqueue_last), to=S.WAITING_FOR_SLOT),
        ignore(FinalizeJob, "its last attempt may still run", given=last_attempt_may_go_on),
        On(FinalizeJob, to=S.FINAL),
        On(JobSlotReleased, do=(free_slot,)),
        ignore(SubmitJob, "a job of this id exists: saying it twice changes nothing"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(CancelJob, "the job has ended already"),
        ignore(RunJob, "run-now is for a job that waits for its time"),
        ignore(JobSlotWaitElapsed, "it does not wait"),
        ignore(JobSlotAllocated, "no slot was asked for"),
        ignore(JobSlotUnavailable, "no slot was asked for"),
        ignore(JobRetryDelayElapsed, "it does not wait for a retry"),
        ignore(JobCancellationTimeoutElapsed, "no cancel is pending"),
        ignore(JobAttemptStarted, "the attempt has ended"),
        ignore(JobAttemptCompleted, "what was decided first stands"),
        ignore(JobAttemptFaulted, "said twice"),
        ignore(JobAttemptCanceled, "the attempt has ended"),
        ignore(SetJobProgress, "the attempt has ended"),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(add_again, wait_for_next), to=S.WAITING_TO_START),
        ignore(CancelRecurringJob, "its recurrence has ended already"),
    ],
    S.CANCELED: [
        On(RetryJob, do=(begin_anew, begin_retry, enqueue_last), to=S.WAITING_FOR_SLOT),
        ignore(FinalizeJob, "its last attempt may still run", given=last_attempt_may_go_on),
        On(FinalizeJob, to=S.FINAL),
        On(JobSlotReleased, do=(free_slot,)),
        ignore(SubmitJob, "a job of this id exists: saying it twice changes nothing"),
        ignore(JobSubmitted, "it was submitted long ago"),
        ignore(CancelJob, "the job has ended already"),
        ignore(RunJob, "run-now is for a job that waits for its time"),
        ignore(JobSlotWaitElapsed, "it does not wait"),
        ignore(JobSlotAllocated, "no slot was asked for"),
        ignore(JobSlotUnavailable, "no slot was asked for"),
        ignore(JobRetryDelayElapsed, "it does not wait for a retry"),
        ignore(JobCancellationTimeoutElapsed, "no cancel is pending"),
        ignore(JobAttemptStarted, "the attempt has ended"),
        ignore(JobAttemptCompleted, "what was decided first stands"),
        ignore(JobAttemptFaulted, "canceled stays canceled"),
        ignore(JobAttemptCanceled, "said twice"),
        ignore(SetJobProgress, "the attempt has ended"),
        ignore(AddOrUpdateRecurringJob, "its schedule has no occurrence left", given=has_no_occurrence),
        On(AddOrUpdateRecurringJob, do=(add_again, wait_for_next), to=S.WAITING_TO_START),
        ignore(CancelRecurringJob, "its recurrence has ended already"),
    ],
    S.FINAL: [
        ignore(SubmitJob, "the id is spent until its job's row is gone"),
        ignore(JobSubmitted, "the job was finalized in this very transaction"),
        ignore(CancelJob, "the job was finalized in this very transaction"),
        ignore(RetryJob, "the job was finalized in this very transaction"),
        ignore(RunJob, "the job was finalized in this very transaction"),
        ignore(FinalizeJob, "the job was finalized in this very transaction"),
        ignore(JobSlotWaitElapsed, "the job was finalized in this very transaction"),
        ignore(JobSlotAllocated, "the job was finalized in this very transaction"),
        ignore(JobSlotUnavailable, "the job was finalized in this very transaction"),
        ignore(JobSlotReleased, "the job was finalized in this very transaction"),
        ignore(JobRetryDelayElapsed, "the job was finalized in this very transaction"),
        ignore(JobCancellationTimeoutElapsed, "the job was finalized in this very transaction"),
        ignore(JobAttemptStarted, "the job was finalized in this very transaction"),
        ignore(JobAttemptCompleted, "the job was finalized in this very transaction"),
        ignore(JobAttemptFaulted, "the job was finalized in this very transaction"),
        ignore(JobAttemptCanceled, "the job was finalized in this very transaction"),
        ignore(SetJobProgress, "the job was finalized in this very transaction"),
        ignore(AddOrUpdateRecurringJob, "the job was finalized in this very transaction"),
        ignore(CancelRecurringJob, "the job was finalized in this very transaction"),
    ],
}

JOB: Machine[Job] = Machine(JobStates, TABLE, heard)

#: The message that a job is told when its ``due_at`` has passed.
DEADLINES: dict[
    JobStates, type[JobSlotWaitElapsed | JobRetryDelayElapsed | JobCancellationTimeoutElapsed]
] = {
    S.WAITING_TO_START: JobSlotWaitElapsed,
    S.WAITING_TO_RETRY: JobRetryDelayElapsed,
    S.CANCELLATION_PENDING: JobCancellationTimeoutElapsed,
}
