"""What holds for every schedule, in every zone, at any time: searched for a counterexample."""

from __future__ import annotations

import os
import random
from datetime import datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule import as_cron, describe, latest_until, next_after, occurrences, timeline, wall
from jobsaga.schedule.canonical import read_schedule
from jobsaga.schedule.cron import LONGEST_TEXT, read_cron
from tests.schedule import wall_only
from tests.schedule.generate import cron_text
from tests.schedule.looking import at
from tests.schedule.oracle import FIRST, LAST, changes

SECOND = timedelta(seconds=1)
TRIALS = int(os.environ.get("JOBSAGA_TRIALS", "1"))
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
OURS = [
    *(
        "0 0 3 LW * *",
        "0 0 3 15W * *",
        "0 0 3 L-3 * *",
        "0 0 3 1W,L * MON#2",
        "0 30 23-1 * * *",
        "50-10 59-2 * * * *",
    ),
    *("0 0 3 28-2 * *", "0 */7 * * * FRI-MON", "@every 5400s", "@every 420s", "@every 1s"),
]


@st.composite
def schedules(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        return draw(st.sampled_from(OURS))
    text = cron_text(random.Random(draw(st.integers(0, 2**32))))
    try:
        return as_cron(text)
    except InvalidSchedule as error:
        assume("would never run" not in str(error))
        raise


@st.composite
def zones_and_instants(draw: st.DrawFn) -> tuple[str, datetime]:
    """Half of them near a change of the clock, where there is one."""
    zone = draw(st.sampled_from(ZONES))
    near = changes(zone)
    if near and draw(st.booleans()):
        return zone, draw(st.sampled_from(near)) + draw(st.integers(-3 * 3600, 3 * 3600)) * SECOND
    micro = timedelta(microseconds=draw(st.integers(0, 999_999)))
    return zone, FIRST + draw(st.integers(0, int((LAST - FIRST) / SECOND))) * SECOND + micro


@pytest.mark.timeout(120 * TRIALS)
@settings(max_examples=150 * TRIALS, deadline=None)
@given(schedules(), zones_and_instants(), st.floats(0, 0.999))
def test_each_run_is_later_and_none_lies_between(
    schedule: str, where: tuple[str, datetime], part: float
) -> None:
    zone, after = where
    for _ in range(4):
        found = next_after(schedule, after, time_zone=zone)
        assert found is not None
        assert found > after
        between = after + (found - after) * part
        assert next_after(schedule, between, time_zone=zone) == found
        assert next_after(schedule, found - timedelta.resolution, time_zone=zone) == found
        after = found


@settings(max_examples=100 * TRIALS, deadline=None)
@given(schedules(), zones_and_instants(), st.integers(0, 40), st.integers(0, 10**6))
def test_the_latest_is_the_one_that_a_walk_finds(
    schedule: str, where: tuple[str, datetime], count: int, beyond: int
) -> None:
    zone, after = where
    *_, last, following = occurrences(schedule, after, time_zone=zone, limit=count + 2)
    first = next_after(schedule, after, time_zone=zone)
    assert first is not None
    until = last + (following - last) * (beyond / 10**6) - timedelta.resolution
    until = max(last, until)
    assert latest_until(schedule, first, until, time_zone=zone) == last
    assert latest_until(schedule, first, following + SECOND, time_zone=zone, end=until) == last


@settings(max_examples=300, deadline=None)
@given(schedules())
def test_the_canonical_text_is_canonical(schedule: str) -> None:
    assert as_cron(schedule) == schedule
    assert as_cron(f" {schedule.lower().replace(' ', '  ')} ") == schedule
    assert len(schedule) <= LONGEST_TEXT


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789*/-,?LW#MONJA @every", max_size=30))
@example("* * * * * 99999999999999999999999999999999#1")
@example("0 " + "9" * 5000 + " * * * *")
@example("@every " + "9" * 5000 + "s")
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        written = as_cron(text)
    except InvalidSchedule as refused:
        reason = str(refused)
    else:
        reason = repr(text)
        assert as_cron(written) == written
        assert describe(written)
        assert next_after(written, FIRST) is not None
    assert repr(text) in reason


def test_a_long_outage_costs_few_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    evaluate = timeline._next
    monkeypatch.setattr(timeline, "_next", lambda *args: calls.append(args) or evaluate(*args))
    found = latest_until("* * * * * *", at("2016-01-01"), at("2026-01-01"), time_zone="Europe/Berlin")
    assert found == at("2026-01-01")
    assert len(calls) <= 30


def test_threads_can_share_a_schedule() -> None:
    """An evaluation leaves no trace in what is cached: croniter would note the time it was asked for."""
    cron = read_cron("0 */7 3-5 * * *")
    clock, *_ = wall._clock(cron.seconds, cron.minutes, cron.hours)
    before = dict(vars(clock))
    assert next_after(cron.text, at("2026-05-01 03:07")) == at("2026-05-01 03:14")
    assert wall._clock(cron.seconds, cron.minutes, cron.hours)[0] is clock
    assert vars(clock) == before


def test_two_schedules_that_read_the_same_run_at_the_same_times() -> None:
    fields = [words.split() for words in VOCABULARY]
    rng, meanings = random.Random(1), {}
    for _ in range(4000):
        text = " ".join(rng.choice(field) for field in fields)
        meaning = wall_only.meaning(read_schedule(text))
        assert meanings.setdefault(describe(text), meaning) == meaning, text
    assert 2000 < len(meanings) < 3900


VOCABULARY = (
    "0 0 0 30 */30 * 0,20,40",
    "0 0 30 */15 0,15,30,45 * 5-10 0,30 7/20 2-58/20",
    "* 3 */2 1-23/2 9-17 3,15 */12 0-23 0,12 22-3",
    "* * * 1 L LW 15W L-2 L-1W LW-2 1,15 1-31 */2",
    "* * * 1 6-8 JUL,JAN 1,7",
    "* * * 1 1-5 MON-FRI MON#1 1L 0,6 SAT-SUN 0-6 5-1",
)
