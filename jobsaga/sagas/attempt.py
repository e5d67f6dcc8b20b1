"""One try to run a job on one instance: from the start message to its worker's last word.

An attempt holds its slot until its worker says that it has ended, or the worker's lease is over; also
when the job has moved on. Giving an attempt up begins with moving the job's fence, so that nothing
the attempt saves later counts. While someone's transaction holds the fence the attempt stays SUSPECT
and is looked at again a second later.

Attempts that have ended are kept, in FINAL (completed, canceled) or FAULTED. What their worker says
after that changes nothing and is written to the history.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from jobsaga.messages import (
    AttemptStatus,
    CancelJobAttempt,
    CancelKind,
    Ended,
    Fault,
    FinalizeJobAttempt,
    JobAttemptCanceled,
    JobAttemptCompleted,
    JobAttemptFaulted,
    JobAttemptStarted,
    JobAttemptStatus,
    JobSlotReleased,
    JobStatusCheckRequested,
    Message,
    StartJob,
    StartJobAttempt,
)
from jobsaga.sagas.machine import Effects, EndSession, Env, Machine, MoveFence, Note, On, Send, ignore
from jobsaga.sagas.records import Attempt
from jobsaga.sagas.states import AttemptStates

S = AttemptStates
Step = tuple[Attempt, Effects]
#: How long a start message may go unanswered.
START_TIMEOUT = timedelta(seconds=15)
#: What the saga gives a worker beyond its own timeouts before it steps in.
BACKSTOP_SLACK = timedelta(seconds=10)
FENCE_RETRY = timedelta(seconds=1)
LOST = {
    AttemptStatus.LOST: "Its worker was lost: no heartbeat before its lease was over",
    AttemptStatus.UNKNOWN: "Its worker does not run it",
}


# Conditions


def never_received(attempt: Attempt, message: Message, env: Env) -> bool:
    return attempt.received_at is None


def is_not_due(attempt: Attempt, message: JobStatusCheckRequested, env: Env) -> bool:
    return attempt.due_at is None or attempt.due_at > env.now


def is_running(attempt: Attempt, message: JobAttemptStatus, env: Env) -> bool:
    return message.status is AttemptStatus.RUNNING


def is_late(attempt: Attempt, message: JobAttemptStatus, env: Env) -> bool:
    return message.status is AttemptStatus.LATE


def is_given_up(attempt: Attempt, message: Message, env: Env) -> bool:
    return attempt.given_up


def is_given_up_and_gone(attempt: Attempt, message: JobAttemptStatus, env: Env) -> bool:
    return attempt.given_up and message.status in (AttemptStatus.LOST, AttemptStatus.UNKNOWN)


def is_gone_unreceived(attempt: Attempt, message: JobAttemptStatus, env: Env) -> bool:
    return message.status is AttemptStatus.LOST and attempt.received_at is None


def is_unknown_unreceived(attempt: Attempt, message: JobAttemptStatus, env: Env) -> bool:
    return message.status is AttemptStatus.UNKNOWN and attempt.received_at is None


def is_zombie(attempt: Attempt, message: Message, env: Env) -> bool:
    return attempt.suspect_at is not None and env.now - attempt.suspect_at >= env.zombie_grace


def fence_is_free(attempt: Attempt, message: Message, env: Env) -> bool:
    return env.checkpoint is not None


# Verbs


def create(attempt: Attempt, message: StartJobAttempt, env: Env) -> Step:
    attempt = attempt.but(
        job_id=message.job_id,
        job_type=message.job_type,
        instance_id=message.instance_id,
        run=message.run,
        retry_attempt=message.retry_attempt,
        scheduled_for=message.scheduled_for,
        holds_slot=True,
        concurrency_key=message.concurrency_key,
        created_at=env.now,
        due_at=env.now + START_TIMEOUT,
    )
    return attempt, [Send(StartJob(**msgspec.structs.asdict(message)))]


def note_start(attempt: Attempt, message: JobAttemptStarted, env: Env) -> Step:
    return attempt.but(
        started_at=message.timestamp, received_at=attempt.received_at or env.now, due_at=None
    ), ()


def arm_backstop(attempt: Attempt, message: JobAttemptStarted, env: Env) -> Step:
    """A worker enforces its timeouts; this deadline is for a worker that does not."""
    if message.job_timeout is None:
        return attempt, ()
    cancellation = env.job_cancellation_timeout.total_seconds()
    if message.job_cancellation_timeout is not None:
        cancellation = message.job_cancellation_timeout
    longest = timedelta(seconds=message.job_timeout + cancellation)
    return attempt.but(due_at=env.now + longest + BACKSTOP_SLACK), ()


def note_completion(attempt: Attempt, message: JobAttemptCompleted, env: Env) -> Step:
    return ended(attempt, message, "Completed").but(result=message.result), ()


def note_fault(attempt: Attempt, message: JobAttemptFaulted, env: Env) -> Step:
    outcome = "Suspect" if message.suspect else "Faulted"
    return ended(attempt, message, outcome).but(fault=as_json(message.fault), reason=str(message.fault)), ()


def note_cancellation(attempt: Attempt, message: JobAttemptCanceled, env: Env) -> Step:
    outcome = "HandedOver" if message.kind is CancelKind.SHUTDOWN else "Canceled"
    outcome = "NotStarted" if message.kind is CancelKind.NOT_STARTED else outcome
    return ended(attempt, message, outcome).but(reason=message.reason), ()


def release_slot(attempt: Attempt, message: Message, env: Env) -> Step:
    if not attempt.holds_slot:
        return attempt, ()
    released = JobSlotReleased(
        job_id=attempt.job_id,
        job_type=attempt.job_type,
        attempt_id=attempt.id,
        instance_id=attempt.instance_id,
        concurrency_key=attempt.concurrency_key,
    )
    return attempt.but(holds_slot=False), [Send(released)]


def tell_worker(attempt: Attempt, message: CancelJobAttempt, env: Env) -> Step:
    return attempt, [
        Send(msgspec.structs.replace(message, instance_id=attempt.instance_id), to=("instance",))
    ]


def note_received(attempt: Attempt, message: JobAttemptStatus, env: Env) -> Step:
    return attempt.but(received_at=attempt.received_at or env.now, due_at=None), ()


def hand_back(attempt: Attempt, message: Message, env: Env) -> Step:
    """No user code ran: the job goes elsewhere and no retry is spent."""
    reason = "Its worker did not take the start message"
    said = JobAttemptCanceled(
        job_id=attempt.job_id,
        attempt_id=attempt.id,
        timestamp=env.now,
        reason=reason,
        kind=CancelKind.NOT_STARTED,
    )
    attempt = attempt.but(ended_at=env.now, outcome="NotStarted", reason=reason, due_at=None)
    return attempt, [Send(said, to=("job",))]


def withdraw(attempt: Attempt, message: FinalizeJobAttempt, env: Env) -> Step:
    return attempt.but(
        ended_at=env.now, outcome="Canceled", reason=message.reason, given_up=True, due_at=None
    ), ()


def give_up(attempt: Attempt, message: FinalizeJobAttempt, env: Env) -> Step:
    attempt = attempt.but(given_up=True, reason=message.reason, due_at=None)
    return attempt, [Note("JobAttemptGivenUp", message.reason)]


def suspect(attempt: Attempt, message: JobAttemptStatus, env: Env) -> Step:
    """Its worker is gone, but someone holds the fence: nothing is decided before it is free."""
    return attempt.but(
        reason=why(attempt, message), suspect_at=attempt.suspect_at or env.now, due_at=env.now + FENCE_RETRY
    ), ()


def report_lost(attempt: Attempt, message: Message, env: Env) -> Step:
    """Its worker is gone: move the fence, tell the job. Another budget than the job's own faults."""
    text = why(attempt, message)
    attempt = attempt.but(
        ended_at=env.now, outcome="Suspect", reason=text, given_up=True, due_at=None,
        fault={"type": "JobAttemptLost", "message": text, "traceback": ""},
    )  # fmt: skip
    return attempt, [MoveFence(None), Send(lost(attempt, "JobAttemptLost", text, env), to=("job",))]


def report_timeout(attempt: Attempt, message: JobStatusCheckRequested, env: Env) -> Step:
    """Its worker lives, but did not end it in time: give it up; its slot stays held until it ends."""
    text = "Its worker did not end it after its timeout"
    attempt = attempt.but(given_up=True, reason=text, due_at=None)
    return attempt, [MoveFence(None), Send(lost(attempt, "JobTimeout", text, env), to=("job",))]


def end_of_given_up(attempt: Attempt, message: Message, env: Env) -> Step:
    return attempt.but(ended_at=env.now, outcome=attempt.outcome or "Suspect", due_at=None), ()


def leave_to_the_lease(attempt: Attempt, message: Message, env: Env) -> Step:
    return attempt.but(due_at=None), ()


def try_the_fence_again(attempt: Attempt, message: Message, env: Env) -> Step:
    return attempt.but(due_at=env.now + FENCE_RETRY, suspect_at=attempt.suspect_at or env.now), ()


def end_session(attempt: Attempt, message: Message, env: Env) -> Step:
    return attempt, [
        EndSession(attempt.id),
        Note("SessionEnded", "Its transaction held the job's checkpoint"),
    ]


def note_silence(attempt: Attempt, message: JobAttemptStatus, env: Env) -> Step:
    return attempt, [Note("JobAttemptLate", message.reason)]


def note_return(attempt: Attempt, message: JobAttemptStatus, env: Env) -> Step:
    return attempt, [Note("JobAttemptBack", message.reason)]


def note_too_late(attempt: Attempt, message: Message, env: Env) -> Step:
    return attempt, [Note(f"{type(message).__name__}TooLate", message.summary)]


# Small print


def ended(attempt: Attempt, message: Ended | JobAttemptCanceled, outcome: str) -> Attempt:
    duration: timedelta = message.duration  # type: ignore[union-attr]
    return attempt.but(
        ended_at=message.timestamp,
        started_at=attempt.started_at or message.timestamp - duration,
        duration=duration,
        outcome=outcome,
        due_at=None,
    )


def why(attempt: Attempt, message: Message) -> str:
    """Why it counts as lost: the first sign of it stands."""
    if attempt.reason or not isinstance(message, JobAttemptStatus):
        return attempt.reason
    return message.reason or LOST[message.status]


def as_json(fault: Fault) -> dict[str, str]:
    return {"type": fault.type, "message": fault.message, "traceback": fault.traceback}


def lost(attempt: Attempt, fault_type: str, text: str, env: Env) -> JobAttemptFaulted:
    started = attempt.started_at or attempt.created_at or env.now
    return JobAttemptFaulted(
        job_id=attempt.job_id,
        attempt_id=attempt.id,
        timestamp=env.now,
        duration=max(env.now - started, timedelta(0)),
        fault=Fault(type=fault_type, message=text),
        suspect=True,
    )


def heard(attempt: Attempt, message: Message) -> bool:
    """Every message to an attempt names it by id: there is nothing to compare."""
    return True


# The table

TABLE = {
    S.INITIAL: [
        On(StartJobAttempt, do=(create,), to=S.STARTING),
        ignore(JobAttemptStarted, "no such attempt: its job was finalized"),
        ignore(JobAttemptCompleted, "no such attempt: its job was finalized"),
        ignore(JobAttemptFaulted, "no such attempt: its job was finalized"),
        ignore(JobAttemptCanceled, "no such attempt: its job was finalized"),
        ignore(CancelJobAttempt, "no such attempt: its job was finalized"),
        ignore(FinalizeJobAttempt, "no such attempt: its job was finalized"),
        ignore(JobStatusCheckRequested, "no such attempt: its job was finalized"),
        ignore(JobAttemptStatus, "no such attempt: its job was finalized"),
    ],
    S.STARTING: [
        On(JobAttemptStarted, do=(note_start, arm_backstop), to=S.RUNNING),
        On(JobAttemptCompleted, do=(note_completion, release_slot), to=S.FINAL),
        On(JobAttemptFaulted, do=(note_fault, release_slot), to=S.FAULTED),
        On(JobAttemptCanceled, do=(note_cancellation, release_slot), to=S.FINAL),
        On(CancelJobAttempt, do=(tell_worker,)),
        On(FinalizeJobAttempt, given=never_received, do=(withdraw, release_slot), to=S.FINAL),
        On(FinalizeJobAttempt, do=(give_up,), to=S.SUSPECT),
        ignore(JobStatusCheckRequested, "its deadline has not come", given=is_not_due),
        On(JobStatusCheckRequested, given=never_received, do=(hand_back, release_slot), to=S.FAULTED),
        On(JobStatusCheckRequested, do=(leave_to_the_lease,)),
        On(JobAttemptStatus, given=is_running, do=(note_received,)),
        On(JobAttemptStatus, given=is_gone_unreceived, do=(hand_back, release_slot), to=S.FAULTED),
        ignore(JobAttemptStatus, "its worker is late, but may take it yet", given=is_late),
        ignore(JobAttemptStatus, "the start message is still on its way", given=is_unknown_unreceived),
        On(JobAttemptStatus, given=fence_is_free, do=(report_lost, release_slot), to=S.FAULTED),
        On(JobAttemptStatus, do=(suspect,), to=S.SUSPECT),
        ignore(StartJobAttempt, "said twice: its worker was told already"),
    ],
    S.RUNNING: [
        On(JobAttemptCompleted, do=(note_completion, release_slot), to=S.FINAL),
        On(JobAttemptFaulted, do=(note_fault, release_slot), to=S.FAULTED),
        On(JobAttemptCanceled, do=(note_cancellation, release_slot), to=S.FINAL),
        On(CancelJobAttempt, do=(tell_worker,)),
        On(FinalizeJobAttempt, do=(give_up,), to=S.SUSPECT),
        ignore(JobStatusCheckRequested, "its deadline has not come", given=is_not_due),
        On(JobStatusCheckRequested, given=fence_is_free, do=(report_timeout,), to=S.SUSPECT),
        On(JobStatusCheckRequested, given=is_zombie, do=(end_session, try_the_fence_again)),
        On(JobStatusCheckRequested, do=(try_the_fence_again,)),
        ignore(JobAttemptStatus, "as it should be", given=is_running),
        On(JobAttemptStatus, given=is_late, do=(note_silence,), to=S.CHECKING_STATUS),
        On(JobAttemptStatus, given=fence_is_free, do=(report_lost, release_slot), to=S.FAULTED),
        On(JobAttemptStatus, do=(suspect,), to=S.SUSPECT),
        ignore(StartJobAttempt, "said twice: it runs already"),
        ignore(JobAttemptStarted, "said twice: it runs already"),
    ],
    S.CHECKING_STATUS: [
        On(JobAttemptCompleted, do=(note_completion, release_slot), to=S.FINAL),
        On(JobAttemptFaulted, do=(note_fault, release_slot), to=S.FAULTED),
        On(JobAttemptCanceled, do=(note_cancellation, release_slot), to=S.FINAL),
        On(CancelJobAttempt, do=(tell_worker,)),
        On(FinalizeJobAttempt, do=(give_up,), to=S.SUSPECT),
        ignore(JobStatusCheckRequested, "its deadline has not come", given=is_not_due),
        On(JobStatusCheckRequested, given=fence_is_free, do=(report_timeout,), to=S.SUSPECT),
        On(JobStatusCheckRequested, given=is_zombie, do=(end_session, try_the_fence_again)),
        On(JobStatusCheckRequested, do=(try_the_fence_again,)),
        On(JobAttemptStatus, given=is_running, do=(note_return,), to=S.RUNNING),
        ignore(JobAttemptStatus, "that is known", given=is_late),
        On(JobAttemptStatus, given=fence_is_free, do=(report_lost, release_slot), to=S.FAULTED),
        On(JobAttemptStatus, do=(suspect,), to=S.SUSPECT),
        ignore(StartJobAttempt, "said twice: it runs already"),
        ignore(JobAttemptStarted, "said twice: it runs already"),
    ],
    S.SUSPECT: [
        On(JobAttemptCompleted, do=(note_completion, release_slot), to=S.FINAL),
        On(JobAttemptFaulted, do=(note_fault, release_slot), to=S.FAULTED),
        On(JobAttemptCanceled, do=(note_cancellation, release_slot), to=S.FINAL),
        On(CancelJobAttempt, do=(tell_worker,)),
        On(FinalizeJobAttempt, do=(give_up,)),
        ignore(JobStatusCheckRequested, "given up, or asked a moment ago", given=is_not_due),
        On(JobStatusCheckRequested, given=fence_is_free, do=(report_lost, release_slot), to=S.FAULTED),
        On(JobStatusCheckRequested, given=is_zombie, do=(end_session, try_the_fence_again)),
        On(JobStatusCheckRequested, do=(try_the_fence_again,)),
        On(JobAttemptStatus, given=is_given_up_and_gone, do=(end_of_given_up, release_slot), to=S.FAULTED),
        ignore(
            JobAttemptStatus,
            "given up, and its worker lives: the slot is held until it ends",
            given=is_given_up,
        ),
        ignore(JobAttemptStatus, "it was lost: only the fence is waited for", given=is_running),
        ignore(JobAttemptStatus, "that is known", given=is_late),
        On(JobAttemptStatus, given=fence_is_free, do=(report_lost, release_slot), to=S.FAULTED),
        ignore(JobAttemptStatus, "that is known: its own deadline asks for the fence again"),
        ignore(StartJobAttempt, "said twice: it was started long ago"),
        ignore(JobAttemptStarted, "it may have started, but nobody waits for it"),
    ],
    S.FAULTED: [
        On(JobAttemptCompleted, do=(note_too_late,)),
        ignore(StartJobAttempt, "it has ended: a new try is a new attempt"),
        ignore(JobAttemptStarted, "it has ended"),
        ignore(JobAttemptFaulted, "said twice: it has ended"),
        ignore(JobAttemptCanceled, "it has ended: what was known first stands"),
        ignore(CancelJobAttempt, "it has ended: there is nothing to cancel"),
        ignore(FinalizeJobAttempt, "it has ended: there is nothing to give up"),
        ignore(JobStatusCheckRequested, "it has ended: it waits for nothing"),
        ignore(JobAttemptStatus, "it has ended: nobody asks"),
    ],
    S.FINAL: [
        ignore(StartJobAttempt, "it has ended: a new try is a new attempt"),
        ignore(JobAttemptStarted, "it has ended: its end overtook its start"),
        ignore(JobAttemptCompleted, "said twice: it has ended"),
        ignore(JobAttemptFaulted, "it has ended: what was known first stands"),
        ignore(JobAttemptCanceled, "said twice: it has ended"),
        ignore(CancelJobAttempt, "it has ended: there is nothing to cancel"),
        ignore(FinalizeJobAttempt, "it has ended: there is nothing to give up"),
        ignore(JobStatusCheckRequested, "it has ended: it waits for nothing"),
        ignore(JobAttemptStatus, "it has ended: nobody asks"),
    ],
}

ATTEMPT: Machine[Attempt] = Machine(AttemptStates, TABLE, heard)
