"""Samples of a job's progress: how fast it is, and when it will be done.

A job keeps at most 16 of them, each a time (seconds since 1970) and a value. When there are more, every second one
goes, and from then on new ones are as far apart. So an attempt of any length is covered evenly, and most reports of
progress change nothing here and need not be written. A value that goes back begins anew; so does each attempt, since
nobody worked in between. The newest progress is the job's own, and is added when they are read (``upto``).

The rate is the mean of two: the rate since the first sample, and the rate in the later half of the time. The first
makes it steady, the second lets it follow a job that became slower or faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

MOST = 16
SOONEST = 0.01
"""Seconds between two samples at least."""

Sample = list[float]
"""[time, value]: as JSON has it."""


def add(samples: list[Sample], at: datetime, value: float) -> list[Sample]:
    """These samples and another one, thinned if there are too many; the very same list if it comes too soon."""
    now = at.timestamp()
    if not samples or value < samples[-1][1]:
        return [[round(now, 3), value]]
    usual = (samples[-1][0] - samples[0][0]) / max(1, len(samples) - 1)
    if now - samples[-1][0] < max(0.9 * usual, SOONEST):
        return samples
    more = [*samples, [round(now, 3), value]]
    return more if len(more) <= MOST else [*more[:-1:2], more[-1]]


def upto(samples: Sequence[Sample], at: datetime | None, value: float | None) -> list[Sample]:
    """The samples and the newest progress."""
    if at is None or value is None:
        return list(samples)
    now = round(
        at.timestamp(), 3
    )  # as samples are: or the last one would be its own successor, and stand still
    return list(samples) if samples and now <= samples[-1][0] else [*samples, [now, value]]


def rate(samples: Sequence[Sample]) -> float | None:
    """How much the value grows per second; None while that cannot be known."""
    if len(samples) < 2 or samples[-1][0] <= samples[0][0]:
        return None
    first, last = samples[0], samples[-1]
    middle = (first[0] + last[0]) / 2
    recent = max((each for each in samples if each[0] <= middle), key=lambda each: each[0])
    return (_slope(first, last) + _slope(recent, last)) / 2


def eta(samples: Sequence[Sample], limit: float | None, now: datetime) -> datetime | None:
    """When the value will be at its limit; None while that cannot be known.

    A job that should be done by now has become slower than its samples say: then the time until now counts.
    """
    speed = rate(samples)
    if limit is None or not speed or speed < 0:
        return None
    at, value = samples[-1]
    left = limit - value
    if left <= 0:
        return now
    end = at + left / speed
    if end <= now.timestamp():
        slower = _slope(samples[0], [now.timestamp(), value])
        end = now.timestamp() + left / slower if slower > 0 else end
    try:
        return now + timedelta(seconds=max(0.0, end - now.timestamp()))
    except OverflowError:
        return None


def _slope(one: Sample, two: Sample) -> float:
    return (two[1] - one[1]) / (two[0] - one[0])
