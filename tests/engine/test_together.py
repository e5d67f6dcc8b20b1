"""Several saga hosts on the same rows, in threads, in real time: what one does is done once, and limits hold."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Count

from jobsaga.conf import settings
from jobsaga.engine.engine import Engine
from jobsaga.ids import uuid7
from jobsaga.messages import SubmitJob
from jobsaga.models import JobAttemptSaga, JobSaga
from jobsaga.sagas import JobStates
from tests.engine.workers import ScriptedWorker
from tests.engine.world import TYPE, World
from tests.engine.worlds import REAL_TIME, make_world
from tests.processes import wait_for
from tests.threads import in_thread

LONG = 60
#: Between two rounds of a thread. A host waits for news; one that never rests would keep SQLite to itself.
PAUSE = 0.005


@pytest.fixture(params=REAL_TIME)
def world(request: pytest.FixtureRequest) -> World:
    return make_world(request.param)


@dataclass
class Bustle:
    """Hosts and workers in threads, and what was seen of them."""

    world: World
    stopping: Event = field(default_factory=Event)
    threads: list[Thread] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    transient: list[BaseException] = field(default_factory=list)
    started: list[UUID] = field(default_factory=list)
    running: Counter[UUID] = field(default_factory=Counter)
    most_running: Counter[UUID] = field(default_factory=Counter)
    most_in_all: int = 0
    samples: int = 0
    too_many: list[Any] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def host(self, engine: Engine) -> None:
        """A saga host as it is: it laps and sweeps, and tries again what is nobody's fault."""

        def lap() -> None:
            try:
                engine.process()
                engine.sweep()
            except Exception as error:
                if not engine.store.is_transient(error):
                    raise
                self.transient.append(error)

        self._repeat(lap)

    def work(self, worker: ScriptedWorker) -> None:
        """A worker that completes what it is given, a moment after it has started it."""

        def turn() -> None:
            worker.beat()
            starts = worker.receive()
            with self.lock:
                self.started += [start.attempt_id for start in starts]
                self.running[worker.id] += len(starts)
                self.most_running |= self.running
                self.most_in_all = max(self.most_in_all, self.running.total())
            for start in starts:
                worker.started(start)
            for start in starts:
                with self.lock:
                    self.running[worker.id] -= 1
                worker.complete(start)

        self._repeat(turn)

    def sample(self, limits: dict[UUID, int], in_all: int) -> None:
        """Count the slots that are held, again and again."""

        def count() -> None:
            held = JobAttemptSaga.objects.using(settings.DATABASE).filter(holds_slot=True)
            by_instance = dict(held.values_list("instance_id").annotate(n=Count("*")).order_by())
            self.samples += 1
            if any(n > limits[key] for key, n in by_instance.items()) or sum(by_instance.values()) > in_all:
                self.too_many.append(by_instance)

        self._repeat(count)

    def _repeat(self, do: Callable[[], None]) -> None:
        def run() -> None:
            try:
                while not self.stopping.wait(PAUSE):
                    do()
            except BaseException as error:  # noqa: BLE001 - asked for at the end
                self.errors.append(error)

        self.threads.append(in_thread(run))

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(LONG)
        assert self.errors == []


@contextmanager
def bustle(world: World) -> Any:
    it = Bustle(world)
    with ExitStack() as stack:
        stack.callback(it.stop)
        yield it


def open_jobs() -> int:
    return JobSaga.objects.using(settings.DATABASE).exclude(state=JobStates.COMPLETED.value).count()


@pytest.mark.parametrize("hosts", [2, 3])
def test_hosts_side_by_side_drain_the_jobs_once_each_within_the_limits(world: World, hosts: int) -> None:
    count = 300
    workers = [world.worker(limit=4, global_limit=6), world.worker(limit=3, global_limit=6)]
    limits = {workers[0].id: 4, workers[1].id: 3}
    with bustle(world) as it:
        for _ in range(hosts):
            it.host(world.another_engine())
        for worker in workers:
            it.work(worker)
        it.sample(limits, 6)
        ids = [job_id for _ in range(10) for job_id in submit(world, count // 10)]
        wait_for(lambda: not open_jobs(), LONG, f"{count} jobs to complete")
    assert Counter(world.states(ids)) == {"Completed": count}
    assert len(it.started) == len(set(it.started)) == len(world.attempts()) == count
    assert it.too_many == []
    assert it.samples > 5
    assert all(it.most_running[key] <= limit for key, limit in limits.items())
    assert it.most_in_all <= 6
    assert world.slots() == []
    assert world.dead() == []
    assert len(it.transient) <= count / 10, "a deadlock now and then, not as a rule"


def submit(world: World, count: int) -> list[UUID]:
    """As a client does, in a transaction of this thread; the hosts find the jobs."""
    ids = [uuid7() for _ in range(count)]
    with world.store.transaction() as tx:
        turn = world.engine.fresh_turn(tx)
        for job_id in ids:
            turn.apply(SubmitJob(job_id=job_id, job_type=TYPE))
        tx.write(turn.finish())
    return ids


def test_a_limit_of_one_holds_on_several_hosts(world: World) -> None:
    """Where a count that is one transaction old would be one too many."""
    workers = [world.worker(limit=5, global_limit=1) for _ in range(2)]
    with bustle(world) as it:
        for _ in range(3):
            it.host(world.another_engine())
        for worker in workers:
            it.work(worker)
        it.sample({worker.id: 1 for worker in workers}, 1)
        ids = submit(world, 60)
        wait_for(lambda: not open_jobs(), LONG, "60 jobs to complete")
    assert it.too_many == []
    assert it.most_in_all == 1
    assert Counter(world.states(ids)) == {"Completed": 60}


def test_each_deadline_is_handled_once(world: World) -> None:
    """All hosts sweep at the same time; a retry that is due is queued by one of them."""
    worker = world.worker(limit=40)
    ids = world.submit_many(40)
    starts = worker.receive()
    for start in starts:
        worker.started(start)
        worker.fault(start, retry_delay=0.3)
    world.lap()
    worker.stops()
    time.sleep(0.3)
    with bustle(world) as it:
        for _ in range(3):
            it.host(world.another_engine())
        wait_for(lambda: set(world.states(ids)) == {"WaitingForSlot"}, LONG, "the retries to be queued")
    assert {(job.retry_attempt, job.version) for job in map(world.job, ids)} == {(1, 5)}
    assert all(len(world.history(job_id)) == 5 for job_id in ids)
