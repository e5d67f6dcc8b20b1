"""A walk at random through a deployment's days: jobs come, workers work, fail, freeze, die and come back, clients
change their minds, messages come twice and late. After each step the invariants are checked.

The workers keep the one rule that is theirs: who could not renew his lease in time ends what he runs, before the
sagas give it to another. What is left to chance is everything else. The same seed is the same walk.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any
from uuid import UUID

from jobsaga.messages import (
    CancelJob,
    CancelKind,
    DrainInstance,
    FinalizeJob,
    Message,
    OverrideJobLimit,
    PauseJobType,
    ResumeJobType,
    RetryJob,
    RevertJobLimit,
    StartJob,
    UndrainInstance,
)
from jobsaga.sagas import Job
from jobsaga.sagas.states import ENDED_JOB_STATES, JobStates
from tests.engine.places import MemoryPlace
from tests.engine.walk_checks import (
    GIVES_UP_AFTER,
    GLOBAL_LIMIT,
    JUDGED_BY,
    KEYS,
    LIMIT,
    PER_KEY,
    Checks,
    Crew,
)
from tests.engine.world import TYPE, World


class Walk(Checks):
    def __init__(self, world: World, seed: int) -> None:
        self.world, self.chance = world, random.Random(seed)
        self.crews: list[Crew] = []
        self.jobs: list[UUID] = []
        self.said: list[Message] = []
        self.most: Counter[UUID] = Counter()
        self.held_before: set[UUID] = set()
        #: What was asked in this step may have been heard after a slot was given.
        self.steered_since = False
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
            self.wait, self.hold, self.release, self.steer,
        ]  # fmt: skip
        for _ in range(steps):
            action = self.chance.choice(actions)
            action()
            self.world.lap()
            self.check()

    def submit(self) -> None:
        key, priority = self.chance.choice(KEYS), self.chance.randint(-1, 1)
        self.jobs += self.world.submit_many(self.chance.randint(1, 3), priority=priority, concurrency_key=key)

    def hire(self) -> None:
        if len(self.living()) < 3:
            worker = self.world.worker(limit=LIMIT, global_limit=GLOBAL_LIMIT, per_key=PER_KEY)
            self.crews.append(Crew(worker, heard_at=self.now()))

    def steer(self) -> None:
        """A person pauses the type, gives it smaller limits for a while, or takes a worker out. From the lap on in
        which that is heard nobody may get what is not his to have.
        """
        asked: list[Message] = [
            PauseJobType(job_type=TYPE), ResumeJobType(job_type=TYPE), ResumeJobType(job_type=TYPE),
            OverrideJobLimit(job_type=TYPE, concurrent_job_limit=self.chance.randint(0, LIMIT), duration=5),
            OverrideJobLimit(job_type=TYPE, global_concurrent_job_limit=1, duration=5), RevertJobLimit(job_type=TYPE),
        ]  # fmt: skip
        for crew in self.living():
            asked += [DrainInstance(instance_id=crew.worker.id), UndrainInstance(instance_id=crew.worker.id)]
        self.world.send(self.chance.choice(asked))
        self.steered_since = True

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

    # The end

    def settle(self) -> None:
        """Everyone who is left goes; good workers come; all jobs end."""
        self.release()
        self.world.say(RevertJobLimit(job_type=TYPE), ResumeJobType(job_type=TYPE))
        for crew in self.living():
            self.lose(crew)
        self.world.pass_time(JUDGED_BY)
        assert self.world.slots() == []
        self.check()
        good = Crew(
            self.world.worker(limit=LIMIT, global_limit=GLOBAL_LIMIT, per_key=PER_KEY), heard_at=self.now()
        )
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
