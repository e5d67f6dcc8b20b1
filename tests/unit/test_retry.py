"""Retry policies: n retries are n + 1 runs, each after its own delay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsaga.exceptions import InvalidOptions, JobCancellation
from jobsaga.sagas.retry import Retry


def delays(policy: Retry, error: BaseException | None = None, chance: float = 0.0) -> list[float]:
    """The seconds before each retry, until the policy gives up."""
    found: list[float] = []
    while (delay := policy.delay(len(found), error, random=lambda: chance)) is not None:
        found.append(delay.total_seconds())
    return found


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (Retry.immediate(3), [0, 0, 0]),
        (Retry.interval(2, 30), [30, 30]),
        (Retry.interval(2, timedelta(seconds=0.5)), [0.5, 0.5]),
        (Retry.intervals(1, timedelta(minutes=1), 0), [1, 60, 0]),
        (Retry.incremental(4, 5, 2), [5, 7, 9, 11]),
        (Retry.incremental(2, 0, 1), [0, 1]),
        (Retry.exponential(6, 1, 10), [1, 2, 4, 8, 10, 10]),
        (Retry.exponential(1, 3, 3), [3]),
        (Retry.exponential(3, 1, timedelta(days=365)), [1, 2, 4]),
    ],
    ids=str,
)
def test_the_delay_before_each_retry(policy: Retry, seconds: list[float]) -> None:
    assert delays(policy) == seconds


def test_a_policy_that_is_spent_stays_spent() -> None:
    assert Retry.immediate(3).delay(3, None) is None
    assert Retry.immediate(3).delay(100, None) is None


def test_a_huge_number_of_retries_costs_nothing() -> None:
    policy = Retry.exponential(10**9, 1, 60)
    assert policy.delay(10**9 - 1, None, random=lambda: 0.0) == timedelta(seconds=60)
    assert len(policy.delays) < 10


@given(st.integers(0, 20), st.floats(0, 1), st.floats(0, 1))
def test_jitter_only_shortens(spent: int, jitter: float, chance: float) -> None:
    plain = Retry.exponential(50, 1, 100, jitter=0).delay(spent, None)
    mixed = Retry.exponential(50, 1, 100, jitter=jitter).delay(spent, None, random=lambda: chance)
    assert plain is not None
    assert mixed is not None
    assert plain * (1 - jitter) - timedelta(microseconds=1) <= mixed <= plain


def test_jitter_is_a_share_of_the_delay() -> None:
    policy = Retry.exponential(2, 10, 100, jitter=0.2)
    assert delays(policy, chance=1.0) == [8, 16]
    assert delays(policy, chance=0.5) == [9, 18]


def test_only_takes_subclasses_and_adds_up() -> None:
    policy = Retry.immediate(1).only(OSError).only(KeyError, ValueError)
    for error in (OSError(), ConnectionResetError(), KeyError(), UnicodeError()):
        assert policy.delay(0, error) == timedelta(0)
    assert policy.delay(0, TypeError()) is None


def test_ignore_wins_over_only() -> None:
    policy = Retry.immediate(1).only(OSError).ignore(FileNotFoundError)
    assert policy.delay(0, OSError()) == timedelta(0)
    assert policy.delay(0, FileNotFoundError()) is None
    assert Retry.immediate(1).ignore(ValueError).delay(0, TypeError()) == timedelta(0)
    assert Retry.immediate(1).ignore(JobCancellation).delay(0, JobCancellation()) is None


def test_a_fault_without_an_exception_is_matched_by_no_filter() -> None:
    assert Retry.immediate(1).delay(0, None) == timedelta(0)
    assert Retry.immediate(1).ignore(Exception).delay(0, None) == timedelta(0)
    assert Retry.immediate(1).only(Exception).delay(0, None) is None


def test_narrowing_makes_another_policy() -> None:
    policy = Retry.immediate(1)
    policy.only(OSError)
    assert policy == Retry.immediate(1)
    assert hash(policy) == hash(Retry.immediate(1))


@pytest.mark.parametrize(
    ("make", "args", "said"),
    [
        (Retry.immediate, (0,), "number of retries must be at least 1"),
        (Retry.immediate, (1.5,), "number of retries must be a whole number"),
        (Retry.interval, (-1, 5), "number of retries must be at least 1"),
        (Retry.interval, (1, -5), "delay must not be negative"),
        (Retry.interval, (1, "5"), "delay must be a timedelta or a number of seconds"),
        (Retry.intervals, (), "at least one delay"),
        (Retry.intervals, (1, -1), "delay 2 must not be negative"),
        (Retry.incremental, (3, 1, -1), "step must not be negative"),
        (Retry.incremental, (10**6, 1, 10**6), "last delay must be less than a hundred years"),
        (Retry.incremental, (10**12, 1, 10**6), "last delay must be less than a hundred years"),
        (Retry.exponential, (0, 1, 10), "number of retries must be at least 1"),
        (Retry.exponential, ("3", 1, 10), "number of retries must be a whole number"),
        (Retry.exponential, (3, 0, 10), "first must be more than zero"),
        (Retry.exponential, (3, 10, 1), "must not be less than first"),
        (Retry.exponential, (3, 1, 10, 1.5), "jitter must be a number from 0 to 1"),
        (Retry.exponential, (3, 1, 10, "a"), "jitter must be a number from 0 to 1"),
        (Retry.immediate(1).only, (5,), "take exception classes"),
        (Retry.immediate(1).ignore, (ValueError(),), "take exception classes"),
        (Retry.immediate(1).only, (int,), "take exception classes"),
    ],
)
def test_nonsense_is_refused(make: Any, args: tuple[Any, ...], said: str) -> None:
    with pytest.raises(InvalidOptions, match=said):
        make(*args)
