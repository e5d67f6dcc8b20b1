"""``jobsaga types`` and ``jobsaga instances``."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobsaga.clock import ManualClock
from jobsaga.consumers import consumers
from jobsaga.management.cli.records import InstanceLine, JobTypeLine, RunningJob
from tests.cli.conftest import Jobsaga
from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World

pytestmark = pytest.mark.django_db
NOTHING_ASKED = {
    "concurrency_per_key": None, "override_job_limit": None, "override_global_limit": None, "override_until": None,
    "override_by": "", "override_reason": "", "paused": None, "paused_by": "", "pause_reason": "",
}  # fmt: skip


def types(jobsaga: Jobsaga) -> dict[str, dict[str, Any]]:
    return {each["job_type"]: each for each in jobsaga("types", "--json").json["types"]}


def test_types_that_are_only_registered(jobsaga: Jobsaga) -> None:
    found = types(jobsaga)
    assert found.keys() == {each.type_name for each in consumers.all()}
    assert found["jobsapp.ActInProcess"] == {
        "job_type": "jobsapp.ActInProcess",
        "registered": True,
        "concurrent_job_limit": None,
        "global_concurrent_job_limit": None,
        "slots_held": 0,
        "waiting": 0,
        "live_instances": 0,
        "capacity": 0,
        **NOTHING_ASKED,
    }


def test_slots_limits_and_who_waits(jobsaga: Jobsaga, world: World) -> None:
    world.submit_many(5)
    world.worker(limit=2, global_limit=3)
    world.worker(limit=2, global_limit=3)
    world.submit("audio.Mix")
    found = types(jobsaga)
    assert found[TYPE].keys() == {field.name for field in fields(JobTypeLine)}
    assert found[TYPE] == {
        "job_type": TYPE,
        "registered": False,
        "concurrent_job_limit": 2,
        "global_concurrent_job_limit": 3,
        "slots_held": 3,
        "waiting": 2,
        "live_instances": 2,
        "capacity": 3,
        **NOTHING_ASKED,
    }
    assert (found["audio.Mix"]["waiting"], found["audio.Mix"]["live_instances"]) == (1, 0)
    (line,) = [line for line in jobsaga("types").out.splitlines() if line.startswith(TYPE)]
    assert line.split() == [TYPE, "3", "3", "2", "2", "2", "3", "no"]


def test_no_type_at_all(jobsaga: Jobsaga) -> None:
    with consumers.temporary():
        consumers.clear()
        said = jobsaga("types")
        assert (said.code, said.out) == (0, "")
        assert said.err.startswith("There is no job type")
        assert jobsaga("types", "--json").json == {"types": []}


def test_instances_and_what_they_run(jobsaga: Jobsaga, world: World) -> None:
    job_id = world.submit()
    worker = world.worker(types=[TYPE, "audio.Mix"])
    (instance,) = jobsaga("instances", "--json").json["instances"]
    assert instance.keys() == {field.name for field in fields(InstanceLine)}
    assert (instance["instance_id"], instance["host"], instance["pid"]) == (str(worker.id), "test", 1)
    assert (instance["state"], instance["job_types"]) == ("Running", ["audio.Mix", TYPE])
    assert instance["running"] == [{"job_id": str(job_id), "job_type": TYPE}]
    assert instance["running"][0].keys() == {field.name for field in fields(RunningJob)}
    assert 0 < instance["lease_left"] <= 15
    line = jobsaga("instances").out.splitlines()[1]
    for part in (worker.id.hex[-8:], "test:1", "Running", "s left", job_id.hex[-8:], f"audio.Mix {TYPE}"):
        assert part in line


def test_instances_that_stopped_and_one_that_is_lost(jobsaga: Jobsaga) -> None:
    world = World(DatabasePlace(ManualClock(datetime.now(UTC) - timedelta(seconds=65))))
    lost, stopped = world.worker(), world.worker()
    stopped.stops()
    (instance,) = jobsaga("instances", "--json").json["instances"]
    assert (instance["instance_id"], instance["state"]) == (str(lost.id), "Lost")
    assert -60 < instance["lease_left"] < -45
    assert "over for 5" in jobsaga("instances").out
    both = jobsaga("instances", "--all", "--json").json["instances"]
    assert {each["instance_id"]: each["state"] for each in both} == {
        str(lost.id): "Lost",
        str(stopped.id): "Stopped",
    }


def test_no_instance(jobsaga: Jobsaga) -> None:
    said = jobsaga("instances")
    assert (said.code, said.out, said.err) == (
        0,
        "",
        "No worker is running. Start one: manage.py runjobworker\n",
    )
