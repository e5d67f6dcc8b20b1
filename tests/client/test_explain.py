"""Why a job waits: what is said in each state, with rows as they come about. Its slot has a file of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

import jobsaga.client.explain
from jobsaga import (
    add_or_update_recurring_job,
    aexplain_job,
    cancel_job,
    explain_job,
    get_job_state,
    schedule_job,
    submit_job,
)
from jobsaga.client.explain.rules import RULES
from jobsaga.clock import ManualClock, use_clock
from jobsaga.engine.events import publish
from jobsaga.exceptions import JobNotFound
from jobsaga.ids import uuid7
from jobsaga.sagas.states import STORED_JOB_STATES
from tests.client.acts import act
from tests.client.conftest import Site
from tests.client.situations import SITUATIONS
from tests.engine.places import DatabasePlace

pytestmark = pytest.mark.django_db
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
#: In winter, so that it is an hour later in Berlin.
EVENING = datetime(2026, 1, 15, 21, 30, tzinfo=UTC)


@pytest.fixture
def evening() -> Iterator[Site]:
    clock = ManualClock(EVENING)
    with use_clock(clock):
        yield Site(DatabasePlace(clock), publish=publish)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_job_that_waits_says_so_and_no_other(world: Site, situation: str) -> None:
    job_id = SITUATIONS[situation](world)
    why, state = explain_job(job_id), get_job_state(job_id)
    runs_or_ended = situation in ("Started", "Completed", "Faulted", "Canceled")
    assert (why.current_state, why.waits, why.at) == (situation, not runs_or_ended, world.clock.now())
    assert (state.waiting_for, state.waiting_code) == (
        ("", "") if runs_or_ended else (why.sentence, why.code)
    )
    assert why.sentence.endswith(".")
    assert why.also == ()


def test_a_job_that_is_not_there() -> None:
    job_id = uuid7()
    with pytest.raises(JobNotFound):
        explain_job(job_id)
    assert get_job_state(job_id).waiting_for == ""


def test_the_twin(world: Site) -> None:
    job_id = submit_job(act())
    assert async_to_sync(aexplain_job)(job_id) == explain_job(job_id)


class TestItsTime:
    def test_a_scheduled_job(self, evening: Site) -> None:
        job_id = schedule_job(EVENING + HOUR, act())
        why = explain_job(job_id)
        assert why.sentence == "It is scheduled for 22:30 UTC (in 1 h)."
        assert (why.code, why.until) == ("scheduled", EVENING + HOUR)

    def test_in_the_zone_of_the_one_who_asks(self, evening: Site) -> None:
        job_id = schedule_job(EVENING + 2 * HOUR + timedelta(seconds=5), act())
        with timezone.override("Europe/Berlin"):
            said = explain_job(job_id).sentence
        assert said == "It is scheduled for 2026-01-16 00:30:05 Europe/Berlin (in 2 h)."

    def test_a_recurring_job_in_its_own_zone(self, evening: Site) -> None:
        job_id = add_or_update_recurring_job("nightly", act(), "0 0 3 * * *", time_zone="Europe/Berlin")
        why = explain_job(job_id)
        assert why.sentence == "Its next run is scheduled for 2026-01-16 03:00 Europe/Berlin (in 4 h 30 min)."
        evening.clock.advance(2 * HOUR)
        assert (
            get_job_state(job_id).waiting_for
            == "Its next run is scheduled for 03:00 Europe/Berlin (in 2 h 30 min)."
        )

    def test_a_zone_that_is_not_known_here(self, evening: Site) -> None:
        job_id = add_or_update_recurring_job("nightly", act(), "0 0 3 * * *")
        evening.place.rows("JobSaga").update(time_zone="Mars/Olympus")
        assert (
            explain_job(job_id).sentence
            == "Its next run is scheduled for 2026-01-16 03:00 UTC (in 5 h 30 min)."
        )

    def test_when_nobody_looks(self, evening: Site) -> None:
        job_id = schedule_job(EVENING + HOUR, act())
        evening.clock.advance(HOUR + timedelta(seconds=10))
        assert explain_job(job_id).sentence == "It is scheduled for 22:30 UTC (now)."
        evening.clock.advance(1)
        why = explain_job(job_id)
        assert (
            why.sentence
            == "It was due at 22:30 UTC, and nobody has looked at it: no saga host seems to work."
        )
        assert (why.code, why.since) == ("no-saga-host", EVENING + HOUR)
        assert "runjobworker" in why.mend


class TestItsRetry:
    def test_of_its_policy(self, world: Site) -> None:
        """The test app's consumer has a policy of two retries."""
        job_id = submit_job(act())
        worker, start = world.start()
        worker.fault(start, "out of paper\nand of ink", retry_delay=24)
        world.lap()
        why = explain_job(job_id)
        assert why.sentence == "Retry 1 of 2 in 24 s: ValueError: out of paper."
        assert (why.code, why.until) == ("retry", world.clock.now() + timedelta(seconds=24))
        assert (why.since, why.worker, why.limit) == (world.clock.now(), "test:1", 2)
        world.clock.advance(4.5)
        assert get_job_state(job_id).waiting_for.startswith("Retry 1 of 2 in 20 s")

    def test_the_second(self, world: Site) -> None:
        job_id = submit_job(act())
        worker, start = world.start()
        worker.fault(start, retry_delay=0)
        world.lap()
        (start,) = worker.receive()
        worker.fault(start, retry_delay=90)
        world.lap()
        assert explain_job(job_id).sentence == "Retry 2 of 2 in 1 min 30 s: ValueError: broken."

    def test_of_a_consumer_that_is_not_known_here(self, world: Site) -> None:
        job_id = world.submit("elsewhere.Convert")
        worker = world.worker(types=["elsewhere.Convert"])
        (start,) = worker.receive()
        worker.fault(start, retry_delay=24)
        world.lap()
        assert explain_job(job_id).sentence == "Retry 1 in 24 s: ValueError: broken."

    def test_after_a_lost_worker(self, world: Site) -> None:
        job_id = submit_job(act())
        worker, _ = world.start()
        worker.dies()
        world.pass_time(15, step=5)
        why = explain_job(job_id)
        assert why.sentence == (
            "Retry 1 of 3 after a lost attempt in 1 s: JobAttemptLost: Worker test:1 was lost: "
            "no heartbeat before its lease was over."
        )
        assert (why.code, why.limit, why.worker) == ("retry-lost", 3, "test:1")

    def test_when_nobody_looks(self, world: Site) -> None:
        job_id = SITUATIONS["WaitingToRetry"](world)
        due = world.clock.now() + timedelta(seconds=60)
        world.clock.advance(71)
        why = explain_job(job_id)
        assert why.sentence.startswith("Retry 1 of 2 was due at 00:01, and nobody has looked at it")
        assert (why.code, why.since) == ("no-saga-host", due)


class TestItsWorker:
    def test_has_not_confirmed_yet(self, world: Site) -> None:
        job_id = SITUATIONS["StartingJobAttempt"](world)
        assert explain_job(job_id).sentence.startswith("It was sent to test:1 just now, and that")
        world.clock.advance(2)
        why = explain_job(job_id)
        assert why.sentence == (
            "It was sent to test:1 2 s ago, and that has not confirmed it yet; "
            "if it does not, the job goes elsewhere in 13 s."
        )
        assert (why.code, why.worker) == ("starting", "test:1")
        assert (why.since, why.until) == (world.clock.now() - 2 * SECOND, world.clock.now() + 13 * SECOND)

    def test_has_it_and_did_not_say_that_it_runs(self, world: Site) -> None:
        job_id = SITUATIONS["StartingJobAttempt"](world)
        world.workers[0].receive()
        world.clock.advance(2)
        assert (
            explain_job(job_id).sentence == "test:1 has taken it 2 s ago, and has not said yet that it runs."
        )

    def test_runs_it(self, world: Site) -> None:
        job_id = SITUATIONS["Started"](world)
        began = world.clock.now()
        world.pass_time(200, step=5)
        why = explain_job(job_id)
        assert why.sentence == "It runs on test:1 since 00:00 (3 min 20 s)."
        assert (why.code, why.since, why.waits) == ("running", began, False)

    def test_is_silent(self, world: Site) -> None:
        job_id = SITUATIONS["Started"](world)
        world.workers[0].dies()
        world.pass_time(12)
        why = explain_job(job_id)
        assert why.sentence == "test:1 was heard last 12 s ago; if it stays silent, it counts as lost in 3 s."
        assert why.also == ("It runs on test:1 since 00:00 (12 s).",)
        assert (why.code, why.until) == ("worker-silent", world.clock.now() + 3 * SECOND)
        world.clock.advance(4)
        assert explain_job(job_id).sentence == "test:1 was heard last 16 s ago and counts as lost."

    def test_is_asked_to_end_it(self, world: Site) -> None:
        job_id = SITUATIONS["Started"](world)
        cancel_job(job_id, "wrong file", by="ada")
        world.lap()
        world.pass_time(4)
        why = explain_job(job_id)
        assert why.sentence == (
            "It was asked to stop by ada (wrong file) 4 s ago, and is given up in 36 s if test:1 has not ended it."
        )
        assert (why.code, why.by, why.reason) == ("canceling", "ada", "wrong file")
        assert why.until == world.clock.now() + 36 * SECOND


@pytest.mark.parametrize(
    ("situation", "sentence"),
    [
        ("Completed", "It has ended as Completed at 00:00."),
        ("Faulted", "It has ended as Faulted at 00:00: ValueError: out of paper."),
        ("Canceled", "It has ended as Canceled at 00:00: first."),
    ],
)
def test_that_it_has_ended(world: Site, situation: str, sentence: str) -> None:
    why = explain_job(SITUATIONS[situation](world))
    assert (why.sentence, why.code, why.waits) == (sentence, situation.lower(), False)


def test_no_state_is_left_out() -> None:
    assert set(RULES) == set(STORED_JOB_STATES)


def test_the_page_names_each_reason() -> None:
    root = Path(jobsaga.client.explain.__file__).parent
    said = {
        code for path in root.glob("*.py") for code in re.findall(r'say\(\s*"([a-z-]+)"', path.read_text())
    }
    said |= set(re.findall(r'_in_turn\(\s*facts, "([a-z-]+)"', (root / "slots.py").read_text()))
    said |= {"retry", "retry-lost"}
    page = (
        (root.parents[2] / "docs/jobs.md")
        .read_text()
        .partition("## Why is it waiting?")[2]
        .partition("\n## ")[0]
    )
    assert said - {"running"} == set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    assert {"`running`", "`completed`", "`faulted`", "`canceled`"} <= set(re.findall(r"`[a-z]+`", page))
