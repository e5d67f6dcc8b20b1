"""A broker may bring a message twice, or late: what it says of one run of a recurring job never meets the next one."""

from __future__ import annotations

import pytest

from jobsaga.ids import uuid7
from jobsaga.messages import AddOrUpdateRecurringJob, CancelJob, RunJob
from tests.engine.world import TYPE, World


@pytest.fixture
def recurring(world: World) -> AddOrUpdateRecurringJob:
    """A job of each hour, which waits for its first time."""
    world.worker()
    job = AddOrUpdateRecurringJob(
        job_id=uuid7(), job_type=TYPE, name="hourly", cron="0 0 * * * *", message={}
    )
    world.command(job)
    return job


@pytest.mark.parametrize("kind", [CancelJob, RunJob])
def test_twice_is_as_good_as_once(
    world: World, recurring: AddOrUpdateRecurringJob, kind: type[CancelJob | RunJob]
) -> None:
    """A run that is skipped is the next one's end; a run more is over before the second word comes."""
    run = world.job(recurring.job_id).run + 1
    for _ in range(3):
        world.say(kind(job_id=recurring.job_id, run=run))
        for start in world.workers[0].receive():
            world.workers[0].started(start)
            world.workers[0].complete(start)
        world.lap()
    assert world.job(recurring.job_id).run == run
    assert len(world.attempts(recurring.job_id)) == (1 if kind is RunJob else 0)
    assert world.dead() == []


@pytest.mark.parametrize("kind", [CancelJob, RunJob])
def test_a_message_that_names_no_run_does_nothing(
    world: World, recurring: AddOrUpdateRecurringJob, kind: type[CancelJob | RunJob]
) -> None:
    """It could mean any run when it comes again. It is kept as a dead letter."""
    before = world.job(recurring.job_id)
    for _ in range(2):
        world.say(kind(job_id=recurring.job_id))
    assert world.job(recurring.job_id) == before
    assert len(world.dead()) == 2
    assert "does not say which run it is about" in world.dead()[0].reason
