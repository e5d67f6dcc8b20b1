"""``jobsaga cancel``, ``retry``, ``run`` and ``finalize``."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jobsaga.client import JobState
from jobsaga.ids import uuid7
from jobsaga.messages import StartJob
from tests.cli.conftest import Jobsaga
from tests.engine.workers import ScriptedWorker
from tests.engine.world import World

pytestmark = pytest.mark.django_db


def started(world: World) -> tuple[UUID, ScriptedWorker, StartJob]:
    job_id = world.submit()
    worker = world.worker()
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    return job_id, worker, start


def last(world: World, job_id: UUID) -> tuple[str, str, str]:
    row = world.history(job_id)[-1]
    return row.kind, row.message, row.actor


def test_cancel_a_job_that_waits(jobsaga: Jobsaga, world: World) -> None:
    job_id = world.submit()
    said = jobsaga("cancel", job_id.hex[-8:], "--reason", "wrong file", "--by", "ada")
    assert (said.code, said.out, said.err) == (0, f"{job_id}  Canceled\n", "")
    assert world.state(job_id) == "Canceled"
    assert last(world, job_id) == ("CancelJob", "wrong file", "ada")


def test_cancel_a_job_that_runs(jobsaga: Jobsaga, world: World) -> None:
    job_id, worker, start = started(world)
    said = jobsaga("cancel", job_id, "--reason", "wrong file")
    assert said.code == 0
    assert said.out == f"{job_id}  Started, and asked to stop: jobsaga watch {job_id.hex[-8:]}\n"
    world.lap()
    assert world.state(job_id) == "CancellationPending"
    worker.receive()
    assert [each.reason for each in worker.canceled] == ["wrong file"]
    worker.cancel(start)
    world.lap()
    assert jobsaga("show", job_id, "--json").json["reason"] == "wrong file"


def test_retry(jobsaga: Jobsaga, world: World) -> None:
    job_id, worker, start = started(world)
    worker.fault(start)
    world.lap()
    answer = jobsaga("retry", job_id, "--by", "ada", "--json").json
    assert answer.keys() == {field.name for field in fields(JobState)}
    assert (answer["current_state"], answer["refused"]) == ("WaitingForSlot", "")
    assert last(world, job_id) == ("RetryJob", "", "ada")


def test_run_a_job_before_its_time(jobsaga: Jobsaga, world: World) -> None:
    job_id = world.submit(start_at=datetime.now(UTC) + timedelta(days=1))
    assert world.state(job_id) == "WaitingToStart"
    assert jobsaga("run", job_id).code == 0
    assert world.state(job_id) == "WaitingForSlot"


def test_finalize(jobsaga: Jobsaga, world: World) -> None:
    job_id, worker, start = started(world)
    worker.complete(start)
    world.lap()
    said = jobsaga("finalize", job_id, "--by", "ada")
    assert (said.code, said.out) == (0, f"{job_id}  Finalized\n")
    assert not world.exists(job_id)
    assert last(world, job_id) == ("FinalizeJob", "", "ada")


@pytest.mark.parametrize(
    ("verb", "because"),
    [
        ("retry", "it is runnable already"),
        ("run", "it is runnable already"),
        ("finalize", "only an ended job can be finalized: cancel it first"),
    ],
)
def test_what_is_refused(jobsaga: Jobsaga, world: World, verb: str, because: str) -> None:
    job_id = world.submit()
    said = jobsaga(verb, job_id)
    assert (said.code, said.out) == (1, "")
    assert said.err == f"Refused, the job is WaitingForSlot: {because}.\n"
    said = jobsaga(verb, job_id, "--json")
    assert (said.code, said.json["refused"]) == (1, because)
    assert world.path(job_id) == ["WaitingForSlot"]


def test_what_has_completed_cannot_be_canceled(jobsaga: Jobsaga, world: World) -> None:
    job_id, worker, start = started(world)
    worker.complete(start)
    world.lap()
    said = jobsaga("cancel", job_id)
    assert said.code == 1
    assert said.err.startswith("Refused, the job is Completed: ")
    assert world.state(job_id) == "Completed"


@pytest.mark.parametrize("verb", ["cancel", "retry", "run", "finalize"])
def test_a_job_that_is_not_there(jobsaga: Jobsaga, world: World, verb: str) -> None:
    said = jobsaga(verb, uuid7(), "--json")
    assert (said.code, said.out) == (1, "")
    assert "There is no job" in said.err
