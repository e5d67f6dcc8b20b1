"""MassTransit's quirks about schedules, one by one: what is odd there, and a test that it is not so here.

As in ``test_quirks``: the numbers are those of the table in docs/coming-from-masstransit.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from jobsaga import messages as said
from jobsaga.exceptions import InvalidSchedule
from jobsaga.sagas import JOB
from jobsaga.sagas.states import JobStates
from jobsaga.schedule import Every, as_cron, check_time_zone, occurrences
from tests.sagas.transcript import Play, named
from tests.sagas.world import START, TYPE

J1, A1, A2 = named("j1"), named("a1"), named("a2")
RECURRING = ("w1: hosts videos, limit 1", "client: adds j1, every 60 s")
RUNNING = (*RECURRING, "clock: 60 s pass", "w1: takes a1", "w1: started a1")


@pytest.fixture
def play() -> Play:
    return Play()


def add(play: Play, cron: str, **more: object) -> None:
    play.world.say(
        said.AddOrUpdateRecurringJob(job_id=J1, job_type=TYPE, name="j1", cron=as_cron(cron), **more)  # type: ignore[arg-type]
    )


def test_q05_a_retry_of_a_run_that_finds_no_slot_is_no_new_occurrence(play: Play) -> None:
    play.say(*RUNNING, "client: submits j2", "w1: faulted a1 with IOError, retry in 5 s", "w1: started a2")
    play.say("clock: 600 s pass")
    assert play.job().state is JobStates.WAITING_FOR_SLOT
    play.say("w1: completed a2")
    attempt = play.attempt("a3")
    assert (attempt.run, attempt.retry_attempt, play.job().policy_retries) == (1, 1, 1)
    assert attempt.scheduled_for == START + timedelta(seconds=60)


def test_q06_a_run_that_is_asked_for_begins_anew(play: Play) -> None:
    play.say(*RUNNING, "w1: faulted a1 with IOError, retry in 0 s", "w1: faulted a2 with IOError")
    play.say("client: runs j1 now")
    assert (play.attempt("a3").run, play.attempt("a3").retry_attempt) == (2, 0)
    assert play.say("client: runs j1 now") == ["j1 RunJob ignored"]


def test_q07_an_update_does_not_lose_the_run_that_is_due(play: Play) -> None:
    play.say("client: adds j1, every 60 s", "clock: 60 s pass", "client: updates j1, every 3600 s")
    assert (play.job().state, play.job().run) == (JobStates.WAITING_FOR_SLOT, 1)
    play.say("w1: hosts videos, limit 1")
    assert play.attempt().scheduled_for == START + timedelta(seconds=60)


def test_q07_an_update_does_not_lose_a_run_that_nobody_has_taken_yet(play: Play) -> None:
    """The saga hosts were away for a deploy, and the deploy changes the schedule."""
    play.say("client: adds j1, every 60 s", "someone: stops the saga hosts", "clock: 70 s pass")
    play.say("client: updates j1, every 3600 s")
    assert (play.job().state, play.job().scheduled_for) == (
        JobStates.WAITING_FOR_SLOT,
        START + timedelta(seconds=60),
    )


def test_q08_an_update_that_leaves_no_occurrence_changes_nothing(play: Play) -> None:
    play.say("client: adds j1, every 60 s", "clock: 30 s pass")
    before = play.job()
    told = play.say("client: updates j1, every 60 s, until 40 s")
    assert (told, play.job()) == (["j1 AddOrUpdateRecurringJob ignored"], before)


def test_q09_a_job_that_waits_for_its_time_can_get_another(play: Play) -> None:
    play.say("client: submits j1 to start in 60 s", "client: submits j1 to start in 600 s")
    assert play.say("clock: 599 s pass") == []
    play.say("clock: 1 s passes")
    assert play.job().state is JobStates.WAITING_FOR_SLOT


def test_q10_a_schedule_without_an_occurrence_makes_nothing(play: Play) -> None:
    """The client refuses it; and should one come all the same, nobody is told of a job that never was."""
    play.say("settings: finalize_completed is on", "clock: 60 s pass")
    assert play.say("client: adds j1, every 60 s, until 50 s") == ["j1 AddOrUpdateRecurringJob ignored"]
    assert (play.world.jobs, play.world.events) == ({}, [])


def test_q11_an_unknown_time_zone_is_refused_where_it_is_said() -> None:
    with pytest.raises(InvalidSchedule, match="Europe/Berlon"):
        check_time_zone("Europe/Berlon")


@pytest.mark.parametrize("schedule", ["0 0,15,30,45 * * * 1,3,5", Every(minutes=15, days="MON,WED,FRI")])
def test_q12_days_restrict(schedule: str | Every) -> None:
    weekdays = {at.strftime("%a") for at in occurrences(as_cron(schedule), START, limit=4 * 24 * 7)}
    assert weekdays == {"Mon", "Wed", "Fri"}


def test_q13_the_hour_that_comes_twice_is_no_tight_loop(play: Play) -> None:
    """Every quarter of an hour in New York, while the clock is set back from 2:00 to 1:00 (6:00 in UTC)."""
    play.world.now = begin = datetime(2026, 11, 1, 4, 50, tzinfo=UTC)
    play.say("w1: hosts videos, limit 2")
    add(play, "0 */15 * * * *", time_zone="America/New_York")
    runs = []
    for minute in range(1, 161):
        play.world.now = begin + timedelta(minutes=minute)
        play.world.sweep()
        if play.job().attempt_id is not None:
            runs.append(play.job().scheduled_for)
            play.say(f"w1: completed a{play.job().attempt_id.int}")  # type: ignore[union-attr]
    first = datetime(2026, 11, 1, 5, 0, tzinfo=UTC)
    assert runs == [first + timedelta(minutes=15 * n) for n in range(11)]


def test_q14_an_occurrence_is_not_taken_early_and_not_twice(play: Play) -> None:
    play.say(*RECURRING)
    elapsed = said.JobSlotWaitElapsed(job_id=J1)
    play.world.now += timedelta(seconds=59, microseconds=999_999)
    play.world.say(elapsed)
    assert play.job().state is JobStates.WAITING_TO_START
    play.world.now += timedelta(microseconds=1)
    play.world.say(elapsed)
    play.say("w1: completed a1")
    play.world.say(elapsed, elapsed)
    assert (play.job().run, play.job().state, len(play.world.attempts)) == (1, JobStates.WAITING_TO_START, 1)


def test_q15_the_start_of_a_recurrence_is_an_instant_whatever_its_offset(play: Play) -> None:
    there = timezone(timedelta(hours=-5))
    add(play, "0 * * * * *", start_at=(START + timedelta(minutes=90)).astimezone(there))
    assert play.job().next_start_at == START + timedelta(minutes=90)


def test_q16_a_fault_while_starting_ends_no_recurrence(play: Play) -> None:
    play.say(*RECURRING, "clock: 60 s pass", "w1: faulted a1 with IOError")
    assert (play.job().state, play.job().faulted_at) == (JobStates.WAITING_TO_START, play.world.now)
    play.say("clock: 60 s pass")
    assert play.attempt("a2").run == 2


def test_q25_the_next_run_has_a_slot_of_its_own(play: Play) -> None:
    """It follows in the transaction in which the last one ends, and what is said late of that frees nothing."""
    play.say(*RUNNING, "clock: 70 s pass", "w1: completed a1")
    assert (play.job().run, play.job().slot) == (2, A2)
    late = said.JobSlotReleased(job_id=J1, job_type=TYPE, attempt_id=A1, instance_id=named("w1"))
    assert JOB.step(play.job(), late, play.world.env(late)).saga.slot == A2
    assert play.world.types[TYPE].active == 1


def test_q25_a_run_waits_while_the_last_one_may_still_be_at_work(play: Play) -> None:
    play.say(
        *RUNNING, "client: cancels j1", "w2: hosts videos, limit 1", "clock: 60 s pass", "clock: 1 s passes"
    )
    assert (play.job().state, play.job().run, play.job().slot) == (JobStates.WAITING_FOR_SLOT, 2, A1)
    play.say("w1: canceled a1")
    assert play.job().slot == A2


def test_q34_a_run_has_the_timeouts_of_the_worker_that_starts_it(play: Play) -> None:
    """Nothing of a worker is kept from one run to the next: no address, no timeout."""
    play.say(*RECURRING, "clock: 60 s pass", "w1: started a1, timeout 60 s, cancellation timeout 5 s")
    assert play.job().cancellation_timeout == 5
    play.say("w1: completed a1", "w1: stops hosting videos", "w2: hosts videos, limit 1", "clock: 60 s pass")
    assert (play.job().cancellation_timeout, play.attempt("a2").instance_id) == (None, named("w2"))
    play.say("w2: started a2, timeout 60 s, cancellation timeout 9 s")
    assert play.job().cancellation_timeout == 9
