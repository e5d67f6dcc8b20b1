"""What is promised of the sagas, on random walks: limits, slots, ways out, cancels, fences, doubled messages.

The numbers are those of the promises in the documentation. What the promises say of databases and processes is
tested where those are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any
from uuid import UUID

import pytest

from jobsaga import messages as said
from jobsaga.messages import CancelKind, Fault, Progress
from jobsaga.sagas import Job
from jobsaga.sagas.job import DEADLINES
from jobsaga.sagas.recurrence import occurrence_after
from jobsaga.sagas.states import ENDED_JOB_STATES, OPEN_ATTEMPT_STATES, JobStates
from tests.sagas.cases import MACHINES
from tests.sagas.walks import (
    BEGINNING,
    GLOBAL_LIMIT,
    JOBS,
    LIMIT,
    RECURRING,
    Step,
    Walk,
    shortened,
    steps_of,
    walked,
)
from tests.sagas.world import TYPE, Heard, World

ENDS = {"JobCompleted", "JobFaulted", "JobCanceled"}
FOR_EVER = timedelta(days=9999)
AFTER_A_CANCEL = {JobStates.CANCELLATION_PENDING, JobStates.CANCELED, JobStates.COMPLETED, JobStates.FINAL}


@walked
def test_promise_1_no_more_slots_are_held_than_the_limits_allow(steps: list[Step]) -> None:
    def watch(world: World, heard: list[Heard]) -> None:
        held = Counter(each.instance_id for each in world.attempts.values() if each.holds_slot)
        assert sum(held.values()) <= GLOBAL_LIMIT
        assert all(count <= LIMIT for count in held.values())

    Walk(watch=watch).run(steps)


@walked
def test_promise_2_every_slot_is_freed_exactly_once(steps: list[Step]) -> None:
    freed: Counter[UUID] = Counter()

    def watch(world: World, heard: list[Heard]) -> None:
        freed.update(each.message.attempt_id for each in heard if is_release(each))  # type: ignore[attr-defined]
        assert set(freed.values()) <= {1}

    world = Walk(watch=watch).run(steps).settle().world
    assert freed.keys() == {UUID(int=n + 1) for n in range(world.given)}
    assert world.types[TYPE].active == 0
    assert all(job.slot is None for job in world.jobs.values())
    assert not any(each.state in OPEN_ATTEMPT_STATES for each in world.attempts.values())


def is_release(heard: Heard) -> bool:
    return heard.address == "job" and isinstance(heard.message, said.JobSlotReleased)


@walked
def test_promise_3_every_job_that_is_not_final_is_runnable_or_has_a_deadline(steps: list[Step]) -> None:
    """A job whose slot is held rests on the attempt that holds it, and that one on its instance's lease."""

    def watch(world: World, heard: list[Heard]) -> None:
        for job in world.jobs.values():
            rests = job.slot in world.attempts and world.attempts[job.slot].holds_slot
            runnable = job.state is JobStates.WAITING_FOR_SLOT and (job.slot is None or rests)
            ended = job.state in ENDED_JOB_STATES
            assert runnable or ended or (job.state in DEADLINES and job.due_at is not None) or rests, job

    world = Walk(watch=watch).run(steps).settle().world
    waiting = {job.state for job in world.jobs.values()} - ENDED_JOB_STATES
    assert waiting <= {JobStates.WAITING_FOR_SLOT}


@walked
def test_promise_4_an_accepted_cancel_ends_the_run_in_canceled_unless_it_had_completed(
    steps: list[Step],
) -> None:
    canceled: set[tuple[UUID, int]] = set()

    def watch(world: World, heard: list[Heard]) -> None:
        for each in heard:
            if each.address != "job":
                continue
            assert each.outcome is not None
            before, after = each.before, each.outcome.saga
            accepted = each.outcome.row is not None and not each.outcome.row.ignored
            if accepted and isinstance(each.message, said.RetryJob):
                canceled.discard((each.key, before.run))
            if before.state is JobStates.INITIAL:
                canceled.difference_update({run for run in canceled if run[0] == each.key})
            if (each.key, after.run) in canceled:
                between_runs = {JobStates.WAITING_TO_START} if after.recurring else set()
                assert after.state in AFTER_A_CANCEL | between_runs
            if accepted and isinstance(each.message, said.CancelJob | said.CancelRecurringJob):
                canceled.add((each.key, after.run))

    walk = Walk(watch=watch).run(steps).settle()
    for job in walk.world.jobs.values():
        if (job.id, job.run) in canceled:
            assert job.state in {JobStates.CANCELED, JobStates.COMPLETED}


@walked
def test_promise_5_only_the_current_attempt_changes_the_job(steps: list[Step]) -> None:
    """The current attempt is the one that was started last, until it has ended or was given up."""
    last: dict[UUID, UUID] = {}

    def watch(world: World, heard: list[Heard]) -> None:
        for each in heard:
            if each.address == "attempt" and isinstance(each.message, said.StartJobAttempt):
                last[each.message.job_id] = each.key
            if each.address == "job" and isinstance(each.message, said.Report):
                assert each.outcome is not None
                current = last.get(each.key) == each.message.attempt_id
                assert current or each.outcome.saga is each.before
        for job_id, checkpoint in world.checkpoints.items():
            owner = world.attempts.get(checkpoint.attempt_id) if checkpoint.attempt_id else None
            assert owner is None or (owner.id == last[job_id] and not owner.given_up)

    Walk(watch=watch).run(steps)


@walked
def test_promise_5_an_attempt_that_was_given_up_changes_nothing_but_itself(steps: list[Step]) -> None:
    """The same walk twice: once an attempt has ended or was given up, it goes on talking all the time in one."""
    random = Random(len(steps))

    def noise(world: World, heard: list[Heard]) -> None:
        for attempt in list(world.attempts.values()):
            job = world.jobs.get(attempt.job_id)
            if attempt.state not in OPEN_ATTEMPT_STATES and (job is None or job.attempt_id != attempt.id):
                about = {"job_id": attempt.job_id, "attempt_id": attempt.id, "timestamp": world.now}
                world.say(random.choice(anything(about)))

    quiet, noisy = Walk().run(steps), Walk(watch=noise).run(steps)
    assert quiet.world.jobs == noisy.world.jobs
    assert quiet.world.checkpoints == noisy.world.checkpoints
    assert quiet.world.types == noisy.world.types
    assert quiet.world.events == noisy.world.events


def anything(about: dict[str, Any]) -> list[said.Message]:
    """All that a worker can say of an attempt."""
    return [
        said.JobAttemptStarted(**about),
        said.SetJobProgress(**about, progress=Progress(sequence=999, value=999)),
        said.JobAttemptCompleted(**about, result="stale", progress=Progress(sequence=999, value=999)),
        said.JobAttemptFaulted(**about, fault=Fault(type="Stale")),
        said.JobAttemptFaulted(**about, fault=Fault(type="Stale"), suspect=True),
        *(said.JobAttemptCanceled(**about, kind=kind) for kind in CancelKind),
    ]


@walked
def test_promise_6_a_job_ends_once_per_run_and_each_start_is_told_once(steps: list[Step]) -> None:
    ended: set[tuple[UUID, int]] = set()
    started: Counter[UUID | None] = Counter()

    def watch(world: World, heard: list[Heard]) -> None:
        for each in heard:
            if each.address != "job" or each.outcome is None or not each.outcome.row:
                continue
            if each.before.state is JobStates.INITIAL:
                ended.difference_update({run for run in ended if run[0] == each.key})
            if isinstance(each.message, said.RetryJob) and not each.outcome.row.ignored:
                ended.discard((each.key, each.before.run))
            for event in events_of(each):
                assert (each.key, event.run) not in ended, f"{event.name} after its end"
                ended.update({(each.key, event.run)} if event.name in ENDS else ())
        started.update(event.attempt_id for event in world.events if event.name == "JobStarted")
        world.events.clear()
        assert set(started.values()) <= {1}

    Walk(watch=watch).run(steps)


def events_of(heard: Heard) -> list[said.JobEvent]:
    assert heard.outcome is not None
    return [effect.event for effect in heard.outcome.effects if hasattr(effect, "event")]


@walked
def test_promise_6_everything_said_twice_has_the_same_outcome(steps: list[Step]) -> None:
    once, twice = Walk().run(steps).settle(), Walk(twice=True).run(steps).settle()
    assert twice.world.jobs == once.world.jobs
    assert twice.world.attempts == once.world.attempts
    assert twice.world.events == once.world.events


@walked
def test_promise_8_an_occurrence_is_taken_once_and_runs_never_overlap(steps: list[Step]) -> None:
    """Each is later than the one before, so none is taken twice; and none before its time."""
    latest: dict[UUID, datetime] = {}

    def watch(world: World, heard: list[Heard]) -> None:
        for each in heard:
            if each.address == "job" and isinstance(each.message, said.JobSlotWaitElapsed) and each.outcome:
                job = each.outcome.saga
                if job.recurring and job.run != each.before.run:
                    assert job.run == each.before.run + 1
                    assert latest.get(each.key, world.now - FOR_EVER) < job.scheduled_for <= world.now
                    latest[each.key] = job.scheduled_for
        at_work = [each for each in world.attempts.values() if each.holds_slot and each.job_id == RECURRING]
        assert len(at_work) <= 1

    Walk(watch=watch).run(steps).settle()


@walked
def test_promise_8_only_its_cancel_or_its_end_ends_a_recurrence(steps: list[Step]) -> None:
    def watch(world: World, heard: list[Heard]) -> None:
        for each in heard:
            if each.address != "job" or each.outcome is None or not each.before.recurring:
                continue
            before, after = each.before, each.outcome.saga
            if not after.recurring:
                assert isinstance(each.message, said.CancelRecurringJob)
            elif after.state in ENDED_JOB_STATES and before.state not in ENDED_JOB_STATES:
                seen = [world.now, before.next_start_at, after.scheduled_for]
                assert after.end_at is not None
                assert occurrence_after(after, max(at for at in seen if at is not None)) is None

    Walk(watch=watch).run(steps).settle()


LAST = Progress(sequence=3, value=30)
ENDINGS = {
    "completed": lambda about: said.JobAttemptCompleted(**about, result=1, progress=LAST),
    "faulted": lambda about: said.JobAttemptFaulted(**about, fault=Fault(type="E"), progress=LAST),
    "canceled": lambda about: said.JobAttemptCanceled(**about, kind=CancelKind.CONSUMER, progress=LAST),
}


@pytest.mark.parametrize("end", ENDINGS)
def test_promise_6_the_reports_of_an_attempt_may_come_in_any_order(end: str) -> None:
    def world_after(order: tuple[int, ...]) -> World:
        world = Walk().run([("submit", 0, 0)]).world
        about = {"job_id": JOBS[0], "attempt_id": UUID(int=1), "timestamp": world.now}
        reports = [
            said.JobAttemptStarted(**about),
            said.SetJobProgress(**about, progress=Progress(sequence=1, value=10)),
            said.SetJobProgress(**about, progress=Progress(sequence=2, value=20)),
            ENDINGS[end](about),
        ]
        for n in order:
            world.say(reports[n])
        return world

    in_order = world_after((0, 1, 2, 3))
    for order in permutations(range(4)):
        shuffled = world_after(order)
        assert without_start(shuffled.jobs[JOBS[0]]) == without_start(in_order.jobs[JOBS[0]])
        assert [each.name for each in shuffled.events if each.name in ENDS] == [in_order.events[-1].name]
        assert shuffled.types == in_order.types


def without_start(job: Job) -> Job:
    """When it started is only known of a job that completed, if its start comes after its end. Samples of progress
    are of what was heard, when it was heard: they serve an estimate, and decide nothing.
    """
    job = replace(job, progress_samples=[])
    return job if job.state is JobStates.COMPLETED else replace(job, started_at=None)


def test_the_walks_go_everywhere() -> None:
    """Together they follow nearly every row of the tables that does something: they are worth walking."""
    followed: set[int] = set()

    def watch(world: World, heard: list[Heard]) -> None:
        followed.update(id(each.outcome.row) for each in heard if each.outcome is not None)

    for seed in range(1200):
        Walk(watch=watch).run(steps_of(seed)).settle()
    rows = [row for machine, _ in MACHINES.values() for rows in machine.rows.values() for row in rows]
    active = [row for row in rows if not row.ignored]
    assert sum(id(row) in followed for row in active) >= 0.9 * len(active)


def test_a_walk_that_fails_is_shortened() -> None:
    def nobody_cancels(steps: list[Step]) -> None:
        jobs = Walk().run(steps).world.jobs.values()
        assert all(job.cancel_requested_at is None for job in jobs)

    noise: list[Step] = [("progress", 0, 0), ("time", 1, 0), ("again", 0, 0)]
    steps = [*BEGINNING, *noise, ("cancel", 0, 0), *noise]
    assert shortened(nobody_cancels, steps) == [("submit", 0, 0), ("cancel", 0, 0)]
