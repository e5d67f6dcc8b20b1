"""The two kinds of number that options and settings are made of, checked at the door.

Both functions raise ``ValueError`` with a predicate ("must be ..."); the caller puts the name in front of it.
"""

from __future__ import annotations

from datetime import timedelta

Duration = timedelta | int | float
"""How users write a duration: a timedelta, or a number of seconds."""

LONGEST = timedelta(days=100 * 366)
"""Longer than this is a mistake, and would overflow a date."""


def as_duration(value: object, *, zero: bool = False) -> timedelta:
    """``value`` (seconds or a timedelta) as a timedelta; more than zero, or ``zero`` too when that is
    allowed.
    """
    if isinstance(value, bool) or not isinstance(value, timedelta | int | float):
        raise ValueError(f"must be a timedelta or a number of seconds, not {value!r}")
    try:
        duration = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (ValueError, OverflowError):
        raise ValueError(f"must be a finite number of seconds, not {value!r}") from None
    if duration < timedelta(0) or (duration == timedelta(0) and not zero):
        raise ValueError(f"must {'not be negative' if zero else 'be more than zero'}, not {value!r}")
    if duration > LONGEST:
        raise ValueError(f"must be less than a hundred years, not {value!r}")
    return duration


def as_count(value: object, *, minimum: int = 1) -> int:
    """``value`` as a whole number that is at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, not {value!r}")
    if value < minimum:
        raise ValueError(f"must be at least {minimum}, not {value!r}")
    return value
