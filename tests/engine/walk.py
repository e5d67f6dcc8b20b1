"""A walk at random through a deployment's days: jobs come, workers work, fail, freeze, die and come back, clients
change their minds, messages come twice and late. After each step the invariants are checked.

The workers keep the one rule that is theirs: who could not renew his lease in time ends what he runs, before the
sagas give it to another. What is left to chance is everything else. The same seed is the same walk.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from jobsaga.messages import CancelJob, CancelKind, FinalizeJob, Message, RetryJob, StartJob
from jobsaga.sagas import Attempt, Job
from jobsaga.sagas.states import ENDED_JOB_STATES, OPEN_ATTEMPT_STATES, AttemptStates, JobStates
from tests.engine.places import MemoryPlace
from tests.engine.workers import ScriptedWorker
from tests.engine.world import World

LIMIT, GLOBAL_LIMIT = 2, 4
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


class Walk:
    def __init__(self, world: World, seed: int) -> None:
        self.world, self.chance = world, random.Random(seed)
        self.crews: list[Crew] = []
        self.jobs: list[UUID] = []
        self.said: list[Message] = []
        self.most: Counter[UUID] = Counter()
        send = world.send

        def remember(*messages: Message) -> None:
            self.said += messages
            send(*messages)

        world.send = remember  # type: ignore[method-assign]

    # Steps

    def go(self, steps: int) -> None:
        """Walk, and check after each step."""
        actions = [
            self.submit, self.submit, self.hire, self.work, self.work, self.work, self.work, self.end, self.end,
            self.freeze, self.thaw, self.kill, self.cancel, self.retry, self.finalize, self.repeat, self.wait,
            self.wait, self.hold, self.release,
        ]  # fmt: skip
        for _ in range(steps):
            action = self.chance.choice(actions)
            action()
            self.world.lap()
            self.check()

    def submit(self) -> None:
        self.jobs += self.world.submit_many(self.chance.randint(1, 3), priority=self.chance.randint(-1, 1))

    def hire(self) -> None:
        if len(self.living()) < 3:
            worker = self.world.worker(limit=LIMIT, global_limit=GLOBAL_LIMIT)
            self.crews.append(Crew(worker, heard_at=self.now()))

    def work(self) -> None:
        """Take what is there and start it, or some of it; save, and tell how far it is."""
        for crew in self.awake():
            for start in crew.worker.receive():
                crew.running[start.attempt_id] = start
                if self.chance.random() < 0.8:
                    crew.worker.started(start)
            for start in crew.running.values():
                if self.chance.random() < 0.3:
                    crew.worker.progress(start, self.chance.random())
                    self.save(crew, start)
            if crew.ended:
                self.save(crew, self.chance.choice(crew.ended))

    def save(self, crew: Crew, start: StartJob) -> None:
        """What is current saves its state, and what another has followed saves nothing."""
        job, last = (
            self.job(start.job_id),
            max((each.id for each in self.world.attempts(start.job_id)), default=None),
        )
        saved = crew.worker.save(start, {"at": self.now()})
        if job is not None and job.attempt_id == start.attempt_id:
            assert saved
        elif start.attempt_id != last:
            assert not saved, f"{start.attempt_id} is over, and saves"

    def end(self) -> None:
        crew = self.pick(self.awake())
        if crew is None or not crew.running:
            return
        start = crew.running.pop(self.chance.choice(list(crew.running)))
        crew.ended.append(start)
        how = self.chance.random()
        if how < 0.5:
            crew.worker.complete(start, result=1)
        elif how < 0.8:
            crew.worker.fault(start, retry_delay=self.chance.choice([None, 0, 3]))
        else:
            kind = self.chance.choice([CancelKind.SHUTDOWN, CancelKind.CONSUMER, CancelKind.USER])
            crew.worker.cancel(start, kind)

    def freeze(self) -> None:
        if (crew := self.pick(self.awake())) is not None:
            crew.frozen = True

    def thaw(self) -> None:
        crew = self.pick([each for each in self.living() if each.frozen])
        if crew is not None:
            crew.frozen = False
            self.beat(crew)

    def kill(self) -> None:
        if self.chance.random() < 0.3 and (crew := self.pick(self.living())) is not None:
            crew.worker.dies()
            crew.running.clear()

    def cancel(self) -> None:
        if self.jobs:
            self.world.send(CancelJob(job_id=self.chance.choice(self.jobs), reason="enough"))

    def retry(self) -> None:
        if self.jobs:
            self.world.send(RetryJob(job_id=self.chance.choice(self.jobs)))

    def finalize(self) -> None:
        if self.jobs and self.chance.random() < 0.3:
            self.world.send(FinalizeJob(job_id=self.chance.choice(self.jobs)))

    def repeat(self) -> None:
        """Anything that was ever said comes again: from an attempt that is over it changes nothing."""
        if not self.said:
            return
        message: Any = self.chance.choice(self.said)
        job_id = getattr(message, "job_id", None)
        before = self.job(job_id) if job_id else None
        self.world.transport.send([("saga", message)])
        self.world.lap()
        is_old = before is not None and getattr(message, "attempt_id", before.attempt_id) != before.attempt_id
        if is_old and isinstance(before, Job) and before.state is not JobStates.WAITING_FOR_SLOT:
            assert self.job(job_id) in (before, before.but(slot=None))

    def hold(self) -> None:
        """In memory: for one lap someone else has a job or the type, or a job's own transaction stays open."""
        if not isinstance(self.world.place, MemoryPlace) or not self.jobs:
            return
        memory, job_id = self.world.place.memory, self.chance.choice(self.jobs)
        how = self.chance.random()
        if how < 0.5:
            memory.held_checkpoints.add(job_id)
        with self.world.hold_job(job_id) if how < 0.75 else self.world.hold_job_type():
            self.work()
            self.end()
            self.world.lap()

    def release(self) -> None:
        if isinstance(self.world.place, MemoryPlace):
            self.world.place.memory.held_checkpoints.clear()

    def wait(self) -> None:
        for _ in range(self.chance.choice([1, 1, 2, 5, 10])):
            self.world.clock.advance(1)
            for crew in self.awake():
                self.beat(crew)
            for crew in self.living():
                if self.now() - crew.heard_at > GIVES_UP_AFTER:
                    self.lose(crew)
            self.world.sweep()

    def beat(self, crew: Crew) -> None:
        crew.worker.beat()
        crew.heard_at = self.now()
        if crew.worker.lost:
            self.lose(crew)

    def lose(self, crew: Crew) -> None:
        """It comes back as another instance."""
        crew.running.clear()
        crew.worker.dies()

    # What must hold

    def check(self) -> None:
        slots = self.world.slots()
        self.check_limits(slots)
        self.check_slots(slots)
        self.check_jobs()
        assert self.world.dead() == []

    def check_limits(self, slots: list[Attempt]) -> None:
        """Promise 1."""
        held = Counter(each.instance_id for each in slots)
        assert max(held.values(), default=0) <= LIMIT
        assert len(slots) <= GLOBAL_LIMIT
        running = {key for crew in self.crews for key in crew.running}
        assert running <= {each.id for each in slots}, "user code runs without a slot"

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

    # The end

    def settle(self) -> None:
        """Everyone who is left goes; good workers come; all jobs end."""
        self.release()
        for crew in self.living():
            self.lose(crew)
        self.world.pass_time(JUDGED_BY)
        assert self.world.slots() == []
        self.check()
        good = Crew(self.world.worker(limit=LIMIT, global_limit=GLOBAL_LIMIT), heard_at=self.now())
        self.crews.append(good)
        for _ in range(200):
            for start in good.worker.receive():
                good.worker.started(start)
                good.worker.complete(start)
            if all(job is None or job.state in ENDED_JOB_STATES for job in map(self.job, self.jobs)):
                break
            self.beat(good)
            self.world.pass_time(1)
        states = Counter(job.state.label if job else "gone" for job in map(self.job, self.jobs))
        assert states.keys() <= {"Completed", "Faulted", "Canceled", "gone"}, states
        assert self.world.slots() == []

    # Small print

    def now(self) -> float:
        return self.world.clock.monotonic()

    def job(self, job_id: UUID) -> Job | None:
        return self.world.place.job(job_id)

    def living(self) -> list[Crew]:
        return [crew for crew in self.crews if crew.worker.alive]

    def awake(self) -> list[Crew]:
        return [crew for crew in self.living() if not crew.frozen]

    def pick(self, crews: list[Crew]) -> Crew | None:
        return self.chance.choice(crews) if crews else None
