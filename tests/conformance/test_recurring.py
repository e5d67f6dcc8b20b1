"""G04, G05, G07, K06 and K20-K27: scheduled and recurring jobs, with workers that do as told under a clock that stands.

A recurrence ends with its scenario (``end``): after each one no job may be left that has not ended.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from jobsaga import (
    Every,
    add_or_update_recurring_job,
    cancel_recurring_job,
    finalize_recurring_job,
    get_job_state,
    recurring,
    run_job,
    run_recurring_job,
    schedule_job,
)
from jobsaga.client.declared import sync_recurring_jobs
from jobsaga.conf import settings
from jobsaga.consumers.declarations import temporary_declarations
from jobsaga.exceptions import InvalidMessage, InvalidSchedule
from jobsaga.models import JobAttemptSaga
from tests.conformance.surfaces import ALIAS, Diary, kinds, path, state
from tests.conformance.test_scripted_workers import finish, odd_worker, take
from tests.engine.world import World
from tests.jobsapp.jobs.conformance import OddConsumer, OddJob

ODD = "jobsapp.OddJob"
TEN = Every(seconds=10)
HOUR = timedelta(hours=1)


def add(world: World, schedule: Any = TEN, message: Any = None, **more: Any) -> UUID:
    job_id = add_or_update_recurring_job("often", message or OddJob(), schedule, **more)
    world.lap()
    return job_id


def end(world: World) -> None:
    cancel_recurring_job(OddJob, "often")
    world.lap()


def planned(job_id: UUID) -> list[datetime]:
    """For which times its attempts were made, in order."""
    rows = JobAttemptSaga.objects.using(ALIAS).filter(job_id=job_id).order_by("created_at", "id")
    return list(rows.values_list("scheduled_for", flat=True))


def next_tick(world: World, seconds: int = 10) -> datetime:
    """The next time that ``Every(seconds=...)`` means."""
    now = world.place.now().timestamp()
    return datetime.fromtimestamp(now - now % seconds + seconds, UTC)


def until(world: World, moment: datetime) -> None:
    """Let time pass, second by second, until the moment has come."""
    world.pass_time((moment - world.place.now()).total_seconds())


def test_g04_update_with_an_identical_schedule(world: World) -> None:
    """Better: it is no update. What is due when it is said, at a deploy for instance, still runs."""
    worker = odd_worker(world)
    job_id = add(world)
    first = next_tick(world)
    until(world, first)
    for _ in range(3):
        assert add(world) == job_id
    assert finish(worker) == [job_id]
    until(world, first + timedelta(seconds=10))
    assert finish(worker) == [job_id]
    assert planned(job_id) == [first, first + timedelta(seconds=10)]
    assert "RecurringJobUpdated" not in kinds(job_id)
    end(world)


def test_g05_cancel_and_add_again(
    world: World, diary: Diary, django_capture_on_commit_callbacks: Any
) -> None:
    worker = odd_worker(world)
    job_id = add(world)
    world.pass_time(10)
    assert finish(worker) == [job_id]
    with django_capture_on_commit_callbacks(using=settings.DATABASE, execute=True):
        assert cancel_recurring_job(OddJob, "often", "Not right now").current_state == "Canceled"
    assert (state(job_id), get_job_state(job_id).reason) == ("Canceled", "Not right now")
    assert diary.signals(job_id).count("job_canceled") == 1
    world.pass_time(30)
    assert finish(worker) == []
    assert add(world) == job_id
    world.pass_time(10)
    assert finish(worker) == [job_id]
    end(world)
    assert finalize_recurring_job(OddJob, "often").current_state == "NotFound"


def test_g07_registered_by_the_sites_code_with_properties(world: World) -> None:
    """Better: by ``migrate`` or by a command, and not by each process that starts."""
    worker = odd_worker(world)
    with temporary_declarations():
        recurring("*/5 * * * * *", name="often", message=OddJob(), properties={"Region": "East"})(OddConsumer)
        assert [each.action for each in sync_recurring_jobs()] == ["add"]
        assert sync_recurring_jobs() == []
        world.pass_time(5)
        (start,) = worker.receive()
        assert start.properties == {"Region": "East"}
        worker.complete(start)
        world.lap()
    assert [each.action for each in sync_recurring_jobs()] == ["cancel"]


def test_k06_run_now_is_for_a_job_that_waits_for_its_time(world: World) -> None:
    worker = odd_worker(world)
    scheduled, other = schedule_job(HOUR, OddJob()), schedule_job(HOUR, OddJob())
    assert run_job(scheduled).current_state == "WaitingForSlot"
    world.lap()
    assert run_job(other).current_state == "WaitingForSlot"
    world.lap()
    assert run_job(other).refused == "it is runnable already"
    assert run_job(scheduled).refused == "run-now is for a job that waits for its time"
    assert finish(worker) == [scheduled, other]
    assert run_job(scheduled).refused


def test_k06_run_now_is_a_run_more_than_the_schedule_says(world: World) -> None:
    worker = odd_worker(world)
    job_id = add(world, Every(hours=1))
    following = next_tick(world, 3600)
    assert run_recurring_job(OddJob, "often").current_state == "WaitingForSlot"
    world.lap()
    start = take(worker)
    assert run_recurring_job(OddJob, "often").refused
    worker.complete(start)
    world.lap()
    assert (state(job_id), get_job_state(job_id).next_start_date) == ("WaitingToStart", following)
    assert planned(job_id) == [None]
    end(world)
    assert run_recurring_job(OddJob, "often").refused


def test_k20_a_run_that_is_longer_than_its_period(world: World) -> None:
    """Same: no overlap, what is missed is not caught up with. Better: the latest one is, at once."""
    worker, _ = odd_worker(world), odd_worker(world)
    job_id = add(world)
    first = next_tick(world)
    until(world, first)
    start = take(worker)
    world.pass_time(35)
    assert len(planned(job_id)) == 1
    worker.complete(start)
    world.lap()
    assert planned(job_id) == [first, first + timedelta(seconds=30)]
    assert get_job_state(job_id).next_start_date == first + timedelta(seconds=40)
    assert "JobRunsMissed" in kinds(job_id)
    _complete_all(world)
    end(world)


def test_k21_a_run_that_fails_for_good_ends_no_recurrence(world: World, diary: Diary) -> None:
    worker = odd_worker(world)
    job_id = add(world)
    world.pass_time(10)
    start = take(worker)
    worker.fault(start, "broken", retry_delay=0)
    world.lap()
    again = take(worker)
    assert (again.retry_attempt, diary.signals(job_id)) == (1, ["job_started", "job_started"])
    worker.fault(again, "broken for good")
    world.lap()
    assert (state(job_id), get_job_state(job_id).reason) == ("WaitingToStart", "ValueError: broken for good")
    assert diary.signals(job_id) == ["job_started", "job_started", "job_faulted"]
    other = schedule_job(timedelta(0), OddJob())
    world.lap()
    assert finish(worker) == [other]  # its slot is free
    world.pass_time(10)
    assert finish(worker) == [job_id]
    assert path(job_id)[-4:] == ["WaitingForSlot", "StartingJobAttempt", "Started", "WaitingToStart"]
    end(world)


def test_k22_nothing_of_a_run_is_left_for_the_next(world: World) -> None:
    worker = odd_worker(world)
    add(world)
    world.pass_time(10)
    start = take(worker)
    worker.progress(start, 40)
    worker.save(start, {"frame": 40})
    worker.fault(start, retry_delay=0)
    world.lap()
    again = take(worker)
    assert (again.run, again.job_state, again.progress_value, again.retry_attempt) == (
        1,
        {"frame": 40},
        40,
        1,
    )
    worker.save(again, {"frame": 80})
    worker.complete(again, result="done")
    world.lap()
    world.pass_time(10)
    fresh = take(worker)
    assert (fresh.run, fresh.job_state, fresh.progress_value, fresh.retry_attempt) == (2, None, None, 0)
    assert (fresh.policy_retries, get_job_state(fresh.job_id).result) == (0, None)
    assert not worker.save(again, {"frame": 81})
    worker.complete(fresh)
    world.lap()
    end(world)


@pytest.mark.parametrize("goes", [False, True])
def test_k23_the_end_date_is_reached(world: World, goes: bool) -> None:
    """Completed, and then gone if completed jobs go."""
    world.engine = world.another_engine(options=replace(world.options, finalize_completed=goes))
    worker = odd_worker(world)
    first = next_tick(world)
    job_id = add(world, end=first + timedelta(seconds=15))
    until(world, first)
    assert (finish(worker), state(job_id)) == ([job_id], "WaitingToStart")
    world.pass_time(10)
    assert (finish(worker), state(job_id)) == ([job_id], "NotFound" if goes else "Completed")
    world.pass_time(60)
    assert finish(worker) == []


def test_k24_a_start_date_in_the_future(world: World) -> None:
    worker = odd_worker(world)
    start = next_tick(world) + timedelta(seconds=104)
    job_id = add(world, start=start)
    world.pass_time((start - world.place.now()).total_seconds())
    assert finish(worker) == []
    world.pass_time(6)
    assert finish(worker) == [job_id]
    assert planned(job_id) == [start + timedelta(seconds=6)]
    end(world)


NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
WRONG: dict[str, tuple[str, dict[str, Any], type[Exception]]] = {
    "no schedule": ("", {}, InvalidSchedule),
    "a bad one": ("61 * * * * *", {}, InvalidSchedule),
    "one that never comes": ("0 0 0 31 2 *", {}, InvalidSchedule),
    "the end before the start": ("0 * * * * *", {"start": NOON, "end": NOON - HOUR}, InvalidSchedule),
    "the end is over": ("0 * * * * *", {"end": datetime(2001, 1, 1, tzinfo=UTC)}, InvalidSchedule),
    "no such zone": ("0 * * * * *", {"time_zone": "Europe/Berlon"}, InvalidSchedule),
    "a start without a zone": ("0 * * * * *", {"start": datetime(2030, 1, 1)}, InvalidMessage),
    "no such policy": ("0 * * * * *", {"misfire": "catch up"}, InvalidMessage),
}


@pytest.mark.parametrize("what", WRONG)
def test_k25_what_cannot_be_is_refused_when_it_is_said(world: World, what: str) -> None:
    schedule, more, error = WRONG[what]
    with pytest.raises(error):
        add(world, schedule, **more)
    job_id = add(world)
    before = get_job_state(job_id)
    with pytest.raises(error):
        add(world, schedule, **more)
    assert get_job_state(job_id) == before
    end(world)


@pytest.mark.parametrize(("zone", "hour"), [(None, 3), ("Asia/Tokyo", 18), ("Asia/Kolkata", 21)])
def test_k26_the_time_zone_counts_and_is_utc_if_none_is_said(
    world: World, zone: str | None, hour: int
) -> None:
    job_id = add(world, "0 0 3 * * *", **({} if zone is None else {"time_zone": zone}))
    at = get_job_state(job_id).next_start_date
    assert at is not None
    assert (at.hour, at.minute) == (hour, 30 if zone == "Asia/Kolkata" else 0)
    end(world)


def test_k27_message_and_properties_are_replaced_though_the_schedule_stays(world: World) -> None:
    """Also of a run that is due and waits for its slot; one that is under way goes on as it began."""
    worker = odd_worker(world)
    job_id = add(world, message=OddJob("quick", {"value": 1}), properties={"a": 1})
    following = get_job_state(job_id).next_start_date
    add(world, message=OddJob("quick", {"value": 2}), properties={"b": 2})
    assert get_job_state(job_id).next_start_date == following
    world.pass_time(10)
    start = take(worker)
    assert (start.message, start.properties) == ({"does": "quick", "args": {"value": 2}}, {"b": 2})
    add(world, message=OddJob("quick", {"value": 3}))
    world.lap()
    worker.complete(start)
    world.lap()
    world.pass_time(10)
    start = take(worker)
    assert (start.message, start.properties) == ({"does": "quick", "args": {"value": 3}}, {})
    worker.complete(start)
    world.lap()
    end(world)


def _complete_all(world: World) -> None:
    while any(finish(worker) for worker in world.workers):
        pass
