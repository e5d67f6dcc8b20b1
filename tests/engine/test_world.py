"""The helper itself: one job's whole life in each place."""

from __future__ import annotations

from jobsaga.sagas import JobStates
from tests.engine.world import World


def test_a_job_from_submission_to_its_end(world: World) -> None:
    worker = world.worker(limit=2)
    job_id = world.submit(message={"path": "a.mp4"})
    (start,) = worker.receive()
    assert (start.job_id, start.message) == (job_id, {"path": "a.mp4"})
    worker.started(start)
    worker.fault(start, retry_delay=30)
    world.lap()
    assert world.job(job_id).state is JobStates.WAITING_TO_RETRY
    world.pass_time(29)
    assert worker.receive() == []
    world.pass_time(1)
    (again,) = worker.receive()
    assert again.retry_attempt == 1
    worker.started(again)
    worker.complete(again, result={"frames": 10})
    world.lap()
    assert world.job(job_id).result == {"frames": 10}
    assert world.path(job_id) == [
        "WaitingForSlot", "StartingJobAttempt", "Started", "WaitingToRetry",
        "WaitingForSlot", "StartingJobAttempt", "Started", "Completed",
    ]  # fmt: skip
    assert [event.name for event in world.events] == [
        "JobSubmitted", "JobStarted", "JobStarted", "JobCompleted",
    ]  # fmt: skip
    assert [each.outcome for each in world.attempts(job_id)] == ["Faulted", "Completed"]
    assert (world.slots(), world.dead()) == ([], [])
