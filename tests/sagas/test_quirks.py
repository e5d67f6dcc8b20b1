"""MassTransit's quirks, one by one: what is odd there, and a test that it is not so here.

The numbers are those of the table in docs/coming-from-masstransit.md. Most tests speak the language of the
transcripts; ``Play`` joins the three machines.
"""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest

from jobsaga import messages as said
from jobsaga.messages import AttemptStatus, CancelKind, Fault
from jobsaga.sagas import JOB, Job
from jobsaga.sagas.states import AttemptStates, JobStates
from tests.sagas.transcript import Play, named
from tests.sagas.world import START, TYPE

STARTING = ("w1: hosts videos, limit 1", "client: submits j1")
RUNNING = (*STARTING, "w1: takes a1", "w1: started a1")
J1, A1, A2 = named("j1"), named("a1"), named("a2")


@pytest.fixture
def play() -> Play:
    return Play()


def sent_to_workers(play: Play, kind: type[said.Message]) -> list[Any]:
    return [
        each.message for each in play.world.heard if each.address == "instance" and type(each.message) is kind
    ]


def published(play: Play) -> list[str]:
    return [event.name for event in play.world.events]


def test_q01_progress_never_goes_backwards(play: Play) -> None:
    play.say(*RUNNING, "w1: progress 2 of a1 is 20", "w1: progress 1 of a1 is 10")
    assert (play.job().progress_value, play.job().progress_sequence) == (20, 2)


def test_q02_state_saved_at_shutdown_reaches_the_next_attempt(play: Play) -> None:
    play.say(*RUNNING, "w1: saves frame 40 for a1", "w1: hands over a1")
    assert [start.job_state for start in sent_to_workers(play, said.StartJob)] == [None, "frame 40"]


@pytest.mark.parametrize("state", JobStates)
def test_q02_progress_is_no_error_in_any_state(play: Play, state: JobStates) -> None:
    progress = said.SetJobProgress(
        job_id=J1, attempt_id=A1, timestamp=START, progress=said.Progress(sequence=1, value=1)
    )
    assert JOB.step(Job(id=J1, state=state, attempt_id=A1), progress, play.world.env()).row is not None


def test_q02_progress_that_was_last_comes_with_the_end(play: Play) -> None:
    play.say(*RUNNING)
    last = said.Progress(sequence=7, value=70)
    play.report(said.JobAttemptCanceled, "a1", kind=CancelKind.SHUTDOWN, progress=last)
    assert play.job().progress_value == 70


def test_q03_a_lost_worker_is_a_field_and_no_text(play: Play) -> None:
    play.say(*RUNNING)
    play.report(said.JobAttemptFaulted, "a1", fault=Fault(type="ValueError", message="not found (Suspect)"))
    assert play.job().state is JobStates.FAULTED
    assert play.job().suspect_retries == 0
    assert named("w1") in play.world.types[TYPE].instances


def test_q03_an_instance_whose_lease_is_over_gets_no_more_jobs(play: Play) -> None:
    play.say(*RUNNING, "w1: falls silent", "clock: 15 s pass", "clock: 60 s pass")
    assert play.job().state is JobStates.WAITING_FOR_SLOT
    assert play.world.types[TYPE].instances == {}


def test_q04_each_kind_of_retry_has_a_budget_of_its_own(play: Play) -> None:
    play.say(*RUNNING, "w1: faulted a1 with IOError, retry in 0 s")
    play.say("w1: a2 was killed by signal 9", "clock: 1 s passes", "w1: hands over a3", "clock: 15 s pass")
    assert play.attempt("a4").outcome == "NotStarted"
    assert (play.job().policy_retries, play.job().suspect_retries, play.job().retry_attempt) == (1, 1, 2)
    play.say("w1: faulted a5 with IOError", "client: retries j1")
    assert (play.job().policy_retries, play.job().suspect_retries, play.job().retry_attempt) == (0, 0, 3)


def test_q05_a_retry_that_finds_no_slot_keeps_its_count(play: Play) -> None:
    play.say(*RUNNING, "client: submits j2", "w1: faulted a1 with IOError, retry in 30 s", "w1: started a2")
    play.say("clock: 60 s pass")
    assert play.job().state is JobStates.WAITING_FOR_SLOT
    play.say("w1: completed a2")
    assert (play.job().state, play.job().retry_attempt) == (JobStates.STARTING_JOB_ATTEMPT, 1)


def test_q06_run_now_is_only_for_a_job_that_waits_for_its_time(play: Play) -> None:
    play.say("client: submits j1", "client: submits j2 to start in 60 s")
    assert play.say("client: runs j1 now") == ["j1 RunJob ignored"]
    assert play.say("client: runs j2 now") == ["j2 RunJob WaitingToStart -> WaitingForSlot"]
    assert (play.job("j2").retry_attempt, play.job("j2").due_at) == (0, None)


def test_q14_a_deadline_that_is_said_too_early_changes_nothing(play: Play) -> None:
    play.say("client: submits j1 to start in 60 s")
    play.world.say(said.JobSlotWaitElapsed(job_id=J1))
    assert play.job().state is JobStates.WAITING_TO_START


def test_q14_a_start_deadline_read_before_the_start_was_heard_changes_nothing(play: Play) -> None:
    play.say(*STARTING, "w1: takes a1")
    play.world.now += timedelta(seconds=15)
    read_by_a_sweep = play.world.of_deadlines()
    play.say("w1: started a1")
    play.world.say(*read_by_a_sweep)
    assert [type(each) for each in read_by_a_sweep] == [said.JobStatusCheckRequested]
    assert play.attempt().state is AttemptStates.RUNNING


def test_q15_a_start_time_is_an_instant_whatever_its_offset(play: Play) -> None:
    there = timezone(timedelta(hours=-5))
    play.world.say(
        said.SubmitJob(
            job_id=J1, job_type=TYPE, start_at=(play.world.now + timedelta(hours=1)).astimezone(there)
        )
    )
    play.say("clock: 3599 s pass")
    assert play.job().state is JobStates.WAITING_TO_START
    play.say("clock: 1 s passes")
    assert play.job().state is JobStates.WAITING_FOR_SLOT


def test_q16_a_fault_while_starting_is_a_fault_like_any_other(play: Play) -> None:
    play.say(*STARTING, "w1: faulted a1 with IOError, retry in 30 s")
    assert (play.job().state, play.job().faulted_at) == (JobStates.WAITING_TO_RETRY, play.world.now)


def test_q17_a_cancel_that_was_pending_is_published_with_its_reason(play: Play) -> None:
    play.say(*RUNNING, "client: cancels j1 because of rain", "client: cancels j1 because of snow")
    play.say("client: finalizes j1", "w1: canceled a1")
    canceled = play.world.events[-1]
    assert (canceled.name, canceled.reason, play.job().reason) == ("JobCanceled", "of rain", "of rain")
    assert published(play).count("JobCanceled") == 1


def test_q18_a_cancel_while_waiting_to_retry_ends_the_delay(play: Play) -> None:
    play.say(*RUNNING, "w1: faulted a1 with IOError, retry in 30 s")
    elapsed = said.JobRetryDelayElapsed(job_id=J1)
    play.say("client: cancels j1")
    play.world.now += timedelta(seconds=30)
    assert play.world.of_deadlines() == []
    play.world.say(elapsed)
    assert play.job().state is JobStates.CANCELED
    play.say("client: retries j1")
    play.world.say(elapsed)
    assert (play.job().state, play.job().retry_attempt) == (JobStates.STARTING_JOB_ATTEMPT, 1)


def test_q19_a_start_that_is_said_twice_reaches_the_worker_once(play: Play) -> None:
    play.say(*STARTING)
    (start,) = [each.message for each in play.world.heard if type(each.message) is said.StartJobAttempt]
    play.world.say(start)
    assert len(sent_to_workers(play, said.StartJob)) == 1


def test_q20_an_attempt_that_its_worker_no_longer_knows_does_not_keep_its_job(play: Play) -> None:
    play.say(*RUNNING, "w1: does not know a1")
    assert (play.attempt().state, play.attempt().holds_slot) == (AttemptStates.FAULTED, False)
    assert play.job().state is JobStates.WAITING_TO_RETRY


def test_q20_the_saga_has_no_status_that_ends_an_attempt_behind_its_jobs_back() -> None:
    assert set(AttemptStatus) == {"Running", "Late", "Lost", "Unknown"}


def test_q21_late_words_are_no_errors_in_any_state_of_the_attempt(play: Play) -> None:
    play.say(*RUNNING, "w1: falls silent", "clock: 10 s pass")
    assert play.say("w1: started a1") == ["a1 JobAttemptStarted ignored", "j1 JobAttemptStarted(a1) ignored"]
    play.say("someone: holds the fence of j1", "clock: 5 s pass")
    assert play.attempt().state is AttemptStates.SUSPECT
    assert play.say("w1: started a1") == ["a1 JobAttemptStarted ignored", "j1 JobAttemptStarted(a1) ignored"]


@pytest.mark.parametrize("lines", [STARTING, RUNNING])
def test_q21_an_attempt_can_be_given_up_at_any_time(play: Play, lines: tuple[str, ...]) -> None:
    play.say(*lines)
    play.world.say(said.FinalizeJobAttempt(job_id=J1, attempt_id=A1))
    assert play.attempt().given_up


def test_q21_an_attempt_that_has_ended_need_not_be_canceled(play: Play) -> None:
    play.say(*RUNNING, "w1: faulted a1 with IOError")
    play.world.say(said.CancelJobAttempt(job_id=J1, attempt_id=A1))
    assert sent_to_workers(play, said.CancelJobAttempt) == []


@pytest.mark.parametrize(
    "end", ["w1: completed a1", "w1: faulted a1 with IOError", "w1: a1 canceled itself because so"]
)
def test_q22_every_ended_job_can_be_finalized_and_a_cancel_is_no_error(play: Play, end: str) -> None:
    play.say(*RUNNING, end)
    assert play.say("client: cancels j1") == ["j1 CancelJob ignored"]
    play.say("client: finalizes j1")
    assert play.world.jobs == {}


def test_q23_the_attempts_of_a_completed_job_are_kept_and_none_is_open(play: Play) -> None:
    play.say(*RUNNING, "w1: faulted a1 with IOError, retry in 0 s", "w1: completed a2")
    assert {key: each.state for key, each in play.world.attempts.items()} == {
        A1: AttemptStates.FAULTED,
        A2: AttemptStates.FINAL,
    }


def test_q24_a_job_is_finalized_with_all_its_attempts_at_once(play: Play) -> None:
    play.say(
        *RUNNING, "w1: faulted a1 with IOError, retry in 0 s", "w1: completed a2", "client: finalizes j1"
    )
    assert (play.world.jobs, play.world.attempts, play.world.checkpoints) == ({}, {}, {})


def test_q25_a_late_release_does_not_free_the_slot_of_the_next_attempt(play: Play) -> None:
    play.say(*RUNNING, "w1: faulted a1 with IOError, retry in 0 s")
    late = said.JobSlotReleased(job_id=J1, job_type=TYPE, attempt_id=A1, instance_id=named("w1"))
    assert JOB.step(play.job(), late, play.world.env(late)).saga.slot == A2


def test_q26_a_job_without_a_slot_releases_none(play: Play) -> None:
    play.say("client: submits j1", "client: cancels j1")
    play.say("client: submits j2 to start in 60 s", "client: cancels j2")
    assert [each for each in play.world.heard if type(each.message) is said.JobSlotReleased] == []


def test_q27_the_slots_of_a_dead_instance_do_not_count_against_the_global_limit(play: Play) -> None:
    play.say("w1: hosts videos, limit 1, global limit 1", "client: submits j1", "client: submits j2")
    play.say("w1: takes a1", "w1: started a1", "w2: hosts videos, limit 1, global limit 1")
    assert play.job("j2").state is JobStates.WAITING_FOR_SLOT
    play.say("w1: falls silent", "clock: 15 s pass")
    assert play.job("j2").state is JobStates.STARTING_JOB_ATTEMPT


def test_q29_a_completion_is_repeated_until_it_is_known_and_never_becomes_a_fault(play: Play) -> None:
    play.say(*RUNNING, "w1: completed a1", "w1: completed a1", "w1: faulted a1 with ConnectionError")
    assert play.job().state is JobStates.COMPLETED
    assert published(play) == ["JobSubmitted", "JobStarted", "JobCompleted"]


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (CancelKind.CONSUMER, JobStates.CANCELED),
        (CancelKind.USER, JobStates.CANCELED),
        (CancelKind.SHUTDOWN, JobStates.STARTING_JOB_ATTEMPT),
        (CancelKind.NOT_STARTED, JobStates.STARTING_JOB_ATTEMPT),
    ],
)
def test_q30_why_an_attempt_stopped_is_a_field_and_no_text(
    play: Play, kind: CancelKind, state: JobStates
) -> None:
    play.say(*RUNNING)
    play.report(said.JobAttemptCanceled, "a1", kind=kind, reason="Job Service Shutdown")
    assert play.job().state is state


def test_q31_a_second_submission_changes_nothing_and_tells_nobody(play: Play) -> None:
    play.say(*RUNNING)
    before = play.job()
    play.world.say(said.SubmitJob(job_id=J1, job_type="other", message={"other": True}, priority=9))
    assert play.job() is before
    assert published(play) == ["JobSubmitted", "JobStarted"]


def test_q33_every_start_is_a_new_attempt_also_after_a_shutdown(play: Play) -> None:
    play.say(*RUNNING, "w1: hands over a1")
    assert [start.attempt_id for start in sent_to_workers(play, said.StartJob)] == [A1, A2]


def test_q35_a_job_that_waits_for_a_slot_costs_nothing(play: Play) -> None:
    play.say("client: submits j1")
    before = play.job()
    assert play.say("clock: 86400 s pass") == []
    assert play.job() is before


def test_q35_a_start_time_may_be_years_away(play: Play) -> None:
    play.say("client: submits j1 to start in 315360000 s")
    assert play.say("clock: 315359999 s pass") == []
    play.say("clock: 1 s passes")
    assert play.job().state is JobStates.WAITING_FOR_SLOT
