"""The verbs of recurring jobs: what they do, what they refuse, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from jobsaga import (
    Daily,
    Every,
    JobState,
    add_or_update_recurring_job,
    cancel_job,
    cancel_recurring_job,
    finalize_recurring_job,
    get_job_state,
    get_recurring_job_state,
    resume_recurring_job,
    run_job,
    run_recurring_job,
)
from jobsaga.conf import settings
from jobsaga.engine.engine import Engine
from jobsaga.exceptions import InvalidMessage, InvalidSchedule, RecurringJobNotFound
from jobsaga.ids import recurring_job_id
from jobsaga.models import JobHistory, JobSaga, TransportMessage
from jobsaga.testing import manual_clock, run_until_quiet
from tests.client.acts import TYPE, act
from tests.client.conftest import Site
from tests.jobsapp.jobs.acting import ActInProcess

pytestmark = pytest.mark.django_db
MINUTELY = "0 * * * * *"
MINUTE = timedelta(minutes=1)


def add(schedule: Any = MINUTELY, name: str = "r", message: Any = None, **more: Any) -> Any:
    return add_or_update_recurring_job(name, message or act(), schedule, **more)


def state(name: str = "r") -> JobState:
    return get_recurring_job_state(ActInProcess, name)


def kinds(job_id: Any) -> list[str]:
    return list(
        JobHistory.objects.using(settings.DATABASE)
        .filter(job_id=job_id)
        .order_by("pk")
        .values_list("kind", flat=True)
    )


def run_once(world: Site, worker: Any) -> None:
    world.pass_time(60, step=5)
    (start,) = worker.receive()
    worker.started(start)
    worker.complete(start, result={"run": start.run})
    world.lap()


def test_it_is_added_and_waits_for_its_first_occurrence(world: Site) -> None:
    job_id = add(
        Daily(at="03:00"), time_zone="Europe/Berlin", properties={"tenant": "acme"}, priority=4, by="ann"
    )
    assert job_id == recurring_job_id(TYPE, "r")
    seen = get_job_state(job_id)
    assert seen == state()
    assert (seen.current_state, seen.is_recurring, seen.recurring_name, seen.run) == (
        "WaitingToStart",
        True,
        "r",
        0,
    )
    assert seen.next_start_date == datetime(2026, 1, 1, 2, tzinfo=UTC)
    assert (seen.cron, seen.time_zone, seen.properties) == (
        "0 0 3 * * *",
        "Europe/Berlin",
        {"tenant": "acme"},
    )
    assert JobHistory.objects.using(settings.DATABASE).filter(job_id=job_id, actor="ann").exists()


def test_it_runs_again_and_again(world: Site) -> None:
    worker = world.worker()
    job_id = add()
    for run in (1, 2, 3):
        run_once(world, worker)
        seen = get_job_state(job_id)
        assert (seen.current_state, seen.run, seen.result) == ("WaitingToStart", run, {"run": run})
        assert seen.scheduled_for == world.clock.now()
        assert seen.next_start_date == world.clock.now() + MINUTE


def test_the_same_again_writes_nothing(world: Site) -> None:
    job_id = add(Every(minutes=1))
    before = JobSaga.objects.using(settings.DATABASE).get(pk=job_id)
    world.clock.advance(30)
    for schedule in (Every(minutes=1), "* * * * *"):
        add(schedule)
    assert JobSaga.objects.using(settings.DATABASE).get(pk=job_id).version == before.version
    assert JobSaga.objects.using(settings.DATABASE).get(pk=job_id).next_start_at == before.next_start_at


def test_an_update_replaces_what_is_different(world: Site) -> None:
    """K27 of the conformance list: message and properties too when the schedule is the same."""
    job_id = add(message=act("give", value=1))
    add(message=act("give", value=2), properties={"k": "v"})
    row = JobSaga.objects.using(settings.DATABASE).get(pk=job_id)
    assert (row.message["args"], row.properties) == ({"value": 2}, {"k": "v"})
    add("30 * * * * *")
    assert state().next_start_date == world.clock.now() + MINUTE / 2
    assert kinds(job_id) == ["RecurringJobAdded", "JobSubmitted", *["RecurringJobUpdated"] * 2]


def test_an_update_of_a_running_one_is_left_to_the_saga_hosts(world: Site) -> None:
    """A client never holds a row that the engine needs for long."""
    add()
    run_recurring_job(ActInProcess, "r")
    world.lap()
    world.start()
    add("30 * * * * *")
    assert state().cron == MINUTELY
    assert TransportMessage.objects.using(settings.DATABASE).filter(endpoint="saga").count() == 1
    world.lap()
    assert (state().cron, state().current_state) == ("30 * * * * *", "Started")


def test_names_belong_to_their_type(world: Site) -> None:
    ids = {add(name="a"), add(name="b"), add(name="a")}
    assert len(ids) == JobSaga.objects.using(settings.DATABASE).count() == 2


class TestOneRun:
    def test_run_now_is_a_run_more(self, world: Site) -> None:
        worker = world.worker()
        job_id = add()
        seen = run_recurring_job(ActInProcess, "r", by="ann")
        assert (seen.current_state, seen.run, seen.scheduled_for) == ("WaitingForSlot", 1, None)
        world.lap()
        (start,) = worker.receive()
        assert run_recurring_job(TYPE, "r").refused != ""
        worker.complete(start)
        world.lap()
        assert get_job_state(job_id).next_start_date == world.clock.now() + MINUTE

    def test_a_cancel_between_runs_skips_the_next_and_says_so(self, world: Site) -> None:
        worker = world.worker()
        job_id = add()
        seen = cancel_job(job_id, "holiday", by="ann")
        assert (seen.current_state, seen.is_recurring) == ("WaitingToStart", True)
        assert seen.next_start_date == world.clock.now() + 2 * MINUTE
        assert "The run of 2026-01-01 00:01:00+00:00 is skipped" in seen.remark
        assert "holiday" in seen.remark
        world.pass_time(60, step=5)
        assert worker.receive() == []
        run_once(world, worker)

    def test_a_cancel_with_a_number_is_about_that_run(self, world: Site) -> None:
        job_id = add()
        assert cancel_job(job_id, run=7).refused == "it is about another run"
        assert cancel_job(job_id, run=1).remark
        assert cancel_job(job_id, run=1).refused == "it is about another run"

    def test_a_cancel_of_the_run_under_way_leaves_the_recurrence(self, world: Site) -> None:
        job_id = add()
        run_recurring_job(ActInProcess, "r")
        worker, start = world.start()
        cancel_job(job_id, "enough")
        world.lap()
        worker.cancel(start)
        world.lap()
        seen = get_job_state(job_id)
        assert (seen.current_state, seen.reason, seen.is_recurring) == ("WaitingToStart", "enough", True)


class TestTheEndOfARecurrence:
    def test_a_cancel_ends_it_and_the_name_can_be_added_again(self, world: Site) -> None:
        """G05 of the conformance list."""
        job_id = add()
        seen = cancel_recurring_job(ActInProcess, "r", "Not right now", by="ann")
        assert (seen.current_state, seen.reason, seen.is_recurring) == ("Canceled", "Not right now", False)
        assert seen.next_start_date is None
        assert add() == job_id
        assert (state().current_state, state().is_recurring, state().reason) == ("WaitingToStart", True, "")

    def test_it_can_be_resumed_as_it_was(self, world: Site) -> None:
        add("30 * * * * *", message=act("give", value=5), misfire="skip")
        cancel_recurring_job(TYPE, "r")
        seen = resume_recurring_job(TYPE, "r", by="ann")
        assert (seen.current_state, seen.cron) == ("WaitingToStart", "30 * * * * *")
        row = JobSaga.objects.using(settings.DATABASE).get()
        assert (row.message["args"], row.misfire) == ({"value": 5}, "skip")

    def test_it_cannot_be_resumed_when_its_time_is_over(self, world: Site) -> None:
        add(end=world.clock.now() + MINUTE)
        cancel_recurring_job(TYPE, "r")
        world.clock.advance(120)
        with pytest.raises(InvalidSchedule, match="no occurrence left"):
            resume_recurring_job(TYPE, "r")

    def test_it_can_be_finalized_then(self, world: Site) -> None:
        add()
        assert "only an ended job" in finalize_recurring_job(ActInProcess, "r").refused
        cancel_recurring_job(ActInProcess, "r")
        assert finalize_recurring_job(ActInProcess, "r").current_state == "NotFound"

    def test_after_its_last_occurrence_it_has_completed(self, world: Site) -> None:
        """K23 of the conformance list."""
        worker = world.worker()
        add(end=world.clock.now() + MINUTE)
        run_once(world, worker)
        assert (state().current_state, state().next_start_date) == ("Completed", None)


@pytest.mark.parametrize(
    "verb", [run_recurring_job, cancel_recurring_job, finalize_recurring_job, resume_recurring_job]
)
def test_an_unknown_name_is_an_error_that_says_it(verb: Any) -> None:
    with pytest.raises(RecurringJobNotFound, match=f"no recurring job 'r' of {TYPE}"):
        verb(ActInProcess, "r")
    assert state().current_state == "NotFound"


@pytest.mark.parametrize(
    ("given", "error", "problem"),
    [
        ({"schedule": "every day"}, InvalidSchedule, "every day"),
        ({"schedule": "0 0 0 30 2 *"}, InvalidSchedule, "30"),
        ({"schedule": 60}, InvalidSchedule, "60"),
        ({"time_zone": "Europe/Berln"}, InvalidSchedule, "Europe/Berlin"),
        ({"misfire": "ignore"}, InvalidMessage, "'run_once' or 'skip'"),
        ({"name": ""}, InvalidMessage, "1 to 200 characters"),
        ({"name": "x" * 201}, InvalidMessage, "longer than 200|1 to 200"),
        ({"start": datetime(2026, 1, 1)}, InvalidMessage, "has no time zone"),
        ({"end": datetime(2020, 1, 1, tzinfo=UTC)}, InvalidSchedule, "no occurrence left"),
        (
            {"start": datetime(2030, 1, 2, tzinfo=UTC), "end": datetime(2030, 1, 1, tzinfo=UTC)},
            InvalidSchedule,
            "before the start",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_the_door(
    world: Site, given: dict[str, Any], error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        add(**given)
    assert not JobSaga.objects.using(settings.DATABASE).exists()


def test_it_exists_when_its_transaction_commits(world: Site) -> None:
    with transaction.atomic(using=settings.DATABASE):
        add()
        transaction.set_rollback(True, using=settings.DATABASE)
    assert not JobSaga.objects.using(settings.DATABASE).exists()


def test_a_sites_own_tests_move_the_time(db: None) -> None:
    with manual_clock(datetime(2026, 1, 1, tzinfo=UTC)) as clock:
        job_id = add("0 0 3 * * *")
        assert run_until_quiet() == 0
        for run in (1, 2):
            clock.advance(24 * 3600)
            assert run_until_quiet() == 1
            assert (get_job_state(job_id).run, get_job_state(job_id).is_recurring) == (run, True)


def test_a_client_names_the_run_that_it_sees(world: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command may be left to the saga hosts and come late; then it must not be about the next run."""
    heard: list[Any] = []
    execute = Engine.execute

    def listen(engine: Engine, tx: Any, message: Any, **options: Any) -> Any:
        heard.append(message)
        return execute(engine, tx, message, **options)

    job_id = add_or_update_recurring_job("hourly", act(), "0 * * * *")
    monkeypatch.setattr(Engine, "execute", listen)
    cancel_job(job_id)
    run_job(job_id)
    assert [(type(each).__name__, each.run) for each in heard] == [("CancelJob", 1), ("RunJob", 2)]
