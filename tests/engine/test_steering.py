"""What people ask of job types and workers: other limits for a while, pause, drain; and the limit of a key."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from uuid import UUID

import pytest

from jobsaga.messages import (
    CancelJob,
    DrainInstance,
    OverrideJobLimit,
    PauseJobType,
    ResumeJobType,
    RevertJobLimit,
    SetConcurrentJobLimit,
    UndrainInstance,
)
from jobsaga.sagas import JobType
from tests.engine.workers import ScriptedWorker
from tests.engine.world import TYPE, World, drain
from tests.engine.worlds import WITH_ROW_LOCKS


def job_type(world: World, name: str = TYPE) -> JobType:
    with world.store.transaction() as tx:
        return tx.job_types([name], tx.now()).rows[name]


def kinds(world: World) -> list[tuple[str, str]]:
    """What was asked, and by whom."""
    return [(row.kind, row.actor) for row in world.place.type_history()]


def held_keys(world: World) -> Counter[str]:
    return Counter(each.concurrency_key for each in world.slots())


def keyed_worker(world: World, limit: int, per_key: int) -> ScriptedWorker:
    worker = world.worker(limit)
    said = SetConcurrentJobLimit(
        job_type=TYPE, kind="Configured", instance_id=worker.id, concurrent_job_limit=limit, concurrency_per_key=per_key
    )  # fmt: skip
    world.say(said)
    return worker


class TestOverride:
    def test_k15_it_holds_at_once_and_for_half_an_hour(self, world: World) -> None:
        world.worker(limit=1)
        world.submit_many(5)
        world.say(OverrideJobLimit(job_type=TYPE, concurrent_job_limit=3, actor="ops", reason="month's end"))
        assert len(world.slots()) == 3
        known = job_type(world)
        assert (known.override_by, known.override_reason) == ("ops", "month's end")
        assert known.due_at is not None
        assert known.override_at is not None
        assert (known.due_at - known.override_at).total_seconds() == 1800

    def test_it_ends_by_itself_found_by_a_sweep(self, world: World) -> None:
        worker = world.worker(limit=1)
        world.say(OverrideJobLimit(job_type=TYPE, concurrent_job_limit=0, duration=20))
        ids = world.submit_many(2)
        world.pass_time(19)
        assert world.states(ids) == ["WaitingForSlot"] * 2
        world.pass_time(1)
        assert job_type(world).due_at is None
        assert [start.job_id for start in worker.receive()] == ids[:1]
        assert kinds(world) == [("OverrideJobLimit", ""), ("JobLimitOverrideElapsed", "")]

    @pytest.mark.parametrize("world", WITH_ROW_LOCKS, indirect=True)
    def test_an_override_that_is_over_while_another_host_has_the_type(self, world: World) -> None:
        world.worker()
        world.say(OverrideJobLimit(job_type=TYPE, concurrent_job_limit=0, duration=5))
        with world.hold_job_type():
            world.pass_time(6)
        world.pass_time(1)
        assert world.dead() == []
        assert kinds(world)[-1] == ("JobLimitOverrideElapsed", "")

    def test_q28_no_moment_longer_though_no_sweep_has_come(self, world: World) -> None:
        """A slot is released in the very moment: it is not handed on by the limit that held until then."""
        worker = world.worker(limit=1)
        world.say(OverrideJobLimit(job_type=TYPE, concurrent_job_limit=2, duration=10))
        world.submit_many(4)
        starts = worker.receive()
        world.clock.advance(10)
        worker.complete(starts[0])
        world.engine.process()
        assert len(world.slots()) == 1

    def test_down_below_what_runs_nobody_is_ended_and_nobody_starts(self, world: World) -> None:
        worker = world.worker(limit=4)
        ids = world.submit_many(8)
        starts = worker.receive()
        world.say(OverrideJobLimit(job_type=TYPE, concurrent_job_limit=2))
        assert len(world.slots()) == 4
        assert worker.canceled == []
        for left, start in zip((3, 2, 2, 2), starts, strict=True):
            worker.complete(start)
            world.lap()
            assert len(world.slots()) == left
        world.say(RevertJobLimit(job_type=TYPE))
        assert len(world.slots()) == 4
        assert world.states(ids[:4]) == ["Completed"] * 4

    def test_the_global_limit_likewise(self, world: World) -> None:
        for _ in range(3):
            world.worker(limit=2, global_limit=2)
        world.submit_many(9)
        assert len(world.slots()) == 2
        world.say(OverrideJobLimit(job_type=TYPE, global_concurrent_job_limit=5))
        assert len(world.slots()) == 5
        world.say(OverrideJobLimit(job_type=TYPE, concurrent_job_limit=9))
        assert len(world.slots()) == 5, (
            "one override takes the place of the other: the global limit is 2 again"
        )

    def test_not_beyond_what_the_worker_was_started_with(self, world: World) -> None:
        worker = world.worker(limit=1)
        said = SetConcurrentJobLimit(
            job_type=TYPE, kind="Configured", instance_id=worker.id, concurrent_job_limit=1, concurrency_cap=2
        )
        world.say(said, OverrideJobLimit(job_type=TYPE, concurrent_job_limit=50))
        world.submit_many(5)
        assert len(world.slots()) == 2

    def test_what_a_worker_announces_meanwhile_holds_afterwards(self, world: World) -> None:
        worker = world.worker(limit=1)
        world.say(OverrideJobLimit(job_type=TYPE, concurrent_job_limit=2, duration=5))
        worker.announce([TYPE], 3)
        world.submit_many(9)
        assert len(world.slots()) == 2
        world.pass_time(5)
        assert len(world.slots()) == 3


class TestPause:
    def test_what_runs_goes_on_and_what_comes_waits(self, world: World) -> None:
        worker = world.worker(limit=2)
        running, waiting = world.submit_many(1), []
        world.say(PauseJobType(job_type=TYPE, actor="ops", reason="the service is down"))
        waiting = world.submit_many(2)
        (start,) = worker.receive()
        worker.started(start)
        worker.complete(start)
        world.pass_time(30)
        assert world.states(running + waiting) == ["Completed", "WaitingForSlot", "WaitingForSlot"]
        known = job_type(world)
        assert known.paused_at is not None
        assert (known.paused_by, known.pause_reason) == ("ops", "the service is down")

    def test_resumed_it_is_served_in_the_same_lap(self, world: World) -> None:
        worker = world.worker(limit=2)
        world.say(PauseJobType(job_type=TYPE))
        ids = world.submit_many(2)
        world.send(ResumeJobType(job_type=TYPE, actor="ops"))
        world.engine.process()
        assert [start.job_id for start in worker.receive()] == ids
        assert job_type(world).paused_at is None
        assert kinds(world) == [("PauseJobType", ""), ("ResumeJobType", "ops")]

    def test_before_any_worker_has_come(self, world: World) -> None:
        world.say(PauseJobType(job_type=TYPE))
        job_id = world.submit()
        world.worker()
        world.pass_time(3)
        assert world.state(job_id) == "WaitingForSlot"
        world.say(ResumeJobType(job_type=TYPE))
        assert world.state(job_id) == "StartingJobAttempt"

    def test_who_was_first_stands(self, world: World) -> None:
        world.say(PauseJobType(job_type=TYPE, actor="first"), PauseJobType(job_type=TYPE, actor="second"))
        assert job_type(world).paused_by == "first"
        assert kinds(world) == [("PauseJobType", "first")]

    def test_other_types_go_on(self, world: World) -> None:
        worker = world.worker(limit=1, types=["a", "b"])
        world.say(PauseJobType(job_type="a"))
        world.submit("a")
        job_id = world.submit("b")
        assert [start.job_id for start in worker.receive()] == [job_id]

    @pytest.mark.parametrize("world", WITH_ROW_LOCKS, indirect=True)
    def test_while_another_host_has_the_type_it_is_kept(self, world: World) -> None:
        worker = world.worker(limit=1)
        with world.hold_job_type():
            world.say(PauseJobType(job_type=TYPE))
            assert kinds(world) == []
        world.clock.advance(3)
        world.lap()
        world.submit()
        assert worker.receive() == []

    @pytest.mark.parametrize("world", WITH_ROW_LOCKS, indirect=True)
    def test_what_was_said_last_holds_also_when_the_first_had_to_wait(self, world: World) -> None:
        """Or a type that was paused for a moment would stay so, and its jobs would wait for ever."""
        worker = world.worker(limit=1)
        with world.hold_job_type():
            world.say(PauseJobType(job_type=TYPE))
        world.say(ResumeJobType(job_type=TYPE))
        world.pass_time(3)
        world.submit()
        assert len(worker.receive()) == 1
        assert [kind for kind, _ in kinds(world)] == ["PauseJobType", "ResumeJobType"]


class TestDrain:
    def test_it_gets_no_more_and_ends_what_it_has(self, world: World) -> None:
        drained, other = world.worker(limit=2), world.worker(limit=2)
        ids = world.submit_many(2)
        (start,) = drained.receive()
        world.say(DrainInstance(instance_id=drained.id, actor="ops", reason="new kernel"))
        ids += world.submit_many(4)
        drained.started(start)
        drained.complete(start)
        world.lap()
        assert drained.receive() == []
        assert drain(world, other) == 5
        assert world.states(ids) == ["Completed"] * 6
        assert kinds(world) == [("DrainInstance", "ops")]

    def test_undrained_it_is_served_at_once(self, world: World) -> None:
        worker = world.worker()
        world.say(DrainInstance(instance_id=worker.id))
        job_id = world.submit()
        world.pass_time(3)
        assert world.state(job_id) == "WaitingForSlot"
        world.send(UndrainInstance(instance_id=worker.id))
        world.engine.process()
        assert [start.job_id for start in worker.receive()] == [job_id]

    def test_of_all_its_types(self, world: World) -> None:
        worker = world.worker(types=["a", "b"])
        world.say(DrainInstance(instance_id=worker.id))
        worker.announce(["c"], 5)
        world.lap()
        ids = [world.submit(name) for name in "abc"]
        assert world.states(ids) == ["WaitingForSlot"] * 3

    def test_one_that_is_gone_is_nobodys_trouble(self, world: World) -> None:
        world.say(DrainInstance(instance_id=UUID(int=5)), UndrainInstance(instance_id=UUID(int=6)))
        assert (world.dead(), kinds(world)) == ([], [])

    @pytest.mark.parametrize("world", WITH_ROW_LOCKS, indirect=True)
    def test_while_another_host_gives_out_slots_it_waits_for_that(self, world: World) -> None:
        """Once it is written down no slot is given: so all its types must be in hand."""
        worker = world.worker(types=["a", "b"])
        with world.hold_job_type("b"):
            world.say(DrainInstance(instance_id=worker.id))
            assert kinds(world) == []
        world.clock.advance(3)
        world.lap()
        assert kinds(world) == [("DrainInstance", "")]


class TestKeys:
    def test_no_more_of_one_key_than_may_be(self, world: World) -> None:
        worker = keyed_worker(world, limit=10, per_key=2)
        for key in ("acme", "acme", "acme", "acme", "bolt", "", "", ""):
            world.submit(concurrency_key=key)
        assert held_keys(world) == {"acme": 2, "bolt": 1, "": 3}
        assert drain(world, worker) == 8

    def test_all_workers_together(self, world: World) -> None:
        for _ in range(3):
            keyed_worker(world, limit=2, per_key=1)
        world.submit_many(4, concurrency_key="acme")
        assert len(world.slots()) == 1

    def test_a_freed_key_is_handed_on_in_the_same_lap(self, world: World) -> None:
        worker = keyed_worker(world, limit=5, per_key=1)
        first, second, third = world.submit_many(3, concurrency_key="acme")
        (start,) = worker.receive()
        worker.complete(start)
        world.engine.process()
        assert world.states([first, second, third]) == ["Completed", "StartingJobAttempt", "WaitingForSlot"]

    def test_one_that_was_given_up_counts_until_its_worker_says_that_it_has_ended(self, world: World) -> None:
        worker = keyed_worker(world, limit=5, per_key=1)
        first, second = world.submit_many(2, concurrency_key="acme")
        (start,) = worker.receive()
        worker.started(start)
        world.say(CancelJob(job_id=first))
        world.pass_time(45)
        assert world.states([first, second]) == ["Canceled", "WaitingForSlot"]
        worker.cancel(start)
        world.lap()
        assert world.state(second) == "StartingJobAttempt"

    def test_a_job_that_waits_again_in_the_same_lap_keeps_its_place(self, world: World) -> None:
        worker = keyed_worker(world, limit=1, per_key=1)
        first, second = world.submit_many(2, concurrency_key="acme")
        (start,) = worker.receive()
        worker.fault(start, retry_delay=0)
        world.lap()
        assert world.states([first, second]) == ["StartingJobAttempt", "WaitingForSlot"]

    def test_keys_mean_nothing_to_workers_that_know_none(self, world: World) -> None:
        world.worker(limit=5)
        world.submit_many(3, concurrency_key="acme")
        assert len(world.slots()) == 3

    def test_one_tenants_backlog_keeps_no_other_from_a_slot(self, world: World) -> None:
        world.engine.options = replace(world.options, batch=10)
        worker = keyed_worker(world, limit=4, per_key=1)
        noisy = world.submit_many(300, concurrency_key="noisy")
        quiet = [world.submit(concurrency_key=f"quiet-{n}") for n in range(6)]
        assert held_keys(world) == {"noisy": 1, "quiet-0": 1, "quiet-1": 1, "quiet-2": 1}
        for start in worker.receive():
            if start.job_id in quiet:
                worker.complete(start)
        world.lap()
        assert held_keys(world) == {"noisy": 1, "quiet-3": 1, "quiet-4": 1, "quiet-5": 1}
        assert world.states(noisy[:2]) == ["StartingJobAttempt", "WaitingForSlot"]
