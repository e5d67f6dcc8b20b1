"""E01, K09-K14, K16, K18, K19, K29, K35 and K36 with workers that do as told, under a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from jobsaga import cancel_job, get_job_state, submit_job
from jobsaga.messages import AttemptStatus, CancelKind, JobAttemptStatus, LimitKind, StartJob
from tests.conformance.surfaces import history, kinds, path, state
from tests.conformance.test_submission import HAPPY
from tests.engine.workers import ScriptedWorker
from tests.engine.world import World
from tests.jobsapp.jobs.conformance import OddJob

ODD = "jobsapp.OddJob"
#: What the defaults promise: a lost worker's job runs again within 18 s, a second for the delay included.
LEASE, NOTICED = 15, 3


def odd_worker(world: World, limit: int = 1, global_limit: int | None = None) -> ScriptedWorker:
    return world.worker(limit, [ODD], global_limit=global_limit)


def submit(world: World) -> UUID:
    job_id = submit_job(OddJob())
    world.lap()
    return job_id


def take(worker: ScriptedWorker) -> StartJob:
    """The one start message that waits for it, with its user code running."""
    (start,) = worker.receive()
    worker.started(start)
    worker.world.lap()
    return start


def finish(worker: ScriptedWorker) -> list[UUID]:
    """Let it take and complete whatever it is given, until nothing comes any more; the jobs in order."""
    done = []
    while starts := worker.receive():
        for start in starts:
            worker.started(start)
            worker.complete(start)
            done.append(start.job_id)
        worker.world.lap()
    return done


def attempts(job_id: UUID) -> int:
    """How many times it came to a worker."""
    return path(job_id).count("StartingJobAttempt")


def test_e01_long_job_survives_status_checks(world: World) -> None:
    """Heartbeats are the status checks here: one for each worker, every 5 s, however many jobs it has."""
    worker = odd_worker(world)
    job_id = submit(world)
    start = take(worker)
    world.pass_time(210, step=5)
    assert state(job_id) == "Started"
    worker.complete(start, duration=timedelta(seconds=210))
    world.lap()
    assert path(job_id) == HAPPY
    assert "JobAttemptLate" not in kinds(job_id)
    assert get_job_state(job_id).duration == timedelta(seconds=210)


def test_k09_a_worker_that_lives_but_does_not_take_its_start(world: World) -> None:
    """Better: no user code ran, so after 15 s the job goes to the next worker and no retry is spent; the worker is
    not evicted, since its heartbeat comes.
    """
    sleepy, busy = odd_worker(world), odd_worker(world)
    job_id = submit(world)
    world.pass_time(LEASE + 1)
    assert attempts(job_id) == 2
    assert get_job_state(job_id).last_retry_attempt == 0
    assert finish(busy) == [job_id]
    assert sleepy.receive() == []  # what it was sent first is not its own any more
    another = submit(world)
    assert finish(sleepy) == [another]


def test_k09_a_worker_that_dies_before_it_takes_its_start(world: World) -> None:
    dead, other = odd_worker(world), odd_worker(world)
    dead.dies()
    job_id = submit(world)
    world.pass_time(LEASE + NOTICED)
    assert finish(other) == [job_id]
    assert get_job_state(job_id).last_retry_attempt == 0
    more = submit(world)
    assert finish(other) == [more]


def test_k10_a_running_attempt_goes_silent(world: World) -> None:
    """Better: one lease of 15 s in the place of three status checks of a minute each, and the worker gets no more
    jobs. Late is written at two missed heartbeats, lost at the end of the lease.
    """
    silent, other = odd_worker(world), odd_worker(world)
    job_id = submit(world)
    take(silent)
    silent.dies()
    world.pass_time(9)
    assert (state(job_id), "JobAttemptLate" in kinds(job_id)) == ("Started", False)
    world.pass_time(2)
    assert (state(job_id), "JobAttemptLate" in kinds(job_id)) == ("Started", True)
    world.pass_time(LEASE + NOTICED - 11)
    again = take(other)
    assert (again.job_id, again.retry_attempt, again.policy_retries) == (job_id, 1, 0)
    (why,) = (row.message for row in history(job_id) if row.kind == "JobAttemptFaulted")
    assert "was lost: no heartbeat before its lease was over" in why
    other.complete(again)
    world.lap()
    assert state(job_id) == "Completed"
    more = [submit(world), submit(world)]
    assert finish(other) == more


def test_k10_suspect_retries_come_to_an_end(world: World) -> None:
    """The default of 3: four workers may be lost with one job, then it is a fault."""
    job_id = submit(world)
    for _ in range(4):
        worker = odd_worker(world)
        take(worker)
        worker.dies()
        world.pass_time(LEASE + NOTICED)
    odd_worker(world)
    assert (state(job_id), attempts(job_id)) == ("Faulted", 4)
    assert "was lost" in get_job_state(job_id).reason


def test_k11_a_worker_without_heartbeat_gets_no_jobs(world: World) -> None:
    """Better: 15 s instead of 5 minutes, and noticed by itself, not at the next allocation."""
    dead = odd_worker(world, limit=5)
    dead.dies()
    world.pass_time(LEASE + NOTICED)
    job_id = submit(world)
    assert (state(job_id), attempts(job_id)) == ("WaitingForSlot", 0)
    world.pass_time(120)
    assert attempts(job_id) == 0
    assert finish(odd_worker(world)) == [job_id]


def test_k12_a_worker_that_stops_gets_no_jobs_from_then_on(world: World) -> None:
    worker, other = odd_worker(world, limit=5), odd_worker(world)
    worker.announce([ODD], 5, kind=LimitKind.STOPPED)
    worker.stops()
    world.lap()
    jobs = [submit(world) for _ in range(3)]
    assert finish(other) == jobs
    assert [attempts(job_id) for job_id in jobs] == [1, 1, 1]


def test_k13_a_start_that_reaches_a_stopping_worker(world: World) -> None:
    """Better: the job goes elsewhere at once, not after 3 s, and spends no retry."""
    stopping, other = odd_worker(world), odd_worker(world)
    job_id = submit(world)
    (start,) = stopping.receive()
    stopping.announce([ODD], 1, kind=LimitKind.STOPPED)
    stopping.cancel(start, CancelKind.NOT_STARTED, "Job Service Shutdown")
    world.lap()
    assert finish(other) == [job_id]
    assert path(job_id) == [*HAPPY[:2], *HAPPY]
    assert get_job_state(job_id).last_retry_attempt == 0


def test_k14_global_limit(world: World) -> None:
    workers = [odd_worker(world, limit=3, global_limit=4) for _ in range(2)]
    jobs = [submit(world) for _ in range(10)]
    under_way = lambda: sum(state(job_id) == "StartingJobAttempt" for job_id in jobs)  # noqa: E731
    assert under_way() == 4
    world.pass_time(5)
    starts = [(worker, start) for worker in workers for start in worker.receive()]
    assert (len(starts), under_way()) == (4, 4)
    worker, start = starts[0]
    worker.complete(start)
    world.lap()
    assert (state(start.job_id), under_way()) == ("Completed", 4)
    for worker, start in starts[1:]:
        worker.complete(start)
    world.lap()
    while not all(state(job_id) == "Completed" for job_id in jobs):
        assert under_way() <= 4
        assert any(finish(worker) for worker in workers)


def test_k16_allocation_order(world: World) -> None:
    """Fewest active jobs first; among equals the worker that was used longest ago."""
    running: dict[ScriptedWorker, list[StartJob]] = {odd_worker(world, limit=3): [] for _ in range(2)}

    def place() -> ScriptedWorker:
        """Submit another job; who is given it."""
        submit(world)
        world.clock.advance(1)
        (taken,) = ((worker, start) for worker in running for start in worker.receive())
        worker, start = taken
        worker.started(start)
        world.lap()
        running[worker].append(start)
        return worker

    one, two, three, four = (place() for _ in range(4))
    assert one is not two
    assert (three, four) == (one, two)
    for start in running[two]:
        two.complete(start)
    world.lap()
    assert [place(), place(), place()] == [two, two, one]
    for worker, starts in running.items():
        for start in starts:
            worker.complete(start)
    world.lap()


def test_k18_a_slot_is_given_once(world: World) -> None:
    """A job that has a slot asks for none, so there is nothing to answer twice: however often two saga hosts look,
    and however often the start message comes, it is one attempt on one worker.
    """
    one, two = odd_worker(world), odd_worker(world)
    another = world.another_engine()
    job_id = submit(world)
    for _ in range(3):
        another.sweep()
        another.process()
        world.sweep()
    (start,) = [*one.take(), *two.take()]
    holder = one if one.claim([start]) else two
    assert holder.claim([start, start]) == [start, start]  # said twice: known by its attempt's id
    assert (two if holder is one else one).claim([start]) == []
    holder.started(start)
    holder.complete(start)
    world.lap()
    assert (path(job_id), attempts(job_id)) == (HAPPY, 1)


# -- K19: whatever a worker says late or twice


def everything(worker: ScriptedWorker, start: StartJob) -> None:
    """Every report there is about this attempt."""
    worker.started(start)
    worker.progress(start, 77)
    worker.complete(start, result="late")
    worker.fault(start, "late")
    worker.fault(start, "late", retry_delay=1)
    worker.fault(start, "late", suspect=True)
    for kind in CancelKind:
        worker.cancel(start, kind, "late")
    for status in AttemptStatus:
        worker.world.send(
            JobAttemptStatus(job_id=start.job_id, attempt_id=start.attempt_id, status=status, reason="late")
        )


def lost(world: World) -> tuple[ScriptedWorker, StartJob]:
    worker = odd_worker(world)
    start = take(worker)
    worker.dies()
    while state(start.job_id) == "Started":
        world.pass_time(1)
    worker.alive = True
    return worker, start


def ended_by(how: str, **fields: float) -> Callable[[World], tuple[ScriptedWorker, StartJob]]:
    def situation(world: World) -> tuple[ScriptedWorker, StartJob]:
        worker = odd_worker(world)
        start = take(worker)
        getattr(worker, how)(start, **fields)
        world.lap()
        return worker, start

    return situation


def runs_again(world: World) -> tuple[ScriptedWorker, StartJob]:
    worker, start = lost(world)
    other = odd_worker(world)
    world.pass_time(2)
    take(other)
    return worker, start


LATE: dict[str, Callable[[World], tuple[ScriptedWorker, StartJob]]] = {
    "Completed": ended_by("complete"),
    "Faulted": ended_by("fault"),
    "Canceled": ended_by("cancel"),
    "WaitingToRetry": lost,
    "Started": runs_again,
}


@pytest.mark.parametrize("situation", LATE)
def test_k19_late_and_repeated_reports_change_nothing(world: World, situation: str) -> None:
    """Only the current attempt counts, in every state; the original has gaps here (its issue 6131)."""
    job_id = submit(world)
    worker, start = LATE[situation](world)
    assert state(job_id) == situation
    before, known = path(job_id), get_job_state(job_id)
    for _ in range(2):
        everything(worker, start)
        world.lap()
    assert (path(job_id), get_job_state(job_id)) == (before, known)
    cancel_job(job_id)
    world.lap()
    for each in world.workers:
        each.receive()
        for ask in each.canceled:
            each.cancel(ask)  # type: ignore[arg-type]
    world.lap()


def test_k19_an_end_that_overtakes_its_start(world: World) -> None:
    """A very fast job: its end is there first, and its start is known from the end. It is told of in its order."""
    worker = odd_worker(world)
    job_id = submit(world)
    (start,) = worker.receive()
    worker.complete(start)
    worker.started(start)
    world.lap()
    assert path(job_id) == ["WaitingForSlot", "StartingJobAttempt", "Started", "Completed"]
    assert get_job_state(job_id).started is not None


def test_k29_progress_and_state_of_an_older_attempt(world: World) -> None:
    """Progress is dropped. Better: a save by the older attempt fails in its own transaction, so that it knows."""
    job_id = submit(world)
    old = odd_worker(world)
    first = take(old)
    old.progress(first, 5)
    assert old.save(first, {"frame": 5})
    old.dies()
    new = odd_worker(world)
    world.pass_time(LEASE + NOTICED)
    second = take(new)
    assert (second.progress_value, second.job_state) == (5, {"frame": 5})
    new.progress(second, 8)
    assert new.save(second, {"frame": 8})
    old.alive = True
    old.progress(first, 99)
    assert not old.save(first, {"frame": 99})
    world.lap()
    known = get_job_state(job_id)
    assert (known.progress_value, known.job_state) == (8, {"frame": 8})
    new.progress(second, 7, sequence=1)  # and an older value of its own: the highest number wins
    new.complete(second)
    world.lap()
    assert get_job_state(job_id).progress_value == 8


def test_k35_a_type_without_a_worker_waits_for_one(world: World) -> None:
    """Better: it starts when the worker says that it is there, without a timer."""
    job_id = submit(world)
    world.worker(types=["jobsapp.EvenJob"])
    world.pass_time(3600, step=60)
    assert path(job_id) == ["WaitingForSlot"]
    assert finish(odd_worker(world)) == [job_id]


def test_k36_cancel_before_the_worker_has_taken_it(world: World) -> None:
    """The slot goes to the next job as soon as the worker says that it did not begin."""
    worker = odd_worker(world)
    job_id, following = submit(world), submit(world)
    assert cancel_job(job_id, "changed my mind").current_state == "StartingJobAttempt"
    world.lap()
    assert state(job_id) == "CancellationPending"
    (start,) = worker.receive()
    assert [ask.attempt_id for ask in worker.canceled] == [start.attempt_id]
    worker.cancel(start, CancelKind.USER, "changed my mind")
    world.lap()
    assert (state(job_id), get_job_state(job_id).reason) == ("Canceled", "changed my mind")
    assert finish(worker) == [following]


def test_k36_cancel_that_the_worker_never_hears(world: World) -> None:
    """It never takes the start message: when the cancel's deadline has come, the slot is free again."""
    worker, other = odd_worker(world), odd_worker(world)
    job_id = submit(world)
    cancel_job(job_id)
    world.pass_time(60)
    assert path(job_id) == ["WaitingForSlot", "StartingJobAttempt", "CancellationPending", "Canceled"]
    assert worker.receive() == []
    more = [submit(world), submit(world)]
    assert sorted([*finish(worker), *finish(other)]) == more
