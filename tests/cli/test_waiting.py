"""Why a job waits, as ``show`` and ``watch`` say it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from jobsaga.clock import ManualClock, use_clock
from jobsaga.management.cli import watch
from jobsaga.messages import CancelJob
from tests.cli.conftest import Jobsaga
from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(db: None) -> Iterator[World]:
    """In which time passes only when a test says so: sentences name seconds."""
    with use_clock(ManualClock()) as clock:
        yield World(DatabasePlace(clock))


def eventful(world: World, job_id: UUID) -> Iterator[object]:
    """Two seconds in each state, so that a look finds the same, in other words."""
    worker = world.workers[0]
    (start,) = worker.receive()
    worker.started(start)
    yield world.pass_time(2)
    yield worker.complete(start), world.lap()
    (start,) = worker.receive()
    worker.started(start)
    yield world.lap()
    yield worker.fault(start, "no such codec", retry_delay=600), world.lap()
    yield world.pass_time(2)
    yield world.command(CancelJob(job_id=job_id, reason="enough"))


@pytest.mark.parametrize("as_json", [False, True])
def test_watch_says_each_reason_once(
    jobsaga: Jobsaga, world: World, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    world.worker()
    first, job_id = world.submit_many(2)
    steps = eventful(world, job_id)
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: next(steps, None))
    said = jobsaga("watch", job_id, *(["--json"] if as_json else []))
    taken = (
        f"The one slot of its worker is taken, since 00:00 by job {first.hex[-8:]}; it is the next in line."
    )
    retry = "Retry 1 in 10 min: ValueError: no such codec."
    if not as_json:
        lines = said.out.splitlines()
        assert [line if line[:7] != "Started" else line[:7] for line in lines] == [
            f"WaitingForSlot  {taken}",
            "StartingJobAttempt",
            "Started",
            f"WaitingToRetry  {retry}",
            "Canceled after 1.0 s: enough",
        ]
        return
    assert [(each["current_state"], each["waiting_code"]) for each in said.json_lines] == [
        ("WaitingForSlot", "slots"),
        ("StartingJobAttempt", "starting"),
        ("Started", ""),
        ("WaitingToRetry", "retry"),
        ("Canceled", ""),
    ]
    assert [said.json_lines[0]["waiting_for"], said.json_lines[3]["waiting_for"]] == [taken, retry]


def test_watch_while_it_is_canceled(jobsaga: Jobsaga, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    worker.started(start)
    worker.progress(start, 8, limit=100, message="frame 8")
    world.say(CancelJob(job_id=job_id, reason="wrong file", actor="ada"))
    monkeypatch.setattr(
        watch.time, "sleep", lambda seconds: (worker.cancel(start, reason="wrong file"), world.lap())
    )
    asked = "It was asked to stop by ada (wrong file) just now, and is given up in 40 s if test:1 has not ended it."
    assert jobsaga("watch", job_id).out.splitlines() == [
        f"CancellationPending  8%  {asked}",
        "Canceled: wrong file",
    ]


def test_show(jobsaga: Jobsaga, world: World) -> None:
    job_id = world.submit()
    why = f"No live worker runs {TYPE}, and none ever did; nor is a consumer of that name registered here."
    assert f"\nWaits      {why}\n" in jobsaga("show", job_id).out
    shown = jobsaga("show", job_id, "--json").json
    assert (shown["waiting_for"], shown["waiting_code"]) == (why, "no-worker")
    world.command(CancelJob(job_id=job_id))
    assert "Waits" not in jobsaga("show", job_id).out
