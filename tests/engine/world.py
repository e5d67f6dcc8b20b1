"""A whole deployment in a test's hand: the real engine, store and transport, a clock, and workers that do as told.

    def test_a_retry(world):                      # once on memory, once on the test's database
        worker = world.worker(limit=2)            # registers, announces its type, beats while time passes
        job_id = world.submit()
        (start,) = worker.receive()               # what the saga host told it; claimed, as a real worker does
        worker.started(start)
        worker.fault(start, retry_delay=30)
        world.lap()                               # handle what was said, until all is quiet
        assert world.job(job_id).state is JobStates.WAITING_TO_RETRY
        world.pass_time(30)                       # second by second: who lives beats, the sweep looks
        (again,) = worker.receive()

Nothing here decides anything: what happens to the rows is the engine's doing. ``world.job``, ``attempt`` and
``checkpoint`` give the records as they are stored, ``history`` and ``dead`` what was appended, ``events`` what
was published. ``say`` sends messages to the sagas as a worker or client would and runs a lap. ``hold_job`` and
``hold_checkpoint`` are someone else's transaction that keeps a row locked.

Where the rows are, and how a row is held, is the business of a ``Place``; there are two of them in ``places``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from jobsaga.clock import ManualClock
from jobsaga.engine.engine import Engine
from jobsaga.engine.options import EngineOptions
from jobsaga.ids import uuid7
from jobsaga.messages import JobEvent, Message, StartJob, SubmitJob
from jobsaga.sagas import Attempt, Checkpoint, Job
from jobsaga.store.base import Dead, HistoryRow
from jobsaga.transport.base import SAGA, Delivery
from tests.engine.places import Place
from tests.engine.workers import ScriptedWorker

TYPE = "videos.Convert"
ENOUGH_LAPS = 1000


class World:
    """One place, one engine on it, and the workers that were made so far."""

    def __init__(
        self,
        place: Place,
        options: EngineOptions | None = None,
        **engine: Any,
    ) -> None:
        self.place, self.store, self.transport = place, place.store, place.transport
        self.options = options or EngineOptions()
        self.events: list[JobEvent] = []
        self.workers: list[ScriptedWorker] = []
        self.engine = self.another_engine(**engine)

    def another_engine(self, **changes: Any) -> Engine:
        """One more saga host's engine on the same rows; *changes* go to ``Engine``."""
        given: dict[str, Any] = {"options": self.options, "publish": self.events.extend, **changes}
        return Engine(self.store, self.transport, **given)

    # Who takes part

    def worker(
        self,
        limit: int = 1,
        types: Sequence[str] = (TYPE,),
        *,
        global_limit: int | None = None,
        per_key: int | None = None,
        properties: dict[str, Any] | None = None,
    ) -> ScriptedWorker:
        """A worker that has registered and announced *types*; the sagas know of it."""
        worker = ScriptedWorker(self)
        self.workers.append(worker)
        worker.announce(types, limit, global_limit, properties or {}, per_key=per_key)
        self.lap()
        return worker

    def submit(self, job_type: str = TYPE, **fields: Any) -> UUID:
        """Submit one job (fields of ``SubmitJob``), as a client does; its id. The sagas find it in a lap."""
        return self.submit_many(1, job_type, **fields)[0]

    def submit_many(self, count: int, job_type: str = TYPE, **fields: Any) -> list[UUID]:
        """Submit that many in one transaction, and look for slots."""
        ids = [fields.pop("job_id", None) or uuid7() for _ in range(count)]
        with self.store.transaction() as tx:
            turn = self.engine.fresh_turn(tx)
            for job_id in ids:
                turn.apply(SubmitJob(job_id=job_id, job_type=job_type, **fields))
            tx.write(turn.finish())
        self.events += turn.events
        self.lap()
        return ids

    # What happens

    def send(self, *messages: Message) -> None:
        """Send to the sagas, without a lap."""
        self.transport.send([(SAGA, message) for message in messages])

    def say(self, *messages: Message) -> None:
        """Send to the sagas and let them handle it."""
        self.send(*messages)
        self.lap()

    def command(self, message: Message) -> None:
        """Apply a command at once, as the client does to a job that waits."""
        with self.store.transaction() as tx:
            turn = self.engine.execute(tx, message)
            self.transport.send(turn.outgoing)
        self.events += turn.events
        self.lap()

    def lap(self) -> int:
        """Process until nothing is left to do; how much was done."""
        done = 0
        for _ in range(ENOUGH_LAPS):
            more = self.engine.process()
            done += more
            if not more:
                return done
        raise AssertionError(f"no rest after {ENOUGH_LAPS} laps: {done} things done")

    def pass_time(self, seconds: float, *, step: float = 1.0, judge: bool = True) -> None:
        """Let time pass in steps: the workers that live beat, the sweep looks, a lap follows."""
        clock, left = self.clock, float(seconds)
        while left > 0:
            clock.advance(min(step, left))
            left -= step
            for worker in self.workers:
                worker.beat()
            self.sweep(judge=judge)

    def sweep(self, *, judge: bool = True) -> int:
        """One sweep and the lap that follows; how many messages it made."""
        found = self.engine.sweep(may_judge=lambda: judge)
        self.lap()
        return found

    @property
    def clock(self) -> ManualClock:
        """The time, if it stands still."""
        assert isinstance(self.place.clock, ManualClock), "this world lives in real time"
        return self.place.clock

    # What is there

    def job(self, job_id: UUID) -> Job:
        """The job as it is stored."""
        job = self.place.job(job_id)
        assert job is not None, f"there is no job {job_id}"
        return job

    def exists(self, job_id: UUID) -> bool:
        """Whether there is a row of this job."""
        return self.place.job(job_id) is not None

    def state(self, job_id: UUID) -> str:
        """The state of the job, in MassTransit's word."""
        return self.job(job_id).state.label

    def states(self, jobs: Sequence[UUID]) -> list[str]:
        """Their states, in order."""
        return [self.state(job_id) for job_id in jobs]

    def attempt(self, attempt_id: UUID) -> Attempt:
        """The attempt as it is stored."""
        return next(each for each in self.place.attempts(None) if each.id == attempt_id)

    def attempts(self, job_id: UUID | None = None) -> list[Attempt]:
        """The attempts of a job (None: of all), the oldest first."""
        return sorted(self.place.attempts(job_id), key=lambda each: each.id)

    def checkpoint(self, job_id: UUID) -> Checkpoint | None:
        """The job's saved state and fence."""
        return self.place.checkpoint(job_id)

    def history(self, job_id: UUID) -> list[HistoryRow]:
        """What was written of the job, in order."""
        return self.place.history(job_id)

    def path(self, job_id: UUID) -> list[str]:
        """The states the job came into, in order."""
        return [row.to_state.label for row in self.history(job_id) if row.to_state is not None]

    def dead(self) -> list[Dead]:
        """The dead letters."""
        return self.place.dead()

    def told(self, worker: ScriptedWorker) -> list[Message]:
        """What waits for this worker, without taking it."""
        return self.place.waiting_for(worker.endpoint)

    def arrived(self) -> list[Delivery]:
        """What the sagas would receive now."""
        with self.store.transaction():
            return self.transport.receive(SAGA, 1000)

    def slots(self) -> list[Attempt]:
        """The attempts that hold a slot."""
        return [each for each in self.attempts() if each.holds_slot]

    def heard(self, name: str) -> list[JobEvent]:
        """The published events of this name."""
        return [event for event in self.events if event.name == name]

    # Someone else's locks

    def hold_job(self, job_id: UUID) -> AbstractContextManager[None]:
        """Someone else's transaction keeps the job's row, within the block."""
        return self.place.hold("job", job_id)

    def hold_checkpoint(self, job_id: UUID) -> AbstractContextManager[None]:
        """The job's own transaction has saved, and is still open, within the block."""
        return self.place.hold("checkpoint", job_id)

    def hold_job_type(self, name: str = TYPE) -> AbstractContextManager[None]:
        """Another saga host is just giving out slots of this type, within the block."""
        return self.place.hold("job_type", name)


def drain(
    world: World, worker: ScriptedWorker, run: Callable[[StartJob], None] | None = None, rounds: int = 1000
) -> int:
    """Let *worker* start and complete all it is given until nothing comes any more; how many that were."""
    count = 0
    for _ in range(rounds):
        starts = worker.receive()
        if not starts:
            return count
        for start in starts:
            worker.started(start)
            run(start) if run else worker.complete(start)
        count += len(starts)
        world.lap()
    raise AssertionError(f"still jobs after {rounds} rounds")
