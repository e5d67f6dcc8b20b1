"""What cannot be handled harms only itself: it becomes a dead letter, with its reason, and its neighbours live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from jobsaga.engine.strategies import Strategies
from jobsaga.ids import uuid7
from jobsaga.messages import (
    CancelJob,
    CancelJobAttempt,
    FinalizeJob,
    JobRetryDelayElapsed,
    JobSlotWaitElapsed,
    SubmitJob,
    encode,
)
from jobsaga.sagas import JOB, JobStates
from jobsaga.sagas.distribution import JobDistributionStrategy, JobSlotRequest, JobTypeInfo
from jobsaga.sagas.machine import Outcome, Send
from jobsaga.transport.base import SAGA
from tests.engine.places import MemoryPlace
from tests.engine.world import TYPE, World
from tests.engine.worlds import DATABASE
from tests.store.rows import job as job_row
from tests.store.rows import write

JOB_ID = "01a1fd2f-ddab-72b0-b054-4613eaec4dee"
BODIES = {
    "no JSON": "this is no JSON",
    "nothing": "",
    "cut off": '{"type":"CancelJob","job_id":"01a1',
    "a list": "[]",
    "null": "null",
    "no type": f'{{"job_id":"{JOB_ID}"}}',
    "unknown type": f'{{"type":"DropTables","job_id":"{JOB_ID}"}}',
    "not for the sagas": encode(CancelJobAttempt(job_id=uuid7(), attempt_id=uuid7())),
    "between the sagas": encode(JobSlotWaitElapsed(job_id=uuid7())),
    "a client's": encode(SubmitJob(job_id=uuid7(), job_type=TYPE)),
    "missing field": '{"type":"CancelJob"}',
    "wrong type": '{"type":"CancelJob","job_id":17}',
    "no UUID": '{"type":"CancelJob","job_id":"seventeen"}',
    "wrong enum": f'{{"type":"JobAttemptStatus","job_id":"{JOB_ID}","attempt_id":"{JOB_ID}","status":"Great"}}',
    "no time": f'{{"type":"JobAttemptStarted","job_id":"{JOB_ID}","attempt_id":"{JOB_ID}","timestamp":"soon"}}',
    "half a surrogate": f'{{"type":"CancelJob","job_id":"{JOB_ID}","reason":"\\ud800"}}',
    "deep": '{"type":"CancelJob","x":' + "[" * 100_000 + "]" * 100_000 + "}",
    "a pickle": "gASVCgAAAAAAAACMBnN5c3RlbZQu",
}


def put(world: World, body: str) -> None:
    """A body on its way to the sagas, as it is."""
    if isinstance(world.place, MemoryPlace):
        from jobsaga.memory import Queued

        world.place.memory.queue[next(world.place.transport._ids)] = Queued(SAGA, body)
    else:
        world.place.rows("TransportMessage").create(endpoint=SAGA, body=body)


def run_one(world: World, run: Callable[[World], None]) -> tuple[UUID, UUID]:
    """Two jobs of which the sagas are told at once, with what *run* does in between."""
    worker = world.worker(limit=2)
    ids = world.submit_many(2)
    first, second = worker.receive()
    worker.started(first)
    worker.complete(first)
    run(world)
    worker.started(second)
    worker.complete(second)
    return ids[0], ids[1]


@pytest.mark.parametrize("name", BODIES)
def test_what_cannot_be_read_is_buried_and_its_neighbours_are_handled(world: World, name: str) -> None:
    neighbours = run_one(world, lambda world: put(world, BODIES[name]))
    world.lap()
    assert world.states(neighbours) == ["Completed", "Completed"]
    (dead,) = world.dead()
    assert (dead.body, dead.endpoint, dead.at) == (BODIES[name], SAGA, world.clock.now())
    assert "Error" in dead.reason
    assert world.arrived() == []


def test_what_can_be_read_and_means_nothing_is_no_dead_letter(world: World) -> None:
    """A message of a job that is gone, an unknown field: that is no fault."""
    put(world, f'{{"type":"CancelJob","job_id":"{JOB_ID}","from_the_future":[1]}}')
    world.lap()
    assert world.dead() == []


def break_on(monkeypatch: pytest.MonkeyPatch, message: type, state: JobStates, error: Exception) -> None:
    """A bug in the rules: the step of this pair does its work, and then raises."""
    step = JOB.step

    def broken(saga: Any, said: Any, env: Any) -> Any:
        outcome = step(saga, said, env)
        if isinstance(said, message) and saga.state is state:
            raise error
        return outcome

    monkeypatch.setattr(JOB, "step", broken)


def test_a_bug_in_a_transition_is_undone_and_buried(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = world.worker(limit=3)
    ids = world.submit_many(3)
    starts = worker.receive()
    for start in starts:
        worker.started(start)
    world.lap()
    break_on(monkeypatch, CancelJob, JobStates.STARTED, ZeroDivisionError("a bug\0"))
    before = world.job(ids[1])
    worker.complete(starts[0])
    world.send(CancelJob(job_id=ids[1], reason="stop"))
    worker.complete(starts[2])
    world.lap()
    assert world.states(ids) == ["Completed", "Started", "Completed"]
    assert world.job(ids[1]) == before
    assert world.told(worker) == []
    (dead,) = world.dead()
    assert (dead.job_id, dead.reason.rstrip("\N{REPLACEMENT CHARACTER}")) == (
        ids[1],
        "ZeroDivisionError: a bug",
    )
    assert "in broken" in dead.traceback


def test_what_was_undone_leaves_no_trace_in_what_follows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one batch: the first message fails after it changed the job, the second changes it the same way."""
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    step, failures = JOB.step, iter([True])

    def broken_once(saga: Any, said: Any, env: Any) -> Any:
        outcome = step(saga, said, env)
        if outcome.saga.state is JobStates.STARTED and next(failures, False):
            broken = Send(None, to=("job",))  # type: ignore[arg-type]
            return Outcome(outcome.saga, [*outcome.effects, broken], outcome.row)
        return outcome

    monkeypatch.setattr(JOB, "step", broken_once)
    worker.started(start)
    worker.started(start)
    world.lap()
    job = world.job(job_id)
    assert (job.state, job.version) == (JobStates.STARTED, 3)
    assert world.path(job_id) == ["WaitingForSlot", "StartingJobAttempt", "Started"]
    assert [row.from_state for row in world.history(job_id)][-1] is JobStates.STARTING_JOB_ATTEMPT
    assert len(world.heard("JobStarted")) == 1
    assert len(world.dead()) == 1


@pytest.mark.parametrize("world", DATABASE, indirect=True)
class TestWhatTheDatabaseRefuses:
    """NUL in a text on PostgreSQL, a number that is too large anywhere: known only when the batch is written."""

    def test_the_one_to_blame_is_buried_and_the_others_are_written(self, world: World) -> None:
        worker = world.worker(limit=5)
        ids = world.submit_many(5)
        starts = worker.receive()
        for start in starts:
            worker.started(start)
        world.lap()
        for n, start in enumerate(starts):
            if n == 2:
                worker.progress(start, 1.0, sequence=2**70)
            else:
                worker.complete(start)
        world.lap()
        assert world.states(ids) == ["Completed"] * 2 + ["Started"] + ["Completed"] * 2
        (dead,) = world.dead()
        assert '"sequence":1180591620717411303424' in dead.body
        assert world.arrived() == []

    def test_its_jobs_other_messages_go_on(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        worker.progress(start, 1.0, sequence=2**70)
        worker.complete(start, result="done")
        world.lap()
        assert (world.state(job_id), world.job(job_id).result) == ("Completed", "done")
        assert len(world.dead()) == 1

    def test_several_in_one_batch(self, world: World) -> None:
        worker = world.worker(limit=10)
        ids = world.submit_many(10)
        starts = worker.receive()
        for start in starts:
            worker.started(start)
            worker.progress(start, 1.0, sequence=2**70)
            worker.complete(start)
        world.lap()
        assert world.states(ids) == ["Completed"] * 10
        assert len(world.dead()) == 10

    def test_a_neighbour_is_not_buried_in_its_place(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the failure and the burial another host has taken the message: it is none of ours now."""
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.lap()
        worker.progress(start, 1.0, sequence=2**70)
        worker.complete(start)
        engine, lap = world.engine, world.engine._lap

        def lap_and_lose(limit: int, *, fill: bool = True) -> int:
            try:
                return lap(limit, fill=fill)
            except Exception:
                if limit == 1:
                    world.transport.take(SAGA, 1)
                raise

        monkeypatch.setattr(engine, "_lap", lap_and_lose)
        world.lap()
        assert world.state(job_id) == "Completed"
        assert world.dead() == []

    @pytest.mark.postgresql
    def test_a_nul_character(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        worker.complete(start, result={"text": "a\0b"})
        worker.complete(start, result={"text": "ab"})
        world.lap()
        assert world.job(job_id).result == {"text": "ab"}
        (dead,) = world.dead()
        assert "\\u0000" in dead.body

    def test_a_deadline_that_cannot_be_written_does_not_stop_the_others(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = world.worker(limit=3)
        ids = world.submit_many(3)
        for start in worker.receive():
            worker.started(start)
            worker.fault(start, retry_delay=5)
        world.lap()
        self._make_unwritable(monkeypatch, ids[1])
        world.pass_time(8)
        assert world.states(ids) == ["StartingJobAttempt", "WaitingToRetry", "StartingJobAttempt"]
        assert [each.body for each in world.dead()] == [encode(JobRetryDelayElapsed(job_id=ids[1]))]
        monkeypatch.undo()
        world.pass_time(1)
        assert world.states(ids) == ["StartingJobAttempt"] * 3

    def _make_unwritable(self, monkeypatch: pytest.MonkeyPatch, job_id: UUID) -> None:
        step = JOB.step

        def unwritable(saga: Any, said: Any, env: Any) -> Any:
            outcome = step(saga, said, env)
            if saga.id != job_id or outcome.saga is saga:
                return outcome
            return Outcome(outcome.saga.but(progress_sequence=2**70), outcome.effects, outcome.row)

        monkeypatch.setattr(JOB, "step", unwritable)


def test_a_deadline_that_cannot_be_handled_is_tried_with_each_sweep_and_buried_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = world.worker(limit=2)
    ids = world.submit_many(2)
    for start in worker.receive():
        worker.started(start)
        worker.fault(start, retry_delay=5 if start.job_id == ids[0] else 6)
    world.lap()
    tried: list[UUID] = []
    step = JOB.step

    def broken(saga: Any, said: Any, env: Any) -> Any:
        if isinstance(said, JobRetryDelayElapsed) and said.job_id == ids[0]:
            tried.append(said.job_id)
            raise ZeroDivisionError("a bug")
        return step(saga, said, env)

    monkeypatch.setattr(JOB, "step", broken)
    world.pass_time(10)
    assert len(tried) >= 5
    assert [each.job_id for each in world.dead()] == [ids[0]]
    assert world.states(ids) == ["WaitingToRetry", "StartingJobAttempt"]
    monkeypatch.undo()
    world.pass_time(1)
    assert world.state(ids[0]) == "StartingJobAttempt"


class TestAllocationIsNoMessagesFault:
    @pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), KeyError("a bug")], ids=type)
    def test_a_strategy_that_raises_means_no_slot(self, world: World, error: Exception) -> None:
        class Broken(JobDistributionStrategy):
            def is_job_slot_available(self, request: JobSlotRequest, job_type: JobTypeInfo) -> UUID:
                raise error

        ids = world.submit_many(2)
        world.engine = world.another_engine(strategies=Strategies({"default": Broken}))
        worker = world.worker()
        world.lap()
        assert world.states(ids) == ["WaitingForSlot"] * 2
        assert worker.receive() == []
        assert world.dead() == []
        world.engine = world.another_engine()
        world.lap()
        assert world.states(ids) == ["StartingJobAttempt", "WaitingForSlot"]

    def test_a_job_that_cannot_be_offered_a_slot_keeps_no_other_from_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = world.submit_many(3)
        step = JOB.step

        def broken(saga: Any, said: Any, env: Any) -> Any:
            if isinstance(said, JobSlotWaitElapsed) and said.job_id == ids[0]:
                raise ZeroDivisionError("a bug")
            return step(saga, said, env)

        monkeypatch.setattr(JOB, "step", broken)
        worker = world.worker(limit=3)
        world.lap()
        assert world.states(ids) == ["WaitingForSlot", "StartingJobAttempt", "StartingJobAttempt"]
        assert len(worker.receive()) == 2
        assert world.dead() == []

    def test_a_bug_in_allocation_raises_and_loses_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from jobsaga.engine.allocation import Allocation

        worker = world.worker()
        first, second = world.submit_many(2)
        (start,) = worker.receive()
        worker.started(start)
        worker.complete(start)

        def broken(self: Any, name: str) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(Allocation, "_fill", broken)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                world.engine.process()
        assert world.dead() == []
        assert world.states([first, second]) == ["StartingJobAttempt", "WaitingForSlot"]
        monkeypatch.undo()
        world.lap()
        assert world.states([first, second]) == ["Completed", "StartingJobAttempt"]

    @pytest.mark.parametrize("world", DATABASE, indirect=True)
    def test_a_slot_that_cannot_be_written_buries_no_message(self, world: World) -> None:
        """The new attempt's id is taken, say: the reports in the same batch have nothing to do with it."""
        worker = world.worker(limit=2)
        ids = world.submit_many(5)
        first, second = worker.receive()
        worker.complete(first)
        world.lap()
        (third,) = worker.receive()
        world.engine.new_id = lambda: first.attempt_id
        for start in (second, third):
            worker.started(start)
            worker.complete(start)
        world.lap()
        assert world.states(ids) == ["Completed"] * 3 + ["WaitingForSlot"] * 2
        assert world.dead() == []
        world.engine.new_id = uuid7
        world.lap()
        assert world.states(ids) == ["Completed"] * 3 + ["StartingJobAttempt"] * 2


@pytest.mark.parametrize("world", DATABASE, indirect=True)
def test_a_message_may_concern_any_number_of_rows(world: World) -> None:
    """A batch of as many different jobs as it holds, none of them known."""
    world.send(*(FinalizeJob(job_id=uuid7()) for _ in range(500)))
    assert world.lap() == 500
    write(world.place, jobs=[job_row()])
    assert world.dead() == []
