"""A job that runs again and again: its conditions and verbs, for the table in ``job``.

Theory of operation
  The recurrence is one row. ``next_start_at`` is the next occurrence that no run was made for; while the job
  waits for it (WAITING_TO_START), it is its deadline. A run is begun by taking an occurrence: ``run`` goes up,
  everything that the last run left is cleared, and ``next_start_at`` moves on in the same step, so that an
  occurrence is taken once, whoever asks how often. When the run has ended the job waits for the next one, or
  has ended too if there is none.

  An occurrence that comes while the last run is under way waits for its end: a recurrence never overlaps
  itself. Of several that have passed the latest counts. It is missed, too, if it is later than the grace:
  ``misfire`` says whether it is run all the same, or left out.

  Each end that is told of has a run of its own: a cancel between two runs is about the next one, which gets its
  number and never begins.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from jobsaga.messages import (
    AddOrUpdateRecurringJob,
    CancelJob,
    CancelRecurringJob,
    JobSlotWaitElapsed,
    JobSubmitted,
    Message,
    RunJob,
)
from jobsaga.sagas.machine import Effects, Env, Note, Send
from jobsaga.sagas.records import Job
from jobsaga.sagas.states import JobStates
from jobsaga.schedule import describe, latest_until, next_after

Step = tuple[Job, Effects]


# Conditions


def recurs(job: Job, message: Message, env: Env) -> bool:
    return job.recurring


def does_not_recur(job: Job, message: Message, env: Env) -> bool:
    return not job.recurring


def goes_on(job: Job, message: Message, env: Env) -> bool:
    """Another run follows this one."""
    return job.recurring and job.next_start_at is not None


def is_about_another_run(job: Job, message: CancelJob | RunJob, env: Env) -> bool:
    return message.run is not None and message.run != coming_run(job)


def next_run_is_not_the_last(job: Job, message: Message, env: Env) -> bool:
    return job.recurring and occurrence_after(job, due_occurrence(job, env)) is not None


def is_left_out(job: Job, message: JobSlotWaitElapsed, env: Env) -> bool:
    """Its time has come and gone, and the policy says to leave such a run out."""
    return job.recurring and job.misfire == "skip" and env.now - due_occurrence(job, env) > env.misfire_grace


def is_left_out_for_good(job: Job, message: JobSlotWaitElapsed, env: Env) -> bool:
    return is_left_out(job, message, env) and occurrence_after(job, env.now) is None


def is_left_out_for_good_and_goes(job: Job, message: JobSlotWaitElapsed, env: Env) -> bool:
    goes = env.finalize_completed and not last_attempt_may_go_on(job, message, env)
    return goes and is_left_out_for_good(job, message, env)


def last_attempt_may_go_on(job: Job, message: Message, env: Env) -> bool:
    """If such a job went, one of the same id could come, and would know nothing of the attempt that holds a slot."""
    return job.slot is not None


def has_no_occurrence(job: Job, message: AddOrUpdateRecurringJob, env: Env) -> bool:
    return occurrence_after(message, env.now) is None


def says_nothing_new(job: Job, message: AddOrUpdateRecurringJob, env: Env) -> bool:
    return job.recurring and job == described_by(job, message)


# Verbs


def note_recurrence(job: Job, message: AddOrUpdateRecurringJob, env: Env) -> Step:
    first = occurrence_after(message, env.now)
    job = described_by(job, message).but(
        run=0, submitted_at=env.now, submitted_by=message.actor, next_start_at=first, due_at=first
    )
    return job, [
        Note("RecurringJobAdded", in_words(job), actor=message.actor),
        Send(JobSubmitted(job_id=job.id, title=job.title, actor=message.actor)),
    ]


def update(job: Job, message: AddOrUpdateRecurringJob, env: Env) -> Step:
    """The schedule is counted anew only if it is another one, and not at the cost of an occurrence that is due:
    a deploy across 03:00 does not lose the nightly run. An attempt that is under way goes on as it began.
    """
    new = described_by(job, message)
    stays = job.recurring and (schedule_of(new) == schedule_of(job) or is_overdue(new, env))
    if not stays:
        new = new.but(next_start_at=occurrence_after(message, not_before(job, env)))
    return new, [Note("RecurringJobUpdated", in_words(new), actor=message.actor)]


def add_again(job: Job, message: AddOrUpdateRecurringJob, env: Env) -> Step:
    job = described_by(job, message).but(
        submitted_at=env.now,
        submitted_by=message.actor,
        next_start_at=occurrence_after(message, not_before(job, env)),
        finished_at=None,
        reason="",
        cancel_requested_at=None,
        cancel_requested_by="",
        cancel_reason="",
    )
    return job, [Note("RecurringJobAdded", in_words(job), actor=message.actor)]


def end_recurrence(job: Job, message: CancelRecurringJob, env: Env) -> Step:
    note = Note("RecurringJobCanceled", message.summary, actor=message.actor)
    return job.but(recurring=False, next_start_at=None), [note]


def take_occurrence(job: Job, message: JobSlotWaitElapsed, env: Env) -> Step:
    occurrence = due_occurrence(job, env)
    job, effects = begin_run(job, scheduled_for=occurrence)
    late: Effects = ()
    if job.next_start_at != occurrence:
        late = [
            Note("JobRunsMissed", f"Nothing ran from {job.next_start_at} until {occurrence}: one run now")
        ]
    return job.but(next_start_at=occurrence_after(job, occurrence)), [*effects, *late]


def begin_extra_run(job: Job, message: RunJob | CancelRecurringJob, env: Env) -> Step:
    return begin_run(job, scheduled_for=None)


def skip_run(job: Job, message: CancelJob, env: Env) -> Step:
    """A cancel between two runs is about the next one."""
    skipped = due_occurrence(job, env)
    job = job.but(run=job.run + 1, next_start_at=occurrence_after(job, skipped))
    text = f"The run of {skipped} is skipped, the next is at {job.next_start_at}"
    return job, [Note("JobRunSkipped", f"{text}: {message.summary}", actor=message.actor)]


def skip_last_run(job: Job, message: CancelJob, env: Env) -> Step:
    skipped = due_occurrence(job, env)
    job, effects = begin_run(job, scheduled_for=skipped)
    text = f"The run of {skipped} is skipped, and it was the last: {message.summary}"
    return job.but(next_start_at=None), [*effects, Note("JobRunSkipped", text, actor=message.actor)]


def leave_out(job: Job, message: JobSlotWaitElapsed, env: Env) -> Step:
    missed = due_occurrence(job, env)
    job = job.but(next_start_at=occurrence_after(job, env.now))
    return job, [Note("JobRunsMissed", f"The run of {missed} could not start in time and is left out")]


def wait_for_next(job: Job, message: Message, env: Env) -> Step:
    """What the last run left is kept to be read until the next one begins."""
    job = job.but(attempt_id=None, finished_at=None, queued_at=None, due_at=job.next_start_at)
    due = job.due_at is not None and job.due_at <= env.now
    return job, [Send(JobSlotWaitElapsed(job_id=job.id))] if due else []


def end_without_next(job: Job, message: JobSlotWaitElapsed, env: Env) -> Step:
    return job.but(finished_at=env.now, due_at=None), ()


# Small print


def begin_run(job: Job, scheduled_for: datetime | None) -> Step:
    job = job.but(
        run=job.run + 1,
        scheduled_for=scheduled_for,
        attempt_id=None,
        queued_at=None,
        retry_attempt=0,
        policy_retries=0,
        suspect_retries=0,
        started_at=None,
        completed_at=None,
        faulted_at=None,
        finished_at=None,
        duration=None,
        reason="",
        fault=None,
        result=None,
        progress_value=None,
        progress_limit=None,
        progress_message="",
        progress_sequence=0,
        progress_at=None,
        cancel_requested_at=None,
        cancel_requested_by="",
        cancel_reason="",
        cancellation_timeout=None,
    )
    return job, ()


def coming_run(job: Job) -> int:
    """The run that is under way, or the next."""
    return job.run + 1 if job.recurring and job.state is JobStates.WAITING_TO_START else job.run


def due_occurrence(job: Job, env: Env) -> datetime:
    """The latest occurrence whose time has come."""
    assert job.next_start_at is not None
    following = occurrence_after(job, job.next_start_at)
    if following is None or following > env.now:
        return job.next_start_at
    return latest_until(
        job.cron, following, env.now, time_zone=job.time_zone, start=job.start_at, end=job.end_at
    )


def occurrence_after(of: Job | AddOrUpdateRecurringJob, moment: datetime | None) -> datetime | None:
    return None if moment is None else _next_after(of.cron, moment, of.time_zone, of.start_at, of.end_at)


@lru_cache(maxsize=1000)
def _next_after(
    cron: str, moment: datetime, time_zone: str, start: datetime | None, end: datetime | None
) -> datetime | None:
    """Remembered: the conditions of a message's rows and the verbs of the one that is followed ask the same."""
    return next_after(cron, moment, time_zone=time_zone, start=start, end=end)


def is_overdue(job: Job, env: Env) -> bool:
    """Whether an occurrence has come that no run was made for, and the schedule begins no later."""
    due = job.next_start_at
    return due is not None and due <= env.now and (job.start_at is None or job.start_at <= due)


def not_before(job: Job, env: Env) -> datetime:
    """No occurrence up to here may be taken (again), whatever a clock that was set back says."""
    return max(env.now, job.scheduled_for or env.now)


def described_by(job: Job, message: AddOrUpdateRecurringJob) -> Job:
    return job.but(
        job_type=message.job_type,
        message=message.message,
        message_version=message.message_version,
        properties=message.properties,
        headers=message.headers,
        priority=message.priority,
        concurrency_key=message.concurrency_key,
        title=message.title,
        recurring=True,
        recurring_name=message.name,
        cron=message.cron,
        time_zone=message.time_zone,
        start_at=message.start_at,
        end_at=message.end_at,
        misfire=message.misfire,
        declared=message.declared,
    )


def schedule_of(job: Job) -> tuple[Any, ...]:
    return job.cron, job.time_zone, job.start_at, job.end_at


def in_words(job: Job) -> str:
    return f"{job.recurring_name}: {describe(job.cron, job.time_zone)}"
