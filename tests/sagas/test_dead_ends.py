"""No dead ends: every state can be reached, and has a way out that needs nobody's good will.

A job that is not final is runnable, or has a deadline, or rests on its attempt. An attempt that is open has a
deadline, or rests on its instance's lease; and when it ends, its job knows.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from jobsaga import messages as said
from jobsaga.messages import AttemptStatus, JobAttemptStatus, JobSlotWaitElapsed, JobStatusCheckRequested
from jobsaga.sagas import ATTEMPT, JOB, JOB_TYPE, Attempt, Machine
from jobsaga.sagas.job import DEADLINES
from jobsaga.sagas.machine import MoveFence, Send
from jobsaga.sagas.states import (
    ENDED_JOB_STATES,
    OPEN_ATTEMPT_STATES,
    TRANSIENT_JOB_STATES,
    AttemptStates,
    JobStates,
    JobTypeStates,
    State,
)
from tests.sagas import cases
from tests.sagas.cases import JOB_ID, NOW

RESTS_ON_ITS_ATTEMPT = {JobStates.STARTING_JOB_ATTEMPT, JobStates.STARTED}
RUNNABLE = {JobStates.WAITING_FOR_SLOT}
ATTEMPT_IS_OVER = {AttemptStates.FINAL, AttemptStates.FAULTED}


def ways(machine: Machine[Any]) -> dict[State, set[State]]:
    """Where one may go from each state, by the table."""
    found: dict[State, set[State]] = {state: set() for state in machine.states}
    for (state, _), rows in machine.rows.items():
        found[state] |= {row.to for row in rows if row.to is not None}
    return found


def reachable(machine: Machine[Any], start: State) -> set[State]:
    seen, queue, edges = {start}, deque([start]), ways(machine)
    while queue:
        for state in edges[queue.popleft()] - seen:
            seen.add(state)
            queue.append(state)
    return seen


# The tables as a map


@pytest.mark.parametrize(
    ("machine", "never"), [(JOB, set()), (ATTEMPT, set()), (JOB_TYPE, {JobTypeStates.FINAL})]
)
def test_every_state_can_be_reached(machine: Machine[Any], never: set[State]) -> None:
    assert reachable(machine, machine.states["INITIAL"]) == set(machine.states) - never


def test_every_job_can_reach_each_end() -> None:
    for state in set(JobStates) - ENDED_JOB_STATES - {JobStates.FINAL}:
        assert reachable(JOB, state) >= {JobStates.CANCELED, JobStates.COMPLETED}, state


def test_every_ended_job_can_be_finalized() -> None:
    for state in ENDED_JOB_STATES:
        assert JobStates.FINAL in ways(JOB)[state]


def test_every_attempt_can_reach_an_end_and_never_leaves_it() -> None:
    for state in OPEN_ATTEMPT_STATES:
        assert reachable(ATTEMPT, state) & ATTEMPT_IS_OVER
    for state in ATTEMPT_IS_OVER:
        assert ways(ATTEMPT)[state] == set()


def test_a_job_type_goes_to_and_fro() -> None:
    assert reachable(JOB_TYPE, JobTypeStates.IDLE) == {JobTypeStates.IDLE, JobTypeStates.ACTIVE}
    assert reachable(JOB_TYPE, JobTypeStates.ACTIVE) == {JobTypeStates.IDLE, JobTypeStates.ACTIVE}


# Jobs


def test_every_stored_job_is_runnable_or_has_a_deadline_or_rests_on_its_attempt() -> None:
    stored = set(JobStates) - TRANSIENT_JOB_STATES - ENDED_JOB_STATES - {JobStates.FINAL}
    assert stored == RUNNABLE | set(DEADLINES) | RESTS_ON_ITS_ATTEMPT


def test_a_job_has_a_deadline_exactly_where_one_leads_on() -> None:
    """Whatever leads into a state sets its deadline, and whatever leads out of it clears it."""
    for job, message, env in cases.cases("job"):
        if (job.due_at is not None) != (job.state in DEADLINES):
            continue
        after = JOB.step(job, message, env).saga
        if after.state not in TRANSIENT_JOB_STATES | {JobStates.FINAL}:
            assert (after.due_at is not None) == (after.state in DEADLINES), (job, message)


@pytest.mark.parametrize("state", DEADLINES)
def test_a_deadline_that_has_passed_leads_on(state: JobStates) -> None:
    overdue = [job for job in cases.jobs() if job.state is state and job.due_at and job.due_at <= NOW]
    assert overdue
    for job in overdue:
        for env in cases.envs():
            after = JOB.step(job, DEADLINES[state](job_id=JOB_ID), env).saga
            if env.checkpoint is not None or state is not JobStates.CANCELLATION_PENDING:
                assert after.state is not state
            assert after.due_at is None or after.due_at > NOW, "it would be asked again at once"


@pytest.mark.parametrize("state", DEADLINES)
def test_a_deadline_that_has_not_come_changes_nothing(state: JobStates) -> None:
    """The sweep's word is a hint: it was read before the lock, and the row decides."""
    for job in [each for each in cases.jobs() if each.state is state and each.due_at == cases.FUTURE]:
        for env in cases.envs():
            assert JOB.step(job, DEADLINES[state](job_id=JOB_ID), env).saga is job


def test_a_runnable_job_asks_for_a_slot_unless_its_old_attempt_holds_one() -> None:
    for job in [each for each in cases.jobs() if each.state in RUNNABLE]:
        outcome = JOB.step(job, JobSlotWaitElapsed(job_id=JOB_ID), next(cases.envs()))
        assert (outcome.saga.state is JobStates.ALLOCATING_JOB_SLOT) == (job.slot is None)


@pytest.mark.parametrize("state", RESTS_ON_ITS_ATTEMPT | {JobStates.CANCELLATION_PENDING})
def test_every_end_of_its_attempt_moves_the_job(state: JobStates) -> None:
    for job in [each for each in cases.jobs() if each.state is state]:
        for message in cases.reports(cases.CURRENT):
            if isinstance(message, said.Ended):
                for env in cases.envs():
                    assert JOB.step(job, message, env).saga.state not in RESTS_ON_ITS_ATTEMPT


# Attempts


def open_attempts() -> list[Attempt]:
    """Those that can be: an attempt in SUSPECT was given up, or has a deadline; no other one was given up."""
    return [
        each
        for each in cases.attempts()
        if each.state in OPEN_ATTEMPT_STATES
        and each.given_up == (each.state is AttemptStates.SUSPECT and each.due_at is None)
    ]


def test_an_attempt_begins_with_a_deadline() -> None:
    for message in cases.messages("attempt"):
        if isinstance(message, said.StartJobAttempt):
            new = ATTEMPT.step(Attempt(id=cases.CURRENT, job_id=JOB_ID), message, next(cases.envs())).saga
            assert new.state is AttemptStates.STARTING
            assert new.due_at is not None
            assert new.due_at > NOW


def test_an_attempts_deadline_that_has_passed_never_stays() -> None:
    question = JobStatusCheckRequested(job_id=JOB_ID, attempt_id=cases.CURRENT)
    for attempt in open_attempts():
        for env in cases.envs():
            after = ATTEMPT.step(attempt, question, env).saga
            if attempt.due_at is None or attempt.due_at > NOW:
                assert after is attempt
            else:
                assert after.due_at is None or after.due_at > NOW, "it would be asked again at once"


def test_a_lost_lease_ends_every_attempt_or_waits_for_the_fence_alone() -> None:
    lost = JobAttemptStatus(job_id=JOB_ID, attempt_id=cases.CURRENT, status=AttemptStatus.LOST)
    for attempt in open_attempts():
        for env in cases.envs():
            after = ATTEMPT.step(attempt, lost, env).saga
            if env.checkpoint is None and after.state not in ATTEMPT_IS_OVER:
                assert after.state is AttemptStates.SUSPECT
                assert after.due_at is not None
            else:
                assert after.state in ATTEMPT_IS_OVER
                assert not after.holds_slot


def test_an_attempt_holds_its_slot_exactly_while_it_is_open() -> None:
    for attempt, message, env in cases.cases("attempt"):
        outcome = ATTEMPT.step(attempt, message, env)
        after = outcome.saga
        assert after.holds_slot == (after.state in OPEN_ATTEMPT_STATES)
        released = [each for each in outcome.effects if is_send(each, said.JobSlotReleased)]
        assert len(released) == (attempt.holds_slot and not after.holds_slot)


def test_no_attempt_ends_without_its_jobs_knowledge() -> None:
    """It ends by a report, which its job hears too; or it says so; or its job had given it up."""
    for attempt, message, env in cases.cases("attempt"):
        outcome = ATTEMPT.step(attempt, message, env)
        ended = attempt.state in OPEN_ATTEMPT_STATES and outcome.saga.state in ATTEMPT_IS_OVER
        if not ended or attempt.given_up or isinstance(message, said.FinalizeJobAttempt):
            continue
        told = [each for each in outcome.effects if is_send(each, said.Ended)]
        assert "job" in message.TO or len(told) == 1, (attempt, message)


def test_whoever_gives_up_an_attempt_that_may_run_moves_its_fence() -> None:
    for attempt, message, env in cases.cases("attempt"):
        outcome = ATTEMPT.step(attempt, message, env)
        given_up = outcome.saga.given_up and not attempt.given_up
        if given_up and not isinstance(message, said.FinalizeJobAttempt):
            assert MoveFence(None) in outcome.effects
            assert env.checkpoint is not None
    for job, message, env in cases.cases("job"):
        effects = JOB.step(job, message, env).effects
        if any(is_send(each, said.FinalizeJobAttempt) for each in effects):
            assert effects[0] == MoveFence(None)
            assert env.checkpoint is not None


def is_send(effect: Any, kind: type[said.Message]) -> bool:
    return isinstance(effect, Send) and isinstance(effect.message, kind)


def test_the_admins_buttons_are_the_messages_that_change_something() -> None:
    commands = {said.CancelJob, said.RetryJob, said.RunJob, said.FinalizeJob}
    buttons = {state: JOB.accepts(state) & commands for state in JobStates}
    assert buttons[JobStates.WAITING_TO_START] == {said.CancelJob, said.RunJob}
    assert buttons[JobStates.WAITING_FOR_SLOT] == {said.CancelJob}
    assert buttons[JobStates.STARTED] == {said.CancelJob}
    assert buttons[JobStates.WAITING_TO_RETRY] == {said.CancelJob, said.RetryJob}
    assert buttons[JobStates.CANCELLATION_PENDING] == set()
    assert buttons[JobStates.COMPLETED] == {said.FinalizeJob}
    assert buttons[JobStates.FAULTED] == buttons[JobStates.CANCELED] == {said.RetryJob, said.FinalizeJob}


def test_a_recurrence_can_be_changed_in_every_state_and_ended_until_it_has_ended() -> None:
    commands = {said.AddOrUpdateRecurringJob, said.CancelRecurringJob}
    for state in set(JobStates) - TRANSIENT_JOB_STATES - {JobStates.FINAL}:
        ended = state in ENDED_JOB_STATES
        assert JOB.accepts(state) & commands == (commands - {said.CancelRecurringJob} if ended else commands)
