"""``jobsaga types pause|resume|limit|revert|history`` and ``jobsaga instances drain|undrain``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Jobsaga
from tests.engine.world import TYPE, World

pytestmark = pytest.mark.django_db


def asked(jobsaga: Jobsaga, world: World, *argv: object) -> None:
    said = jobsaga(*argv)
    assert (said.code, said.err) == (0, "")
    world.lap()


def the_type(jobsaga: Jobsaga) -> dict[str, Any]:
    return next(each for each in jobsaga("types", "--json").json["types"] if each["job_type"] == TYPE)


def test_pause_and_resume(jobsaga: Jobsaga, world: World) -> None:
    world.worker()
    asked(jobsaga, world, "types", "pause", TYPE, "--reason", "the service is down", "--by", "ops")
    job_id = world.submit()
    assert world.state(job_id) == "WaitingForSlot"
    found = the_type(jobsaga)
    assert (found["paused_by"], found["pause_reason"], found["capacity"]) == ("ops", "the service is down", 0)
    assert "by ops (the service is down)" in jobsaga("types").out
    asked(jobsaga, world, "types", "resume", TYPE)
    assert world.state(job_id) == "StartingJobAttempt"
    assert the_type(jobsaga)["paused"] is None


def test_other_limits_for_a_while(jobsaga: Jobsaga, world: World) -> None:
    world.worker(limit=1)
    asked(jobsaga, world, "types", "limit", TYPE, 3, "--global", 7, "--for", "2h", "--by", "ops")
    found = the_type(jobsaga)
    assert (found["override_job_limit"], found["override_global_limit"], found["capacity"]) == (3, 7, 3)
    assert "3 per worker, 7 in all until" in jobsaga("types").out
    asked(jobsaga, world, "types", "revert", TYPE, "--by", "ops")
    assert (the_type(jobsaga)["override_until"], the_type(jobsaga)["capacity"]) == (None, 1)
    kinds = [line["kind"] for line in jobsaga("types", "history", TYPE, "--json").json["history"]]
    assert kinds == ["RevertJobLimit", "OverrideJobLimit"]
    assert "ops" in jobsaga("types", "history").out


def test_drain_and_undrain(jobsaga: Jobsaga, world: World) -> None:
    worker = world.worker()
    world.submit()
    asked(jobsaga, world, "instances", "drain", worker.id.hex[-8:], "--by", "ops", "--reason", "new disk")
    (found,) = jobsaga("instances", "--json").json["instances"]
    assert (found["state"], found["drained_by"], found["drain_reason"]) == ("Draining", "ops", "new disk")
    (start,) = worker.receive()
    worker.complete(start)
    world.lap()
    assert jobsaga("instances", "--json").json["instances"][0]["state"] == "Drained"
    asked(jobsaga, world, "instances", "undrain", worker.id)
    assert jobsaga("instances", "--json").json["instances"][0]["state"] == "Running"


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("types", "pause", "no.such"), 1, "No job consumer is registered for 'no.such'"),
        (("types", "limit", TYPE), 1, "concurrent_job_limit is missing"),
        (("types", "limit", TYPE, "-1"), 1, "at least 0"),
        (
            ("types", "limit", TYPE, "1", "--for", "soon"),
            2,
            "must be a time like 90s, 30m, 2h or 1d, not 'soon'",
        ),
        (("types", "limit", TYPE, "1", "--for", "1e300d"), 2, "must be a time like"),
        (("types", "limit", TYPE, "1", "--for", "nan"), 2, "must be a time like"),
        (("instances", "drain", "abcd"), 1, "No worker"),
        (("instances", "drain", "01a1fdf8-7e30-7054-a616-4f5a55acb7d5"), 1, "There is no worker"),
    ],
)
def test_what_cannot_be(jobsaga: Jobsaga, world: World, argv: tuple[str, ...], code: int, said: str) -> None:
    world.worker()
    answer = jobsaga(*argv)
    assert answer.code == code
    assert said in answer.err
