"""Distribution strategies of the site's own: who has which, whom they are asked about, and what they cannot break."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from jobsaga import JobDistributionStrategy, JobInstanceInfo, JobSlotRequest, JobTypeInfo
from jobsaga.conf import settings
from jobsaga.engine.strategies import Strategies
from jobsaga.ids import uuid7
from jobsaga.messages import DrainInstance, OverrideJobLimit, SetConcurrentJobLimit
from tests.engine.workers import ScriptedWorker
from tests.engine.world import TYPE, World
from tests.engine.worlds import DATABASE, REAL_TIME


class ByZone(JobDistributionStrategy):
    """A job goes to a worker of its zone."""

    def is_job_slot_available(self, request: JobSlotRequest, job_type: JobTypeInfo) -> UUID | None:
        zone = request.properties.get("zone")
        return self.least_busy(each for each in job_type.instances if each.properties.get("Zone") == zone)


def use(world: World, strategy: Any = ByZone, name: str = "default") -> None:
    if isinstance(strategy, type):
        made = strategy
    else:
        made = type(
            "Made",
            (JobDistributionStrategy,),
            {"is_job_slot_available": lambda self, *asked: strategy(*asked)},
        )
    world.engine = world.another_engine(strategies=Strategies({name: made}))


def zoned(world: World, zone: str, limit: int = 2) -> ScriptedWorker:
    return world.worker(limit=limit, properties={"Zone": zone})


def jobs_of(worker: ScriptedWorker) -> list[UUID]:
    return [start.job_id for start in worker.receive()]


class TestWhoHasWhich:
    def test_by_default(self, world: World) -> None:
        use(world)
        east, west = zoned(world, "east"), zoned(world, "west")
        ids = [world.submit(properties={"Zone": zone}) for zone in ("west", "east", "west", "north")]
        assert (jobs_of(east), jobs_of(west)) == ([ids[1]], [ids[0], ids[2]])
        assert world.state(ids[3]) == "WaitingForSlot"

    def test_by_the_name_of_the_type(self, world: World) -> None:
        use(world, lambda request, job_type: None, name="other type")
        world.worker(types=[TYPE, "other type"])
        ids = [world.submit(), world.submit("other type")]
        assert world.states(ids) == ["StartingJobAttempt", "WaitingForSlot"]

    @pytest.mark.parametrize(
        ("said", "expected"), [("Nobody", "WaitingForSlot"), ("Else", "StartingJobAttempt")]
    )
    def test_by_the_property_of_the_type(
        self, world: World, said: str, expected: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        use(world, lambda request, job_type: None, name="Nobody")
        worker = world.worker()
        world.say(
            SetConcurrentJobLimit(
                job_type=TYPE,
                kind="Configured",
                instance_id=worker.id,
                job_type_properties={"distributionstrategy": said},
            )
        )
        assert world.state(world.submit()) == expected
        assert ("asks for the distribution strategy 'Else'" in caplog.text) == (said == "Else")

    def test_one_that_cannot_be_made_is_as_if_there_were_none(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(JobDistributionStrategy):
            def __init__(self) -> None:
                raise OSError("no such file")

        use(world, Broken)
        world.worker()
        assert world.state(world.submit()) == "StartingJobAttempt"
        assert "could not be made" in caplog.text

    def test_what_is_not_overridden_is_the_usual(self, world: World) -> None:
        use(world, JobDistributionStrategy)
        workers = [world.worker(limit=4) for _ in range(3)]
        world.submit_many(9)
        assert [len(worker.receive()) for worker in workers] == [3, 3, 3]


class TestWhatItIsTold:
    def test_the_facts(self, world: World) -> None:
        asked: list[tuple[JobSlotRequest, JobTypeInfo]] = []
        use(world, lambda *question: asked.append(question))
        worker, drained = zoned(world, "east", limit=3), zoned(world, "west")
        world.say(
            DrainInstance(instance_id=drained.id), OverrideJobLimit(job_type=TYPE, concurrent_job_limit=7)
        )
        job_id = world.submit(properties={"Tenant": "acme"}, priority=3, concurrency_key="acme")
        request, job_type = asked[0]
        assert request == JobSlotRequest(
            job_id=job_id,
            job_type=TYPE,
            properties=request.properties,
            concurrency_key="acme",
            priority=3,
            run=1,
        )
        assert request.properties["tenant"] == "acme"
        assert (job_type.name, job_type.active, job_type.concurrent_job_limit) == (TYPE, 0, 7)
        (instance,) = job_type.instances
        assert instance == JobInstanceInfo(
            id=worker.id, host=instance.host, properties=instance.properties, concurrent_job_limit=7, active=0
        )
        assert instance.properties["zone"] == "east"
        assert instance.has_room

    @pytest.mark.parametrize("world", REAL_TIME, indirect=True)
    def test_its_queries_and_what_they_break(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        """A query that fails would otherwise fail the whole lap, with every report in it."""
        connection = connections[settings.DATABASE]

        class Querying(JobDistributionStrategy):
            def is_job_slot_available(self, request: JobSlotRequest, job_type: JobTypeInfo) -> UUID | None:
                with connection.cursor() as cursor:
                    cursor.execute(request.properties["sql"])
                return super().is_job_slot_available(request, job_type)

        use(world, Querying)
        worker = world.worker(limit=5)
        (fine,) = [world.submit(properties={"sql": "SELECT 1"})]
        broken = world.submit(properties={"sql": "SELECT nonsense FROM nowhere"})
        (start,) = worker.receive()
        worker.complete(start)
        world.lap()
        assert world.states([fine, broken]) == ["Completed", "WaitingForSlot"]
        assert world.dead() == []
        assert len([line for line in caplog.records if line.levelno >= logging.ERROR]) == 1


class TestWhatItCannotBreak:
    @pytest.mark.parametrize("choice", ["unknown", "full", "none", "drained", "nonsense"])
    def test_the_limits(self, world: World, choice: str, caplog: pytest.LogCaptureFixture) -> None:
        full, free, drained = world.worker(limit=1), None, world.worker(limit=9)
        world.say(DrainInstance(instance_id=drained.id))
        world.submit()
        free = world.worker(limit=5)
        answers: dict[str, Any] = {
            "unknown": uuid7(), "full": full.id, "none": None, "drained": drained.id, "nonsense": "east",
        }  # fmt: skip
        use(world, lambda request, job_type: answers[choice])
        world.submit_many(3)
        world.lap()
        assert (len(world.slots()), free.receive(), world.dead()) == (1, [], [])
        said = [record.getMessage() for record in caplog.records if record.name == "jobsaga.engine"]
        assert len(said) == (0 if choice == "none" else 1), "once for the type and the kind, not for each job"

    def test_an_error_means_no_slot_and_is_logged_once(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(request: JobSlotRequest, job_type: JobTypeInfo) -> UUID:
            raise ZeroDivisionError

        use(world, broken)
        world.worker(limit=5)
        ids = world.submit_many(3)
        world.lap()
        assert world.states(ids) == ["WaitingForSlot"] * 3
        assert caplog.text.count("raised ZeroDivisionError") == 1


class TestWhomItDeclines:
    def test_declined_jobs_at_the_head_keep_no_other_from_a_slot(self, world: World) -> None:
        use(world)
        east = zoned(world, "east")
        far = world.submit_many(100, properties={"Zone": "west"})
        near = world.submit_many(3, properties={"Zone": "east"})
        assert jobs_of(east) == near[:2]
        assert set(world.states(far)) == {"WaitingForSlot"}

    @pytest.mark.parametrize("declined", [25, 150])
    def test_of_more_than_a_batch_the_next_lap_asks_the_next(self, world: World, declined: int) -> None:
        use(world)
        world.engine.options = replace(world.options, batch=10)
        east = zoned(world, "east")
        world.submit_many(declined, properties={"Zone": "west"})
        near = world.submit(properties={"Zone": "east"})
        for _ in range(declined // 10 + 1):
            world.sweep()
        assert jobs_of(east) == [near]

    @pytest.mark.parametrize("declined", [25, 150])
    def test_and_comes_back_to_the_head(self, world: World, declined: int) -> None:
        use(world)
        world.engine.options = replace(world.options, batch=10)
        zoned(world, "east")
        far = world.submit_many(declined, properties={"Zone": "west"})
        for _ in range(declined // 10 + 2):
            world.sweep()
        west = zoned(world, "west")
        for _ in range(declined // 10 + 2):
            world.sweep()
        assert sorted(jobs_of(west)) == far[:2]

    @pytest.mark.parametrize("world", DATABASE, indirect=True)
    def test_with_keys_too(self, world: World) -> None:
        use(world)
        east = zoned(world, "east", limit=5)
        said = SetConcurrentJobLimit(
            job_type=TYPE, kind="Configured", instance_id=east.id, concurrent_job_limit=5, concurrency_per_key=1,
            instance_properties={"Zone": "east"},
        )  # fmt: skip
        world.say(said)
        for zone in ("west", "east"):
            for key in ("a", "b", "b"):
                world.submit(properties={"Zone": zone}, concurrency_key=key)
        assert sorted(each.concurrency_key for each in world.slots()) == ["a", "b"]
