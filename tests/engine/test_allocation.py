"""Who gets a slot, in which order, and how soon."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from uuid import UUID

from jobsaga.ids import uuid7
from jobsaga.messages import (
    CancelJob,
    CancelKind,
    LimitKind,
    RetryJob,
    StartJob,
    SubmitJob,
)
from tests.engine.workers import ScriptedWorker
from tests.engine.world import TYPE, World, drain


def started_jobs(worker: ScriptedWorker) -> list[UUID]:
    return [start.job_id for start in worker.receive()]


def order_of(world: World, worker: ScriptedWorker) -> list[UUID]:
    """Let it complete all there is, one at a time; the jobs in the order in which they came."""
    order: list[UUID] = []

    def complete(start: StartJob) -> None:
        order.append(start.job_id)
        worker.complete(start)

    drain(world, worker, complete)
    return order


class TestOrder:
    def test_first_come_first_served(self, world: World) -> None:
        ids = world.submit_many(3)
        world.clock.advance(1)
        ids += world.submit_many(3)
        worker = world.worker()
        assert order_of(world, worker) == ids

    def test_the_more_urgent_go_first(self, world: World) -> None:
        usual, urgent, least = world.submit(), world.submit(priority=10), world.submit(priority=-10)
        worker = world.worker()
        assert order_of(world, worker) == [urgent, usual, least]

    def test_one_that_waits_again_in_the_same_lap_stands_in_line_with_the_others(self, world: World) -> None:
        """A handed-over job keeps its place; the one that is waiting in the database came later."""
        worker = world.worker()
        first = world.submit()
        (start,) = worker.receive()
        world.clock.advance(1)
        second = world.submit()
        worker.cancel(start, CancelKind.SHUTDOWN)
        world.lap()
        assert started_jobs(worker) == [first]
        assert world.states([first, second]) == ["StartingJobAttempt", "WaitingForSlot"]

    def test_an_urgent_one_overtakes_it_in_the_same_lap(self, world: World) -> None:
        worker = world.worker()
        first = world.submit()
        (start,) = worker.receive()
        second = world.submit(priority=1)
        worker.fault(start, retry_delay=0)
        world.lap()
        assert started_jobs(worker) == [second]
        assert world.states([first, second]) == ["WaitingForSlot", "StartingJobAttempt"]

    def test_a_retry_by_hand_goes_to_the_end_of_the_line(self, world: World) -> None:
        worker = world.worker()
        faulted = world.submit()
        (start,) = worker.receive()
        worker.fault(start)
        world.lap()
        running, waiting = world.submit_many(2)
        world.clock.advance(1)
        world.command(RetryJob(job_id=faulted))
        (start,) = worker.receive()
        assert start.job_id == running
        worker.complete(start)
        world.lap()
        assert started_jobs(worker) == [waiting]


class TestLimits:
    def test_an_instance_runs_no_more_than_it_said(self, world: World) -> None:
        worker = world.worker(limit=3)
        ids = world.submit_many(5)
        assert started_jobs(worker) == ids[:3]
        assert len(world.slots()) == 3

    def test_each_instance_has_a_limit_of_its_own(self, world: World) -> None:
        small, large = world.worker(limit=1), world.worker(limit=4)
        world.submit_many(10)
        assert (len(small.receive()), len(large.receive())) == (1, 4)

    def test_all_together_run_no_more_than_the_global_limit(self, world: World) -> None:
        workers = [world.worker(limit=2, global_limit=3) for _ in range(3)]
        ids = world.submit_many(10)
        starts = [start for worker in workers for start in worker.receive()]
        assert len(starts) == len(world.slots()) == 3
        workers_of = {start.instance_id for start in starts}
        worker = next(each for each in workers if each.id in workers_of)
        worker.complete(next(start for start in starts if start.instance_id == worker.id))
        world.lap()
        assert len(world.slots()) == 3
        assert Counter(world.states(ids)) == {"Completed": 1, "StartingJobAttempt": 3, "WaitingForSlot": 6}

    def test_a_slot_of_a_worker_that_died_counts_until_its_lease_is_over(self, world: World) -> None:
        """Its job may be running yet: with a global limit of one nobody else may begin."""
        first, second = world.worker(global_limit=1), world.worker(global_limit=1)
        world.submit_many(2)
        holder, other = (first, second) if world.told(first) else (second, first)
        (start,) = holder.receive()
        holder.started(start)
        holder.dies()
        world.pass_time(14)
        assert started_jobs(other) == []
        world.pass_time(3)
        assert len(started_jobs(other)) == 1

    def test_a_new_limit_holds_from_then_on(self, world: World) -> None:
        worker = world.worker(limit=3)
        world.submit_many(6)
        starts = worker.receive()
        worker.announce([TYPE], 1)
        worker.complete(starts[0])
        world.lap()
        assert len(world.slots()) == 2
        worker.complete(starts[1])
        worker.complete(starts[2])
        world.lap()
        assert len(world.slots()) == 1
        worker.announce([TYPE], 2)
        world.lap()
        assert len(world.slots()) == 2

    def test_types_do_not_take_each_others_slots(self, world: World) -> None:
        worker = world.worker(limit=1, types=["a", "b"])
        first, second = world.submit("a"), world.submit("b")
        assert started_jobs(worker) == [first, second]

    def test_a_job_whose_old_attempt_may_still_run_gets_no_other_slot(self, world: World) -> None:
        """It was canceled, did not end in time, and was asked for again: both at once must never be."""
        worker, other = world.worker(), world.worker()
        job_id = world.submit()
        holder, other = (worker, other) if world.told(worker) else (other, worker)
        (start,) = holder.receive()
        holder.started(start)
        world.say(CancelJob(job_id=job_id))
        world.pass_time(41)
        assert world.state(job_id) == "Canceled"
        world.command(RetryJob(job_id=job_id))
        world.pass_time(5)
        assert world.state(job_id) == "WaitingForSlot"
        holder.cancel(start)
        world.lap()
        assert world.state(job_id) == "StartingJobAttempt"


class TestPlaces:
    def test_the_one_with_the_least_to_do_is_given_more(self, world: World) -> None:
        workers = [world.worker(limit=4) for _ in range(3)]
        world.submit_many(9)
        assert [len(worker.receive()) for worker in workers] == [3, 3, 3]

    def test_of_equals_the_one_that_waited_longest(self, world: World) -> None:
        workers = [world.worker(limit=1) for _ in range(3)]
        order = []
        for _ in range(6):
            world.submit()
            world.clock.advance(1)
            worker = next(each for each in workers if world.told(each))
            (start,) = worker.receive()
            worker.complete(start)
            world.lap()
            order.append(workers.index(worker))
        assert order[:3] == order[3:]
        assert sorted(order[:3]) == [0, 1, 2]

    def test_a_worker_that_left_is_given_nothing(self, world: World) -> None:
        gone, there = world.worker(limit=5), world.worker(limit=1)
        gone.announce([TYPE], 5, kind=LimitKind.STOPPED)
        world.lap()
        world.submit_many(3)
        assert (len(gone.receive()), len(there.receive())) == (0, 1)

    def test_a_worker_whose_lease_is_over_is_given_nothing(self, world: World) -> None:
        worker = world.worker()
        worker.dies()
        world.clock.advance(15)
        job_id = world.submit()
        assert world.state(job_id) == "WaitingForSlot"


class TestAtOnce:
    def test_a_freed_slot_is_handed_over_in_the_same_lap(self, world: World) -> None:
        worker = world.worker()
        first, second = world.submit_many(2)
        (start,) = worker.receive()
        worker.started(start)
        worker.complete(start)
        world.engine.process()
        assert world.states([first, second]) == ["Completed", "StartingJobAttempt"]
        assert started_jobs(worker) == [second]

    def test_a_slot_that_nobody_told_of_is_found_by_the_next_lap(self, world: World) -> None:
        """A job of one type waits while a report of another is handled: it needs no message of its own."""
        worker = world.worker(types=["a", "b"])
        world.submit("a")
        (start,) = worker.receive()
        with world.store.transaction() as tx:
            turn = world.engine.fresh_turn(tx)
            job_id = uuid7()
            turn.apply(SubmitJob(job_id=job_id, job_type="b"))
            tx.write(turn.finish())
        worker.complete(start)
        world.engine.process()
        assert started_jobs(worker) == [job_id]

    def test_a_worker_that_comes_finds_the_jobs_that_wait(self, world: World) -> None:
        ids = world.submit_many(3)
        world.pass_time(60)
        assert world.states(ids) == ["WaitingForSlot"] * 3
        assert started_jobs(world.worker(limit=3)) == ids

    def test_more_jobs_than_a_batch_are_given_out_in_several_laps(self, world: World) -> None:
        world.engine.options = replace(world.options, batch=10)
        ids = world.submit_many(35)
        worker = world.worker(limit=100)
        assert started_jobs(worker) == ids

    def test_ten_jobs_one_at_a_time(self, world: World) -> None:
        """Each message leads to the next start: nothing waits for a timer."""
        worker = world.worker()
        ids = world.submit_many(10)
        assert drain(world, worker) == 10
        assert world.states(ids) == ["Completed"] * 10
        assert world.clock.monotonic() == 0, "no time has passed"
