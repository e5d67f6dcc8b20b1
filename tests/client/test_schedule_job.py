"""A job that starts later: when, what a second call with its id does, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from jobsaga import cancel_job, get_job_state, run_job, schedule_job, submit_job
from jobsaga.conf import settings
from jobsaga.exceptions import InvalidMessage, JobHasStarted, UnknownJobType
from jobsaga.models import JobHistory, JobSaga
from tests.client.acts import TYPE, act
from tests.client.conftest import Site

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def in_minutes(world: Site, minutes: float) -> datetime:
    return world.clock.now() + minutes * MINUTE


def test_it_waits_for_its_time_and_starts_then(world: Site) -> None:
    worker = world.worker()
    when = in_minutes(world, 5)
    job_id = schedule_job(when, act())
    state = get_job_state(job_id)
    assert (state.current_state, state.next_start_date, state.scheduled_for) == ("WaitingToStart", when, when)
    world.pass_time(5 * 60 - 1, step=5)
    assert worker.receive() == []
    world.pass_time(1)
    assert [start.job_id for start in worker.receive()] == [job_id]


@pytest.mark.parametrize("delay", [timedelta(0), -MINUTE])
def test_a_time_that_has_passed_starts_it_at_once(world: Site, delay: timedelta) -> None:
    worker = world.worker()
    job_id = schedule_job(world.clock.now() + delay, act())
    world.lap()
    assert [start.job_id for start in worker.receive()] == [job_id]


def test_a_timedelta_counts_from_now(world: Site) -> None:
    job_id = schedule_job(timedelta(hours=2), act())
    assert get_job_state(job_id).next_start_date == world.clock.now() + timedelta(hours=2)


def test_a_time_in_any_zone_is_the_same_moment(world: Site) -> None:
    """Q-15 of the original: a start date was read by the clock, off by its offset from UTC."""
    when = in_minutes(world, 60)
    job_id = schedule_job(when.astimezone(timezone(timedelta(hours=-7))), act())
    assert get_job_state(job_id).next_start_date == when


def test_the_same_id_again_gives_it_another_time_and_message(world: Site) -> None:
    """Q-9 of the original: a one-shot job could not be scheduled anew."""
    worker = world.worker()
    job_id = schedule_job(in_minutes(world, 5), act("give", value=1))
    assert schedule_job(in_minutes(world, 9), act("give", value=2), job_id=job_id, priority=3) == job_id
    world.pass_time(8 * 60, step=5)
    assert worker.receive() == []
    world.pass_time(60, step=5)
    (start,) = worker.receive()
    assert start.message is not None
    assert start.message["args"] == {"value": 2}
    kinds = (
        JobHistory.objects.using(settings.DATABASE)
        .filter(job_id=job_id)
        .order_by("pk")
        .values_list("kind", flat=True)
    )
    assert list(kinds)[:2] == ["JobSubmitted", "JobRescheduled"]


def test_to_a_time_that_has_passed_it_starts_at_once(world: Site) -> None:
    worker = world.worker()
    job_id = schedule_job(in_minutes(world, 5), act())
    schedule_job(in_minutes(world, -1), act(), job_id=job_id)
    world.lap()
    assert [start.job_id for start in worker.receive()] == [job_id]


def test_the_same_again_changes_nothing(world: Site) -> None:
    when, job_id = in_minutes(world, 5), uuid4()
    for _ in range(2):
        schedule_job(when, act(), job_id=job_id)
    assert JobHistory.objects.using(settings.DATABASE).filter(job_id=job_id).count() == 1


def test_a_job_that_has_started_cannot_be_scheduled_anew(world: Site) -> None:
    job_id = submit_job(act())
    for state in ("WaitingForSlot", "Started"):
        with pytest.raises(JobHasStarted, match=f"is {state}: only one that waits for its time"):
            schedule_job(in_minutes(world, 5), act(), job_id=job_id)
        if state == "WaitingForSlot":
            world.start()
    assert JobSaga.objects.using(settings.DATABASE).get(pk=job_id).due_at is None


def test_it_can_be_canceled_or_run_while_it_waits(world: Site) -> None:
    canceled, run = (schedule_job(in_minutes(world, 5), act()) for _ in range(2))
    assert cancel_job(canceled).current_state == "Canceled"
    assert run_job(run).current_state == "WaitingForSlot"


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        (datetime(2026, 1, 1), "has no time zone"),
        ("tomorrow", "must be a datetime or a timedelta"),
        (None, "must be a datetime or a timedelta"),
        (3600, "must be a datetime or a timedelta"),
        (timedelta(days=4_000_000), "out of range"),
        (-timedelta(days=4_000_000), "out of range"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))), "out of range"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=5))), "out of range"),
    ],
)
def test_a_time_that_is_none_is_refused(world: Site, when: Any, problem: str) -> None:
    with pytest.raises(InvalidMessage, match=problem):
        schedule_job(when, act())
    assert not JobSaga.objects.using(settings.DATABASE).exists()


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(UnknownJobType):
        schedule_job(datetime(2030, 1, 1, tzinfo=UTC), "nothing.Such", {})


def test_a_type_by_name_takes_fields(world: Site) -> None:
    job_id = schedule_job(in_minutes(world, 1), TYPE, {"what": "give", "args": {}})
    assert get_job_state(job_id).job_type == TYPE
