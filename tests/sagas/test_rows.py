"""What a step leaves in the rows, whichever row of the table it was: the same for every case there can be."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from jobsaga import messages as said
from jobsaga.messages import CancelKind, Message
from jobsaga.sagas import ATTEMPT, JOB, Attempt, Env, Job, Machine, On
from jobsaga.sagas.job import note_start_by_its_end
from jobsaga.sagas.machine import Outcome, Publish, Send
from jobsaga.sagas.states import (
    ENDED_JOB_STATES,
    OPEN_ATTEMPT_STATES,
    TRANSIENT_JOB_STATES,
    AttemptStates,
    JobStates,
    State,
)
from tests.sagas import cases
from tests.sagas.cases import CURRENT, NOW

S, A = JobStates, AttemptStates
RUNS = {S.STARTING_JOB_ATTEMPT, S.STARTED, S.CANCELLATION_PENDING}
WAITS = {S.WAITING_TO_START, S.WAITING_FOR_SLOT, S.WAITING_TO_RETRY}
EVENT_OF = {S.COMPLETED: "JobCompleted", S.FAULTED: "JobFaulted", S.CANCELED: "JobCanceled"}
Step = tuple[Any, Message, Env, Outcome[Any]]


@cache
def steps(name: str) -> list[Step]:
    """Every case of one machine in which something is done, with what came of it."""
    machine = cases.MACHINES[name][0]
    outcomes = ((*case, machine.step(*case)) for case in cases.cases(name))
    return [step for step in outcomes if step[3].row is not None and not step[3].row.ignored]


def arrivals(*states: JobStates) -> Iterator[tuple[Job, Message, Env, Job]]:
    """Every step by which a job comes into one of these states."""
    for job, message, env, outcome in steps("job"):
        if outcome.saga.state in states and job.state is not outcome.saga.state:
            yield job, message, env, outcome.saga


# Jobs


def test_the_last_progress_is_kept_however_the_attempt_ends() -> None:
    for job, message, _, outcome in steps("job"):
        if job.state in RUNS and isinstance(message, said.Ended) and message.progress:
            newer = message.progress.sequence > job.progress_sequence
            assert (outcome.saga.progress_value == message.progress.value) == newer


def test_a_fault_is_noted_unless_the_job_was_being_canceled() -> None:
    for job, message, _, outcome in steps("job"):
        if isinstance(message, said.JobAttemptFaulted):
            after = outcome.saga
            noted = job.state is not S.CANCELLATION_PENDING
            assert bool(after.fault) == (after.faulted_at == message.timestamp) == noted
            assert not noted or after.reason == str(message.fault)


def test_a_job_that_waits_has_no_current_attempt() -> None:
    for job, _, _, after in arrivals(*WAITS):
        if job.attempt_id is None or job.state in RUNS | ENDED_JOB_STATES:
            assert after.attempt_id is None


def test_a_retry_by_policy_or_after_a_loss_is_counted_once_and_in_its_own_account() -> None:
    for job, message, env, after in arrivals(S.WAITING_TO_RETRY):
        assert isinstance(message, said.JobAttemptFaulted)
        assert after.policy_retries == job.policy_retries + (not message.suspect)
        got_on = env.checkpoint is not None and env.checkpoint.advanced_by == job.attempt_id
        spent = 0 if got_on else job.suspect_retries
        assert after.suspect_retries == (spent + 1 if message.suspect else job.suspect_retries)
        delay = env.suspect_job_retry_delay if message.suspect else message.retry_delay
        assert delay is not None
        assert after.due_at == NOW + delay


def test_a_retry_at_once_is_said_at_once() -> None:
    for _, message, _, outcome in steps("job"):
        if outcome.saga.state is S.WAITING_TO_RETRY and isinstance(message, said.JobAttemptFaulted):
            at_once = not message.suspect and not message.retry_delay
            elapsed = [each for each in outcome.effects if isinstance(each, Send)]
            assert bool(elapsed) == at_once


def test_a_job_comes_to_the_queue_with_its_place() -> None:
    for job, message, _, after in arrivals(S.WAITING_FOR_SLOT):
        assert after.queued_at is not None
        assert after.finished_at is None
        retried = isinstance(message, said.JobRetryDelayElapsed | said.RetryJob)
        assert after.retry_attempt == job.retry_attempt + retried


def test_a_retry_by_hand_starts_everything_anew() -> None:
    for job, message, _, after in arrivals(S.WAITING_FOR_SLOT):
        if isinstance(message, said.RetryJob) and job.state in ENDED_JOB_STATES:
            assert (after.policy_retries, after.suspect_retries, after.reason, after.fault) == (
                0,
                0,
                "",
                None,
            )
            assert (after.cancel_requested_at, after.cancel_reason, after.queued_at) == (None, "", NOW)


def test_every_end_is_dated_and_published_once() -> None:
    """The end of a run that another one follows is published too, and has no date: the job goes on."""
    ends = said.Ended | said.CancelJob | said.CancelRecurringJob | said.JobCancellationTimeoutElapsed
    for job, message, _, outcome in steps("job"):
        if isinstance(message, ends):
            published = [each.event.name for each in outcome.effects if isinstance(each, Publish)]
            wanted = end_told(job, message, outcome.saga)
            assert [name for name in published if name in EVENT_OF.values()] == wanted
            if wanted:
                goes_on = outcome.saga.state is S.WAITING_TO_START
                assert outcome.saga.finished_at == (None if goes_on else NOW)


def end_told(job: Job, message: Message, after: Job) -> list[str]:
    """The event that this step must publish, if any."""
    if after.state in EVENT_OF:
        return [EVENT_OF[after.state]]
    if after.state is S.FINAL or isinstance(message, said.JobAttemptCompleted):
        return ["JobCompleted"]
    if after.state is not S.WAITING_TO_START or job.state is S.WAITING_TO_START:
        return []
    failed = isinstance(message, said.JobAttemptFaulted) and job.state is not S.CANCELLATION_PENDING
    return ["JobFaulted" if failed else "JobCanceled"]


def test_a_run_that_is_left_out_has_no_end_to_tell() -> None:
    for job, message, _, outcome in steps("job"):
        if isinstance(message, said.JobSlotWaitElapsed) and job.recurring:
            assert [each for each in outcome.effects if isinstance(each, Publish)] == []


def test_each_run_begins_with_a_number_and_a_clean_sheet() -> None:
    fresh = Job(id=cases.JOB_ID)
    cleared = (
        "retry_attempt", "policy_retries", "suspect_retries", "started_at", "completed_at", "faulted_at", "finished_at",
        "duration", "reason", "fault", "result", "progress_value", "progress_sequence", "cancel_requested_at",
        "cancel_reason", "cancellation_timeout", "attempt_id",
    )  # fmt: skip
    for job, message, _, after in arrivals(S.WAITING_FOR_SLOT):
        if job.recurring and job.state is S.WAITING_TO_START:
            assert after.run == job.run + 1
            assert {name: getattr(after, name) for name in cleared} == {
                name: getattr(fresh, name) for name in cleared
            }
            planned = isinstance(message, said.JobSlotWaitElapsed)
            assert (after.scheduled_for is not None) == planned


def test_an_occurrence_is_taken_in_its_time_and_the_next_one_is_later() -> None:
    for job, message, env, after in arrivals(S.WAITING_FOR_SLOT):
        if job.recurring and isinstance(message, said.JobSlotWaitElapsed) and job.state is S.WAITING_TO_START:
            assert job.next_start_at <= after.scheduled_for <= env.now
            assert after.next_start_at is None or after.next_start_at > env.now


def test_a_completed_job_has_a_result_and_no_fault() -> None:
    for _, message, _, outcome in steps("job"):
        if isinstance(message, said.JobAttemptCompleted):
            after = outcome.saga
            assert (after.completed_at, after.duration) == (message.timestamp, message.duration)
            assert (after.fault, after.faulted_at, after.reason) == (None, None, "")


def test_a_canceled_job_has_the_reason_of_its_cancel() -> None:
    for job, message, _, after in arrivals(S.CANCELED):
        assert after.reason == after.cancel_reason
        if isinstance(message, said.CancelJob):
            assert (after.reason, after.cancel_requested_at) == ("Cancellation Requested", NOW)
        if isinstance(message, said.JobAttemptCanceled) and job.state is not S.CANCELLATION_PENDING:
            assert after.reason == "Consumer Initiated"


def test_a_slot_is_free_when_its_attempt_has_released_it() -> None:
    for job, message, _, outcome in steps("job"):
        if isinstance(message, said.JobSlotReleased):
            assert outcome.saga.slot == (None if job.slot == message.attempt_id else job.slot)


def test_each_start_of_an_attempt_is_noted() -> None:
    for _, message, _, outcome in steps("job"):
        if isinstance(message, said.JobAttemptStarted):
            assert (outcome.saga.started_at, len(outcome.effects)) == (message.timestamp, 1)
            assert outcome.saga.cancellation_timeout == message.job_cancellation_timeout


# Attempts


def test_an_attempt_that_has_ended_says_when_and_how() -> None:
    for attempt, message, _, outcome in steps("attempt"):
        after = outcome.saga
        if attempt.state in OPEN_ATTEMPT_STATES and after.state not in OPEN_ATTEMPT_STATES:
            assert after.ended_at is not None
            assert after.outcome == outcome_of(message, attempt)
            assert after.due_at is None


def outcome_of(message: Message, attempt: Attempt) -> str:
    """What its end is called."""
    if isinstance(message, said.JobAttemptCanceled):
        special = {CancelKind.SHUTDOWN: "HandedOver", CancelKind.NOT_STARTED: "NotStarted"}
        return special.get(message.kind, "Canceled")
    if isinstance(message, said.JobAttemptFaulted):
        return "Suspect" if message.suspect else "Faulted"
    if isinstance(message, said.JobAttemptCompleted):
        return "Completed"
    if isinstance(message, said.FinalizeJobAttempt):
        return "Canceled"
    never_taken = attempt.state is A.STARTING and attempt.received_at is None
    return "NotStarted" if never_taken else "Suspect"


def test_an_attempt_that_was_found_lost_has_a_reason() -> None:
    for _, message, _, outcome in steps("attempt"):
        if isinstance(message, said.JobAttemptStatus) and outcome.saga.outcome == "Suspect":
            assert outcome.saga.reason or outcome.saga.given_up
        if (
            outcome.row is not None
            and outcome.row.to is A.SUSPECT
            and isinstance(message, said.JobAttemptStatus)
        ):
            assert outcome.saga.reason
            assert outcome.saga.suspect_at is not None


def test_an_attempt_that_no_worker_has_taken_is_withdrawn_and_any_other_is_given_up() -> None:
    for attempt, message, _, outcome in steps("attempt"):
        if isinstance(message, said.FinalizeJobAttempt):
            never_taken = attempt.state is A.STARTING and attempt.received_at is None
            assert outcome.saga.state is (A.FINAL if never_taken else A.SUSPECT)
            assert outcome.saga.given_up


# Rows that must be alike


def verbs(machine: Machine[Any], state: State, message: type[Message]) -> list[tuple[Any, ...]]:
    def told(row: On) -> tuple[Any, ...]:
        return (row.given, tuple(verb for verb in row.do if verb is not note_start_by_its_end), row.to)

    return [told(row) for row in machine.rows[state, message]]


ENDS = (said.JobAttemptCompleted, said.JobAttemptFaulted, said.JobAttemptCanceled)


@pytest.mark.parametrize("message", [*ENDS, said.CancelJob, said.SetJobProgress, said.JobSlotReleased])
def test_a_job_whose_start_was_not_told_yet_ends_like_any_other(message: type[Message]) -> None:
    assert verbs(JOB, S.STARTING_JOB_ATTEMPT, message) == verbs(JOB, S.STARTED, message)


@pytest.mark.parametrize("state", [A.STARTING, A.CHECKING_STATUS, A.SUSPECT])
@pytest.mark.parametrize("message", [*ENDS, said.CancelJobAttempt])
def test_an_attempt_ends_alike_in_every_open_state(state: AttemptStates, message: type[Message]) -> None:
    assert verbs(ATTEMPT, state, message) == verbs(ATTEMPT, A.RUNNING, message)


@pytest.mark.parametrize("message", [said.FinalizeJobAttempt, said.JobStatusCheckRequested])
def test_a_late_heartbeat_changes_no_other_rule(message: type[Message]) -> None:
    assert verbs(ATTEMPT, A.CHECKING_STATUS, message) == verbs(ATTEMPT, A.RUNNING, message)


@pytest.mark.parametrize("message", [said.RetryJob, said.FinalizeJob, said.CancelJob])
def test_a_faulted_and_a_canceled_job_may_be_asked_the_same(message: type[Message]) -> None:
    assert verbs(JOB, S.FAULTED, message) == verbs(JOB, S.CANCELED, message)


def test_the_stored_states_are_covered() -> None:
    """The steps above lead into every state that a job can come into."""
    reached = {outcome.saga.state for _, _, _, outcome in steps("job")}
    assert reached >= set(JobStates) - TRANSIENT_JOB_STATES
    assert CURRENT in {job.attempt_id for job, *_ in steps("job")}
