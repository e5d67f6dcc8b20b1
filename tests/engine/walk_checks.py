"""What must hold after each step of a walk: the checks of ``Walk``, and the limits that it walks within."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from jobsaga.messages import StartJob
from jobsaga.sagas import Attempt, Job
from jobsaga.sagas.states import ENDED_JOB_STATES, OPEN_ATTEMPT_STATES, AttemptStates, JobStates
from tests.engine.workers import ScriptedWorker
from tests.engine.world import TYPE, World

LIMIT, GLOBAL_LIMIT, PER_KEY = 2, 4, 2
KEYS = ["acme", "bolt", ""]
#: A worker ends everything when it could not renew its lease for so long; the sagas judge at 15 s.
GIVES_UP_AFTER = 13.0
#: The sweep looks once a second, and judges in the one after; whose transaction is open has three seconds more.
JUDGED_BY = 21.0


@dataclass
class Crew:
    """A worker in the walk: what it runs, and since when it was not heard."""

    worker: ScriptedWorker
    running: dict[UUID, StartJob] = field(default_factory=dict)
    ended: list[StartJob] = field(default_factory=list)
    heard_at: float = 0.0
    frozen: bool = False


class Checks:
    world: World
    crews: list[Crew]
    jobs: list[UUID]
    held_before: set[UUID]
    steered_since: bool

    def now(self) -> float:
        raise NotImplementedError

    def job(self, job_id: UUID) -> Job | None:
        raise NotImplementedError

    # What must hold

    def check(self) -> None:
        slots = self.world.slots()
        self.check_limits(slots)
        self.check_new_slots(slots)
        self.check_slots(slots)
        self.check_jobs()
        assert self.world.dead() == []

    def check_limits(self, slots: list[Attempt]) -> None:
        """Promise 1."""
        held = Counter(each.instance_id for each in slots)
        assert max(held.values(), default=0) <= LIMIT
        assert len(slots) <= GLOBAL_LIMIT
        keys = Counter(each.concurrency_key for each in slots if each.concurrency_key)
        assert max(keys.values(), default=0) <= PER_KEY, f"too many of one key: {keys}"
        running = {key for crew in self.crews for key in crew.running}
        assert running <= {each.id for each in slots}, "user code runs without a slot"

    def check_new_slots(self, slots: list[Attempt]) -> None:
        """A slot that was not there after the last step was given by the limits that hold now."""
        with self.world.store.transaction() as tx:
            known = tx.job_types([TYPE], tx.now()).rows.get(TYPE)
        new = [each for each in slots if each.id not in self.held_before]
        self.held_before = {each.id for each in slots}
        if known is None or not new or self.steered_since:
            self.steered_since = False
            return
        assert known.paused_at is None, "it was paused, and gave a slot"
        for attempt in new:
            instance = known.instances.get(attempt.instance_id)  # type: ignore[arg-type]
            assert instance is None or instance.active <= known.limit_of(instance), (
                "more than it may have now"
            )

    def check_slots(self, slots: list[Attempt]) -> None:
        """Promise 2: whoever holds a slot has a worker that may be alive."""
        heard = {crew.worker.id: crew.heard_at for crew in self.crews}
        for attempt in slots:
            assert attempt.state in OPEN_ATTEMPT_STATES
            assert attempt.instance_id is not None
            assert self.now() - heard[attempt.instance_id] <= JUDGED_BY, (
                f"{attempt} holds its slot for too long"
            )

    def check_jobs(self) -> None:
        """Promise 3: runnable, ended, with a deadline, or with an attempt that has a worker."""
        for job_id in self.jobs:
            job = self.job(job_id)
            if job is None or job.state in ENDED_JOB_STATES or job.state is JobStates.WAITING_FOR_SLOT:
                continue
            if job.state in (JobStates.STARTING_JOB_ATTEMPT, JobStates.STARTED):
                attempts = {each.id: each for each in self.world.attempts(job_id)}
                current = attempts[job.attempt_id]  # type: ignore[index]
                assert current.holds_slot, f"{job} waits for an attempt that is over"
                assert current.due_at or current.received_at or current.state is not AttemptStates.STARTING
            else:
                assert job.due_at is not None, f"{job} has no way out"
