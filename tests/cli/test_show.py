"""``jobsaga show``."""

from __future__ import annotations

from dataclasses import fields

import pytest

from jobsaga.management.cli.records import AttemptLine, HistoryLine, JobDetails
from jobsaga.messages import FinalizeJob
from tests.cli.conftest import Jobsaga
from tests.engine.world import World

pytestmark = pytest.mark.django_db


def a_job_that_failed_once(world: World) -> str:
    """And that waits to be tried again."""
    job_id = world.submit(message={"path": "a.mp4"}, properties={"tenant": "acme"}, actor="ada", priority=2)
    worker = world.worker()
    (start,) = worker.receive()
    worker.started(start)
    worker.log(start, "Reading a.mp4", status="Reading", data={"bytes": 12})
    worker.progress(start, 3, limit=12, message="frame 3")
    worker.save(start, {"frame": 3})
    worker.fault(start, "no such codec", retry_delay=600)
    world.lap()
    return str(job_id)


def test_everything_as_json(jobsaga: Jobsaga, world: World) -> None:
    job_id = a_job_that_failed_once(world)
    job = jobsaga("show", job_id, "--json").json
    assert job.keys() == {field.name for field in fields(JobDetails)}
    assert job["current_state"] == "WaitingToRetry"
    assert (job["message"], job["properties"]) == ({"path": "a.mp4"}, {"tenant": "acme"})
    assert (job["job_state"], job["priority"], job["submitted_by"]) == ({"frame": 3}, 2, "ada")
    assert job["fault"]["message"] == "no such codec"
    assert job["next_start_date"] is not None
    (attempt,) = job["attempts"]
    assert attempt.keys() == {field.name for field in fields(AttemptLine)}
    assert (attempt["current_state"], attempt["worker"], attempt["duration"]) == ("Faulted", "test:1", 1.0)
    assert all(line.keys() == {field.name for field in fields(HistoryLine)} for line in job["history"])
    (log,) = [line for line in job["history"] if line["is_log"]]
    assert (log["status"], log["message"], log["data"]) == ("Reading", "Reading a.mp4", {"bytes": 12})
    path = [line["to_state"] for line in job["history"] if not line["is_log"]]
    assert path == ["WaitingForSlot", "StartingJobAttempt", "Started", "WaitingToRetry"]
    assert job["history"][0]["actor"] == "ada"


def test_everything_as_text(jobsaga: Jobsaga, world: World) -> None:
    job_id = a_job_that_failed_once(world)
    text = jobsaga("show", job_id[-8:]).out
    assert text.splitlines()[0] == f"{job_id}  videos.Convert  WaitingToRetry"
    for part in (
        " by ada", "Reason       ValueError: no such codec", "Priority     2", "25% (3 of 12)  frame 3",
        'Properties   {"tenant": "acme"}', 'Message      {"path": "a.mp4"}', 'Saved state  {"frame": 3}',
        "Goes on at", "Attempts", "test:1", "History", 'Reading a.mp4 {"bytes": 12}',
        "JobAttemptFaulted ValueError: no such codec",
    ):  # fmt: skip
        assert part in text


def test_the_traceback_is_shown(jobsaga: Jobsaga, world: World) -> None:
    job_id = a_job_that_failed_once(world)
    fault = {"type": "ValueError", "message": "x", "traceback": "Traceback:\n  in run\nValueError: x"}
    world.place.rows("JobSaga").filter(pk=job_id).update(fault=fault)  # type: ignore[attr-defined]
    assert "\nFault\nTraceback:\n  in run\nValueError: x\n" in jobsaga("show", job_id).out


def test_only_the_newest_lines_of_the_history(jobsaga: Jobsaga, world: World) -> None:
    job_id = a_job_that_failed_once(world)
    history = jobsaga("show", job_id, "--history", 2, "--json").json["history"]
    assert [line["kind"] for line in history][-1:] == ["JobAttemptFaulted"]
    assert len(history) == 2


def test_what_a_job_says_does_not_steer_the_terminal(jobsaga: Jobsaga, world: World) -> None:
    job_id = world.submit()
    worker = world.worker()
    (start,) = worker.receive()
    worker.started(start)
    worker.log(start, "red \x1b[31m and \x07 bell")
    worker.progress(start, 1, message="up \x1b[A")
    worker.fault(start, "clear \x1b[2J")
    world.lap()
    text = jobsaga("show", job_id).out + jobsaga("list").out
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "red \N{REPLACEMENT CHARACTER}[31m" in text


def test_of_a_job_that_is_gone_the_history_is_left(jobsaga: Jobsaga, world: World) -> None:
    job_id = world.submit()
    worker = world.worker()
    (start,) = worker.receive()
    worker.complete(start)
    world.lap()
    world.command(FinalizeJob(job_id=job_id, actor="ada"))
    said = jobsaga("show", job_id)
    assert said.code == 0
    assert f"{job_id}  is gone" in said.out
    assert "FinalizeJob" in said.out
    answer = jobsaga("show", job_id, "--json").json
    assert (answer["current_state"], answer["history"][-1]["actor"]) == ("NotFound", "ada")
