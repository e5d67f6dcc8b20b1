"""What a caller is told of a job, field by field, through its life."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, timedelta
from typing import Any

import pytest

from jobsaga import JobState, cancel_job, get_job_state, submit_job
from tests.client.acts import TYPE, act
from tests.client.conftest import Site
from tests.client.situations import SITUATIONS

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def given(state: JobState) -> dict[str, Any]:
    """The fields that say something."""
    plain = {field.name: getattr(state, field.name) for field in fields(JobState)}
    nothing = {field.name: field.default for field in fields(JobState)}
    return {name: value for name, value in plain.items() if value != nothing[name]}


def test_from_submission_to_completion(world: Site) -> None:
    began = world.clock.now()
    job_id = submit_job(act("give", n=1), properties={"Tenant": "acme"})
    waiting = {
        "job_id": job_id, "job_type": TYPE, "current_state": "WaitingForSlot", "submitted": began,
        "properties": {"Tenant": "acme"},
    }  # fmt: skip
    why = {
        "waiting_for": "No live worker runs jobsapp.ActInProcess, and none ever did.",
        "waiting_code": "no-worker",
    }
    assert given(get_job_state(job_id)) == {**waiting, **why}
    world.clock.advance(1)
    worker, start = world.start()
    assert given(get_job_state(job_id)) == {**waiting, "current_state": "Started", "started": began + SECOND}
    worker.progress(start, 4.0, limit=10.0, message="page 4")
    worker.save(start, {"page": 4})
    world.clock.advance(1)
    world.lap()
    halfway = {
        "progress_value": 4.0,
        "progress_limit": 10.0,
        "progress_message": "page 4",
        "job_state": {"page": 4},
    }
    assert given(get_job_state(job_id)).items() >= halfway.items()
    worker.complete(start, result=["done"], duration=SECOND)
    world.lap()
    assert given(get_job_state(job_id)) == {
        **waiting, **halfway, "current_state": "Completed", "started": began + SECOND,
        "completed": began + 2 * SECOND, "finished": began + 2 * SECOND, "duration": SECOND, "result": ["done"],
    }  # fmt: skip
    assert get_job_state(job_id).is_finished


def test_a_fault_and_its_retry(world: Site) -> None:
    job_id = submit_job(act())
    worker, start = world.start()
    worker.fault(start, "out of paper", retry_delay=60, duration=3 * SECOND)
    world.lap()
    state = get_job_state(job_id)
    assert (state.current_state, state.reason) == ("WaitingToRetry", "ValueError: out of paper")
    assert state.fault == {"type": "ValueError", "message": "out of paper", "traceback": ""}
    assert (state.faulted, state.duration) == (world.clock.now(), 3 * SECOND)
    assert state.next_start_date == world.clock.now() + 60 * SECOND
    assert (state.last_retry_attempt, state.is_finished) == (0, False)
    world.pass_time(60, step=10)
    (again,) = worker.receive()
    state = get_job_state(job_id)
    assert (state.last_retry_attempt, state.next_start_date) == (1, None)
    worker.complete(again)
    world.lap()
    state = get_job_state(job_id)
    assert (state.reason, state.fault, state.faulted) == ("", None, None), "what went wrong before is history"


def test_a_scheduled_job_says_when(world: Site) -> None:
    job_id = SITUATIONS["WaitingToStart"](world)
    assert get_job_state(job_id).next_start_date == world.clock.now() + timedelta(hours=1)


def test_a_cancel_that_is_under_way(world: Site) -> None:
    job_id = SITUATIONS["CancellationPending"](world)
    state = get_job_state(job_id)
    assert (state.cancel_requested, state.next_start_date) == (world.clock.now(), None)
    assert not state.is_finished


@pytest.mark.parametrize("situation", SITUATIONS)
def test_all_times_are_aware_and_in_utc(world: Site, situation: str) -> None:
    state = get_job_state(SITUATIONS[situation](world))
    times = [
        state.submitted, state.started, state.completed, state.faulted, state.finished, state.next_start_date,
        state.cancel_requested,
    ]  # fmt: skip
    assert [time for time in times if time is not None and time.tzinfo is not UTC] == []
    assert state.submitted is not None
    assert state.is_finished == (situation in ("Completed", "Faulted", "Canceled"))


def test_it_is_a_snapshot(world: Site) -> None:
    job_id = submit_job(act())
    before = get_job_state(job_id)
    cancel_job(job_id)
    assert before.current_state == "WaitingForSlot"
    with pytest.raises(AttributeError):
        before.current_state = "Completed"  # type: ignore[misc]
