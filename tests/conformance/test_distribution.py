"""F03, F04, K15, K17: which worker gets a job, and other limits for a while."""

from __future__ import annotations

from uuid import UUID

import pytest

from jobsaga import JobDistributionStrategy, override_job_limit, submit_job
from jobsaga.engine.strategies import Strategies
from jobsaga.ids import uuid7
from tests.conformance.deployment import Deployment
from tests.conformance.surfaces import state
from tests.engine.world import TYPE, World, drain
from tests.jobsapp.jobs.conformance import RegionJob

REGIONS = ("East", "West")
BY_REGION = {"Region": "tests.jobsapp.strategies.ByRegion"}


def submitted(region: str) -> UUID:
    return submit_job(RegionJob("quick"), properties={"Region": region})


def test_f03_f04_each_region_has_a_worker_of_its_own(deployment: Deployment) -> None:
    """The strategy is registered only where the saga host runs; the workers know nothing of it. One at a time in all,
    and jobs of a region without a worker at the head of the line.
    """
    deployment.site.jobsaga["DISTRIBUTION_STRATEGIES"] = BY_REGION
    deployment.site.worker("--sagas-only")
    deployment.site.jobsaga["DISTRIBUTION_STRATEGIES"] = {}
    first = [submitted(region) for region in ("West", "East")]
    deployment.worker("--jobs-only", "--instance-property", "Region=East")
    deployment.reaches(first[1], "Completed")
    assert state(first[0]) == "WaitingForSlot"
    deployment.worker("--jobs-only", "--instance-property", "Region=West", ready=2)
    jobs = {region: [submitted(region) for _ in range(3)] for region in REGIONS}
    for job_id in (*first, *jobs["East"], *jobs["West"]):
        deployment.wait_for(lambda: deployment.diary.lines(job_id, "job_completed"), what=f"{job_id}")  # noqa: B023
    for region, ids in jobs.items():
        for job_id in ids:
            completed = deployment.diary.signal(job_id, "job_completed")
            assert completed["properties"]["Region"] == completed["instance"]["Region"] == region
    assert deployment.diary.most_at_once([*first, *jobs["East"], *jobs["West"]]) == 1


@pytest.mark.django_db
def test_k15_other_limits_for_half_an_hour(world: World) -> None:
    worker = world.worker(limit=1)
    override_job_limit(TYPE, 3, by="ops")
    ids = world.submit_many(6)
    assert len(world.slots()) == 3
    world.pass_time(1799, step=10)
    world.submit_many(1)
    assert len(world.slots()) == 3
    world.pass_time(2)
    starts = worker.receive()
    for start in starts[:2]:
        worker.complete(start)
        world.lap()
    assert len(world.slots()) == 1
    worker.complete(starts[2])
    world.lap()
    assert drain(world, worker) == 4
    assert world.states(ids) == ["Completed"] * 6


@pytest.mark.django_db
def test_k17_a_strategy_that_names_an_unknown_instance_gives_no_slot(
    world: World, expected_errors: list[str]
) -> None:
    class Wrong(JobDistributionStrategy):
        def is_job_slot_available(self, request: object, job_type: object) -> object:  # type: ignore[override]
            return uuid7()

    expected_errors.append("none of its instances")
    usual = world.engine
    world.engine = world.another_engine(strategies=Strategies({"default": Wrong}))
    worker = world.worker(limit=5)
    ids = world.submit_many(3)
    assert world.states(ids) == ["WaitingForSlot"] * 3
    world.engine = usual
    world.lap()
    assert drain(world, worker) == 3
