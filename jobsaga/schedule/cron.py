"""A cron text, read: what its six fields say, and whether that can be.

Reading is cached: a schedule is read thousands of times, and there are few of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule.days import Days, Month, read_day_of_month, read_day_of_week
from jobsaga.schedule.fields import HOUR, MINUTE, MONTH, SECOND

FIELDS = 6
LONGEST_TEXT = 250
"""Characters of a canonical text: what a column must hold."""

_EVERY_KIND_OF_YEAR = range(2000, 2028)
"""28 years have each combination of a length and a first weekday that a year can have."""


@dataclass(frozen=True, eq=False)
class Cron:
    """A cron text. ``text`` is its canonical form."""

    text: str
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    chosen: Days
    by_interval: bool
    """Whether it follows the time that passes when the clock is set forward or back: a ``*`` or a step in the
    minute or the hour, as Debian's cron tells interval jobs from those of a fixed time."""

    def days(self, year: int, month: int) -> list[int]:
        """The days of a month on which it runs, in order."""
        return self.chosen.days(Month.of(year, month)) if month in self.months else []


@lru_cache(maxsize=2048)
def read_cron(text: str) -> Cron:
    """A cron text of six fields, seconds first, or of five. Raises InvalidSchedule."""
    fields = text.upper().split()
    if len(fields) == FIELDS - 1:
        fields.insert(0, "0")
    if len(fields) != FIELDS:
        raise InvalidSchedule(_wrong_number(text, len(fields)))
    _check_length(text, " ".join(fields))
    second, seconds = _field(text, "second", SECOND.read, fields[0])
    minute, minutes = _field(text, "minute", MINUTE.read, fields[1])
    hour, hours = _field(text, "hour", HOUR.read, fields[2])
    of_month = _field(text, "day-of-month", read_day_of_month, fields[3])
    month, months = _field(text, "month", MONTH.read, fields[4])
    of_week = _field(text, "day-of-week", read_day_of_week, fields[5])
    cron = Cron(
        text=" ".join((second, minute, hour, of_month.text, month, of_week.text)),
        seconds=seconds,
        minutes=minutes,
        hours=hours,
        months=months,
        chosen=Days(of_month, of_week),
        by_interval="/" in minute + hour or minutes == MINUTE.all or hours == HOUR.all,
    )
    _check_length(text, cron.text)
    _check_days(text, cron)
    return cron


def _field(text: str, title: str, read: Callable[[str], Any], part: str) -> Any:
    try:
        return read(part)
    except ValueError as error:
        raise InvalidSchedule(f"The schedule {text!r} cannot be used: its {title} field {error}.") from None


def _check_length(text: str, written: str) -> None:
    if len(written) > LONGEST_TEXT:
        raise InvalidSchedule(
            f"The schedule {text!r} cannot be used: it has more than {LONGEST_TEXT} characters. Write ranges and "
            "steps instead of lists."
        )


def _check_days(text: str, cron: Cron) -> None:
    if not any(cron.days(year, month) for year in _EVERY_KIND_OF_YEAR for month in cron.months):
        raise InvalidSchedule(
            f"The schedule {text!r} would never run: none of its months ever has one of its days. Write L for the "
            "last day of each month."
        )


def _wrong_number(text: str, found: int) -> str:
    asked = "second minute hour day-of-month month day-of-week"
    if found == FIELDS + 1:
        return (
            f"The schedule {text!r} has seven fields; there is none for the year. Write six ({asked}), and say "
            "from when to when it runs with start and end."
        )
    return (
        f"The schedule {text!r} has {found} fields. Write six ({asked}), or the last five of them, as in "
        "'0 0 3 * * *' for every day at 03:00."
    )
