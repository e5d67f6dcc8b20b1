"""Every pair of a state and a message has a row, written by hand, and following it never fails."""

from __future__ import annotations

from typing import Any

import pytest

from jobsaga.messages import Message
from jobsaga.sagas import Attempt, Job, Machine, On
from jobsaga.sagas import attempt as attempt_module
from jobsaga.sagas import job as job_module
from jobsaga.sagas import job_type as job_type_module
from jobsaga.sagas.machine import Unexpected
from jobsaga.sagas.states import (
    OPEN_ATTEMPT_STATES,
    TRANSIENT_JOB_STATES,
    AttemptStates,
    JobStates,
    JobTypeStates,
    State,
)
from tests.sagas import cases
from tests.sagas.cases import CURRENT, INSTANCE, JOB_ID, MACHINES, NOW
from tests.sagas.world import TYPE, World

TABLES = {"job": job_module.TABLE, "attempt": attempt_module.TABLE, "job type": job_type_module.TABLE}
every_machine = pytest.mark.parametrize("name", MACHINES)


def pairs(name: str) -> dict[tuple[State, type[Message]], list[On]]:
    return MACHINES[name][0].rows


@every_machine
def test_every_state_and_message_has_a_row(name: str) -> None:
    machine, address = MACHINES[name]
    wanted = {(state, message) for state in machine.states for message in cases.messages_for(address)}
    assert set(pairs(name)) == wanted


def test_every_message_is_heard_by_someone() -> None:
    heard = {message for name in MACHINES for _, message in pairs(name)}
    elsewhere = {each for each in cases.concrete_messages() if set(each.TO) & {"instance", "history"}}
    assert heard | elsewhere == set(cases.concrete_messages())


@every_machine
def test_no_row_is_a_default(name: str) -> None:
    """A row is of one state and one message: whoever adds either is asked about every pair."""
    for state, rows in TABLES[name].items():
        assert isinstance(state, State)
        assert {row.message for row in rows} <= set(cases.concrete_messages())


@every_machine
def test_the_rows_of_a_pair_cover_everything(name: str) -> None:
    """The last row holds whatever is the case, and no other: nothing falls through, nothing is hidden."""
    for pair, rows in pairs(name).items():
        *conditional, last = rows
        assert last.given is None, pair
        assert all(row.given is not None for row in conditional), pair


@every_machine
def test_every_ignored_row_has_a_reason(name: str) -> None:
    for pair, rows in pairs(name).items():
        for row in rows:
            if row.ignored:
                assert len(row.because.split()) >= 2, (pair, row)
            else:
                assert not row.because, (pair, "only silence needs a reason")


@every_machine
def test_no_case_fails_and_every_row_is_followed_by_some(name: str) -> None:
    machine = MACHINES[name][0]
    unused = {id(row): (pair, row) for pair, rows in pairs(name).items() for row in rows}
    for record, message, env in cases.cases(name):
        outcome = machine.step(record, message, env)
        unused.pop(id(outcome.row), None)
        if outcome.row is None or outcome.row.ignored:
            assert outcome.saga is record
            assert not outcome.effects
    assert list(unused.values()) == []


def test_the_cases_have_every_message_in_every_variant() -> None:
    for machine, address in MACHINES.values():
        assert {type(each) for each in cases.messages(address)} == {message for _, message in machine.rows}


def test_a_pair_without_a_row_is_an_error() -> None:
    message = next(cases.commands())
    machine: Machine[Job] = Machine(JobStates, {}, lambda job, message: True)
    with pytest.raises(Unexpected, match="SubmitJob during Initial has no row"):
        machine.step(Job(id=JOB_ID), message, next(cases.envs()))


# What is passed through is never stored


def stored_worlds() -> list[World]:
    """A job in each stored state, with an attempt in each state that goes with it, and room for one job or none."""
    never_stored = TRANSIENT_JOB_STATES | {JobStates.FINAL}
    stored = [job for job in cases.jobs() if job.state not in never_stored and is_coherent(job)]
    return [
        world_of(job, attempt) for job in stored for attempt in cases.attempts() if goes_with(job, attempt)
    ]


def is_coherent(job: Job) -> bool:
    deadline = job.state in job_module.DEADLINES
    rests = job.slot in ((CURRENT,) if job.attempt_id else (None, CURRENT))
    typical = job.suspect_retries == 0 and job.started_at is None
    return (
        typical and (job.due_at is not None) == deadline and rests and (job.attempt_id is None) == waits(job)
    )


def waits(job: Job) -> bool:
    return job.state in {JobStates.WAITING_TO_START, JobStates.WAITING_FOR_SLOT, JobStates.WAITING_TO_RETRY}


def goes_with(job: Job, attempt: Attempt) -> bool:
    is_open = attempt.state in OPEN_ATTEMPT_STATES
    if attempt.suspect_at or attempt.state is AttemptStates.INITIAL or is_open != (job.slot is not None):
        return False
    if attempt.given_up and (attempt.state is not AttemptStates.SUSPECT or attempt.due_at is not None):
        return False
    return is_open or attempt.due_at is None


def world_of(job: Job, attempt: Attempt) -> World:
    world = World(now=NOW, given=10)
    world.host(INSTANCE)
    world.jobs[job.id], world.attempts[attempt.id] = job, attempt
    world.checkpoints[job.id] = next(each for each in cases.checkpoints() if each is not None)
    if attempt.holds_slot:
        job_type = world.types[TYPE]
        instance = job_type.instances[INSTANCE].but(active=1)
        world.types[TYPE] = job_type.but(state=JobTypeStates.ACTIVE, active=1, instances={INSTANCE: instance})
    return world


def copy_of(world: World, **changes: Any) -> World:
    rows = {name: dict(getattr(world, name)) for name in ("jobs", "attempts", "types", "checkpoints")}
    return World(now=world.now, given=world.given, **{**rows, **changes})


def test_no_transaction_leaves_a_job_in_a_transient_state() -> None:
    """``World.say`` checks that after each; here it is said to every job that can be stored."""
    outside = [
        *cases.commands(),
        *cases.deadlines(),
        *cases.reports(CURRENT),
        *cases.statuses(),
        *cases.limits(),
    ]
    worlds = stored_worlds()
    assert {job.state for world in worlds for job in world.jobs.values()} == set(
        JobStates
    ) - TRANSIENT_JOB_STATES - {JobStates.FINAL}
    for world in worlds:
        for message in outside:
            for held in (set(), {JOB_ID}):
                copy_of(world, held=held).say(message)
