"""Samples, rate and ETA: few numbers, and a steady answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsaga.sagas import samples

START = datetime(2026, 1, 1, tzinfo=UTC)
Samples = list[list[float]]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def after(*seen: tuple[float, float]) -> Samples:
    """What is known of these (seconds, value)."""
    kept: Samples = []
    for seconds, value in seen:
        kept = samples.add(kept, at(seconds), value)
    return samples.upto(kept, *((at(seen[-1][0]), seen[-1][1]) if seen else (None, None)))


def steady(seconds: int, speed: float = 2) -> Samples:
    return after(*((second, second * speed) for second in range(seconds)))


def relative(kept: Samples) -> list[tuple[float, float]]:
    return [(moment - START.timestamp(), value) for moment, value in kept]


def test_up_to_sixteen_are_kept_as_they_come() -> None:
    assert relative(steady(16)) == [(second, second * 2) for second in range(16)]


def test_the_seventeenth_makes_every_second_one_go() -> None:
    assert relative(steady(17)) == [(second, second * 2) for second in range(0, 17, 2)]


@given(st.lists(st.tuples(st.floats(0.001, 10_000), st.floats(0, 1000)), max_size=300))
def test_first_and_last_stay_and_time_only_goes_on(steps: list[tuple[float, float]]) -> None:
    seconds = value = 0.0
    seen = [(0.0, 0.0)]
    for pause, growth in steps:
        seconds, value = seconds + pause, value + growth
        seen.append((seconds, value))
    kept = after(*seen)
    assert len(kept) <= samples.MOST + 1  # the last one is the job's own progress
    assert kept[0] == [START.timestamp(), 0]
    assert kept[-1][0] == pytest.approx(START.timestamp() + seconds, abs=0.02)
    assert all(one[0] < two[0] and one[1] <= two[1] for one, two in pairwise(kept))


@pytest.mark.parametrize("seconds", [50, 1000, 10_000])
def test_they_cover_the_whole_time_evenly(seconds: int) -> None:
    moments = [moment for moment, _ in relative(steady(seconds))]
    assert (moments[0], moments[-1]) == (0, seconds - 1)
    assert len(moments) >= 9
    steps = [two - one for one, two in pairwise(moments[:-1])]
    assert max(steps) < 1.6 * min(steps)
    assert moments[-1] - moments[-2] <= max(steps)


def test_a_value_that_goes_back_begins_anew() -> None:
    assert relative(after((0, 5), (1, 6), (2, 1))) == [(2, 1)]


def test_what_comes_too_soon_changes_nothing() -> None:
    kept: Samples = []
    changes = 0
    for second in range(10_000):
        after_this = samples.add(kept, at(second), second)
        changes += after_this is not kept
        kept = after_this
    assert changes < 120


def test_of_one_moment_the_first_value_counts() -> None:
    assert relative(after((0, 1), (1, 2), (1, 3))) == [(0, 1), (1, 2)]


def test_the_rate_of_a_steady_job() -> None:
    for seconds in (2, 5, 17, 100, 3600):
        assert samples.rate(steady(seconds)) == pytest.approx(2)
        assert samples.eta(steady(seconds), 10_000, at(seconds - 1)) == at(5000)


@pytest.mark.parametrize("kept", [[], after((0, 1)), after((0, 1), (0, 5))])
def test_nobody_knows(kept: Samples) -> None:
    assert samples.rate(kept) is None
    assert samples.eta(kept, 100, at(10)) is None


def test_without_a_limit_there_is_a_rate_and_no_end() -> None:
    assert samples.rate(steady(5)) == 2
    assert samples.eta(steady(5), None, at(10)) is None


def test_a_job_that_stands_still_from_the_start_has_no_end() -> None:
    still = after((0, 5), (1, 5), (2, 5))
    assert samples.rate(still) == 0
    assert samples.eta(still, 100, at(3)) is None


def test_the_rate_follows_a_job_that_became_slower_but_does_not_jump() -> None:
    """100 s at 10 per second, then 1 per second."""
    fast = [(float(second), second * 10.0) for second in range(101)]
    slow = [(100.0 + second, 1000.0 + second) for second in range(1, 301)]
    rates = [samples.rate(after(*fast, *slow[:seconds])) or 0 for seconds in (0, 1, 30, 100, 300)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(10)
    assert rates[1] > 9
    assert rates[-1] < 3


def test_a_job_that_is_overdue_has_become_slower() -> None:
    """2 per second for 10 s, then nothing: after 100 s that is 0.2 per second."""
    kept = after((0, 0), (10, 20))
    assert samples.eta(kept, 40, at(15)) == at(20)
    late = samples.eta(kept, 40, at(100))
    assert late == at(200)


def test_a_job_at_its_limit_is_done() -> None:
    assert samples.eta(after((0, 0), (1, 10)), 10, at(5)) == at(5)


def test_an_end_beyond_all_time_is_not_known() -> None:
    assert samples.eta(after((0, 0), (1e6, 1e-300)), 1e300, at(1e6)) is None


def test_the_newest_progress_that_is_the_last_sample_is_not_added_again() -> None:
    """A sample's time is rounded: the same moment, unrounded, made a rate of zero."""
    at = datetime(2026, 1, 1, microsecond=400, tzinfo=UTC)
    kept = samples.add([], at, 3)
    assert samples.upto(kept, at, 3) == kept
    assert samples.rate(samples.upto(kept, at, 3)) is None
