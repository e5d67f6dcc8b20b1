"""A job may be told twice that its time has come: by two saga hosts that read the same deadline."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from jobsaga.clock import ManualClock
from jobsaga.engine.engine import Engine
from jobsaga.engine.options import EngineOptions
from jobsaga.memory import Memory
from jobsaga.messages import JobSlotWaitElapsed, SubmitJob
from jobsaga.sagas import JobStates
from jobsaga.store.memory import MemoryStore
from jobsaga.transport.memory import MemoryTransport


def test_a_time_that_has_come_twice_is_no_dead_letter() -> None:
    memory, clock = Memory(), ManualClock()
    engine = Engine(MemoryStore(memory, clock), MemoryTransport(memory, clock), EngineOptions())
    job_id = uuid4()
    later = clock.now() + timedelta(seconds=5)
    with engine.store.transaction() as tx:
        engine.execute(tx, SubmitJob(job_id=job_id, job_type="videos.Convert", start_at=later))
    assert memory.jobs[job_id].state is JobStates.WAITING_TO_START
    clock.advance(5)

    engine.say([JobSlotWaitElapsed(job_id=job_id)])
    engine.say([JobSlotWaitElapsed(job_id=job_id)])

    assert memory.jobs[job_id].state is JobStates.WAITING_FOR_SLOT
    assert memory.dead == []
    assert [row.kind for row in memory.history] == ["JobSubmitted", "JobSlotWaitElapsed"]
