"""What is promised, each with a test of its name; most of them hold after every step of a walk at random."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobsaga.messages import CancelJob, LimitKind, Message, SetConcurrentJobLimit
from jobsaga.sagas import JOB, JobType, job_type
from jobsaga.store.memory import MemoryStore, MemoryTransaction
from tests.engine.walk import GLOBAL_LIMIT, LIMIT, Walk
from tests.engine.world import TYPE, World, drain
from tests.engine.worlds import DATABASE, make_world


@pytest.mark.parametrize("seed", range(25))
def test_promises_1_2_3_and_5_hold_after_every_step(seed: int) -> None:
    """At most so many slots; held only by who may be alive, and freed in the end; every job that is not final is
    runnable or has a deadline; only the current attempt changes the job.
    """
    walk = Walk(make_world("memory"), seed)
    walk.go(250)
    walk.settle()


@pytest.mark.parametrize("world", DATABASE, indirect=True)
@pytest.mark.parametrize("seed", [101, 102])
def test_promises_1_2_3_and_5_hold_on_a_database(world: World, seed: int) -> None:
    walk = Walk(world, seed)
    walk.go(60)
    walk.settle()


def test_the_same_seed_is_the_same_walk() -> None:
    def path(seed: int) -> list[object]:
        walk = Walk(make_world("memory"), seed)
        walk.go(60)
        return [(type(each).__name__, getattr(each, "timestamp", None)) for each in walk.said]

    assert path(7) == path(7) != path(8)


def walk_many() -> None:
    for seed in range(25):
        walk = Walk(make_world("memory"), seed)
        walk.go(250)
        walk.settle()


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "the instances' limits are forgotten": (JobType, "limit_of", lambda *_: 100),
    "the global limit is forgotten": (job_type, "below_global_limit", lambda self: True),
    "the keys are forgotten": (JobType, "room_of", lambda *_: None),
    "slots of the lost stay": (MemoryTransaction, "silent", lambda *_: []),
    "no deadlines": (MemoryTransaction, "due", lambda *_: []),
    "any attempt is heard": (JOB, "heard", lambda job, message: True),
    "any attempt saves": (MemoryStore, "save_checkpoint", lambda *_, **__: True),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_does_not_pass_the_walk(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that finds nothing proves nothing."""
    if "limit" in fault:
        monkeypatch.setattr(JobType, "room", 100)
    monkeypatch.setattr(*FAULTS[fault])
    with pytest.raises((AssertionError, KeyError)):
        walk_many()


def test_promise_1_slots_are_never_more_than_the_limits(world: World) -> None:
    workers = [world.worker(limit=LIMIT, global_limit=GLOBAL_LIMIT) for _ in range(3)]
    world.submit_many(20)
    assert len(world.slots()) == GLOBAL_LIMIT
    assert sum(drain(world, worker) for worker in workers * 20) == 20
    assert world.slots() == []


def test_promise_2_a_slot_is_freed_when_nobody_can_be_alive_any_more(world: World) -> None:
    worker = world.worker(limit=3)
    job_ids = world.submit_many(3)
    starts = worker.receive()
    worker.started(starts[0])
    world.say(CancelJob(job_id=job_ids[1]))
    worker.dies()
    assert len(world.slots()) == 3
    world.pass_time(16)
    assert world.slots() == []


def test_promise_3_every_job_that_is_not_final_is_runnable_now_or_has_a_deadline(world: World) -> None:
    """Nobody says anything any more, in whatever state a job is: time alone brings each one to where it can run."""
    worker = world.worker(limit=6)
    untaken, taken, started, retried, canceled, late = world.submit_many(6)
    scheduled = world.submit(start_at=world.clock.now() + timedelta(seconds=50))
    starts = {start.job_id: start for start in worker.take()}
    worker.claim([start for job_id, start in starts.items() if job_id != untaken])
    for job_id in (started, retried, canceled, late):
        worker.started(starts[job_id], job_timeout=20.0 if job_id == late else None)
    worker.fault(starts[retried], retry_delay=30)
    world.say(CancelJob(job_id=canceled))
    assert world.states([untaken, taken, started, retried, canceled, late, scheduled]) == [
        "StartingJobAttempt", "StartingJobAttempt", "Started", "WaitingToRetry", "CancellationPending", "Started",
        "WaitingToStart",
    ]  # fmt: skip
    worker.dies()
    world.pass_time(60)
    assert world.states([untaken, taken, started, retried, late, scheduled]) == ["WaitingForSlot"] * 6
    assert world.state(canceled) == "Canceled"
    assert world.slots() == []


def test_promise_5_only_the_current_attempt_changes_the_job(world: World) -> None:
    """The old one may say what it likes."""
    first, second = world.worker(), world.worker()
    job_id = world.submit()
    old, new = (first, second) if world.told(first) else (second, first)
    (start,) = old.receive()
    old.started(start)
    world.lap()
    old.alive = False
    world.pass_time(17)
    (again,) = new.receive()
    new.started(again)
    new.progress(again, 0.1)
    world.lap()
    before = world.job(job_id)
    old.alive = True
    old.progress(start, 0.9)
    old.log(start, "I live")
    old.fault(start, retry_delay=0)
    old.complete(start, result="mine")
    old.cancel(start)
    world.lap()
    assert world.job(job_id) == before
    assert not old.save(start, "mine")
    assert world.attempt(start.attempt_id).outcome == "Suspect"
    assert "I live" in [row.message for row in world.history(job_id)], "its own history it may write"


@pytest.mark.parametrize("kind", ["doubled", "reversed", "doubled and reversed"])
def test_promise_6_any_message_may_come_twice_late_or_out_of_order(world: World, kind: str) -> None:
    """No error, same outcome: as if all had come once, in order."""
    worker = world.worker(limit=3)
    ids = world.submit_many(3)
    starts = worker.receive()
    said: list[Message] = []
    world.send = lambda *messages: said.extend(messages)  # type: ignore[method-assign]
    for start in starts:
        worker.started(start)
        worker.progress(start, 0.5)
        worker.log(start, "half way")
    worker.complete(starts[0], result=1)
    worker.fault(starts[1], retry_delay=60)
    worker.fault(starts[2])
    del world.send  # type: ignore[method-assign]
    if "reversed" in kind:
        said.reverse()
    if "doubled" in kind:
        said = [message for message in said for _ in range(2)]
    world.say(*said)
    world.say(*said)
    assert world.states(ids) == ["Completed", "WaitingToRetry", "Faulted"]
    assert [world.job(each).policy_retries for each in ids] == [0, 1, 0]
    assert [world.job(each).result for each in ids] == [1, None, None]
    assert len(world.attempts()) == 3
    assert world.slots() == []
    assert [len([row for row in world.history(each) if row.kind == "JobLog"]) for each in ids] == [1, 1, 1]
    assert world.dead() == []
    assert len(world.heard("JobCompleted") + world.heard("JobFaulted")) == 2


@pytest.mark.parametrize("lost", ["nothing", "the announcement's start", "every hint"])
def test_promise_7_a_free_slot_and_a_waiting_job_find_each_other_without_a_timer(
    world: World, lost: str
) -> None:
    """No time passes here: the next lap is enough, whatever told the host to make it."""
    worker = world.worker(limit=2)
    first = world.submit()
    (start,) = worker.receive()
    world.submit_many(2)
    worker.complete(start)
    world.engine.process()
    assert len(world.told(worker)) == 2
    if lost == "every hint":
        world.another_engine().process()
    elif lost == "the announcement's start":
        worker.announce(["other"], 1)
        job_id = world.submit("other")
        world.lap()
        assert job_id in [each.job_id for each in world.told(worker)]  # type: ignore[attr-defined]
    assert world.state(first) == "Completed"
    assert world.clock.monotonic() == 0


def test_a_late_announcement_of_a_worker_that_is_gone_gives_it_no_job(world: World) -> None:
    """Found by the walk: it was given slots in the very lap in which it was heard."""
    worker = world.worker()
    announcement = SetConcurrentJobLimit(
        job_type=TYPE, kind=LimitKind.CONFIGURED, instance_id=worker.id, concurrent_job_limit=2
    )
    worker.dies()
    world.pass_time(16)
    job_id = world.submit()
    world.say(announcement, announcement)
    assert world.state(job_id) == "WaitingForSlot"
    assert world.dead() == []
