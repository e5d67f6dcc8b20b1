"""Which days of a month a schedule means.

A day is chosen by two fields, the day of the month and the day of the week. A field that is ``*`` or ``?``
leaves the choice to the other one; when both restrict, a day that either of them means is meant, as in cron.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobsaga.schedule.fields import DAY_OF_MONTH, DAY_OF_WEEK, Field

_FROM_THE_END = re.compile(r"L(-(?P<before>\d{1,3}))?(?P<weekday>W)?", re.ASCII)
_LAST_WEEKDAY = re.compile(r"LW(-(?P<before>\d{1,3}))?", re.ASCII)
_NEAREST = re.compile(r"(?P<day>\d{1,3})W", re.ASCII)
_NTH = re.compile(r"(?P<weekday>\w+?)(L|#(?P<nth>\w+))", re.ASCII)

MOST_BEFORE = 30
MOST_NTH = 5


@dataclass(frozen=True)
class Month:
    """A month of a year: how many days it has, and the weekday of its first (0 is Sunday)."""

    first: int
    last: int

    @classmethod
    def of(cls, year: int, month: int) -> Month:
        """The one of the calendar."""
        monday_based, last = monthrange(year, month)
        return cls((monday_based + 1) % 7, last)

    def weekday(self, day: int) -> int:
        """0 for Sunday ... 6 for Saturday."""
        return (self.first + day - 1) % 7

    def nearest_weekday(self, day: int) -> int:
        """The day from Monday to Friday that is nearest to ``day`` in this month."""
        weekday = self.weekday(day)
        if weekday == 6:  # Saturday
            return day - 1 if day > 1 else day + 2
        if weekday == 0:
            return day + 1 if day < self.last else day - 2
        return day


@dataclass(frozen=True)
class FromTheEnd:
    """``L``, ``L-3``, and with a W the day from Monday to Friday that is nearest to it."""

    before: int
    weekday: bool

    def days(self, month: Month) -> Iterator[int]:
        """The day it means in ``month``, if there is one."""
        day = month.last - self.before
        if day >= 1:
            yield month.nearest_weekday(day) if self.weekday else day


@dataclass(frozen=True)
class LastWeekday:
    """``LW``: the last day from Monday to Friday; ``LW-3``: three days before it, but never before the 1st."""

    before: int

    def days(self, month: Month) -> Iterator[int]:
        """The day it means in ``month``."""
        yield max(1, month.nearest_weekday(month.last) - self.before)


@dataclass(frozen=True)
class Nearest:
    """``15W``: the day from Monday to Friday nearest to the 15th, of the same month. A month without that day
    is left out.
    """

    day: int

    def days(self, month: Month) -> Iterator[int]:
        """The day it means in ``month``, if there is one."""
        if self.day <= month.last:
            yield month.nearest_weekday(self.day)


@dataclass(frozen=True)
class Nth:
    """``MON#2``: the second Monday of the month; ``MONL``: the last one (``nth`` is None)."""

    weekday: int
    nth: int | None

    def days(self, month: Month) -> Iterator[int]:
        """The day it means in ``month``, if there is one."""
        first = (self.weekday - month.first) % 7 + 1
        every = range(first, month.last + 1, 7)
        if self.nth is None:
            yield every[-1]
        elif self.nth <= len(every):
            yield every[self.nth - 1]


Special = FromTheEnd | LastWeekday | Nearest | Nth


@dataclass(frozen=True)
class DayField:
    """What one of the two day fields says. ``values`` are plain numbers, 0 to 6 in the day of the week."""

    text: str
    values: frozenset[int]
    special: tuple[Special, ...] = ()

    @property
    def restricts(self) -> bool:
        """Whether it says anything."""
        return self.text != "*"


@dataclass(frozen=True)
class Days:
    """Both day fields."""

    of_month: DayField
    of_week: DayField

    def days(self, month: Month) -> list[int]:
        """The days that are meant in ``month``, in order."""
        every = range(1, month.last + 1)
        if not self.of_month.restricts and not self.of_week.restricts:
            return list(every)
        found = {
            day for special in (*self.of_month.special, *self.of_week.special) for day in special.days(month)
        }
        if self.of_month.restricts:
            found.update(self.of_month.values.intersection(every))
        if self.of_week.restricts:
            found.update(day for day in every if month.weekday(day) in self.of_week.values)
        return sorted(found)


def read_day_of_month(text: str) -> DayField:
    """The fourth field of a cron text."""
    return _read(text, DAY_OF_MONTH, _special_day_of_month)


def read_day_of_week(text: str) -> DayField:
    """The last field of a cron text."""
    return _read(text, DAY_OF_WEEK, _special_day_of_week)


_Written = tuple[str, Special]


def _read(text: str, field: Field, special: Callable[[str], _Written | None]) -> DayField:
    written: list[str] = []
    values: set[int] = set()
    specials: list[Special] = []
    for item in text.split(",") if text != "?" else ["*"]:
        found = special(item)
        if found is not None:
            written.append(found[0])
            specials.append(found[1])
        else:
            canonical, plain = field.read_item(item)
            written.append(canonical)
            values |= plain
    if len(written) > 1 and "*" in written:
        raise ValueError("has a '*' in a list: the other values change nothing")
    return DayField(",".join(written), frozenset(values), tuple(specials))


def _special_day_of_month(item: str) -> _Written | None:
    if match := _NEAREST.fullmatch(item):
        day = DAY_OF_MONTH.value(match["day"])
        return f"{day}W", Nearest(day)
    if match := _LAST_WEEKDAY.fullmatch(item):
        before = _before(item, match["before"])
        return f"LW{_minus(before)}", LastWeekday(before)
    if match := _FROM_THE_END.fullmatch(item):
        before = _before(item, match["before"])
        weekday = match["weekday"] is not None
        return f"L{_minus(before)}{'W' if weekday else ''}", FromTheEnd(before, weekday)
    return None


def _special_day_of_week(item: str) -> _Written | None:
    match = _NTH.fullmatch(item)
    if match is None:
        if item == "L":
            raise ValueError("has 'L', which does not say the last of which day: write SATL or 6L")
        return None
    name = match["weekday"]
    weekday = DAY_OF_WEEK.value(name)
    written = name if name in DAY_OF_WEEK.names else str(weekday)
    if match["nth"] is None:
        return f"{written}L", Nth(weekday % 7, None)
    nth = match["nth"]
    if not nth.isdecimal() or not 1 <= int(nth) <= MOST_NTH:
        raise ValueError(f"has {item!r}: after the '#' comes which one of the month, 1 to {MOST_NTH}")
    return f"{written}#{int(nth)}", Nth(weekday % 7, int(nth))


def _before(item: str, digits: str | None) -> int:
    before = int(digits or 0)
    if before > MOST_BEFORE:
        raise ValueError(f"has {item!r}: it can be at most {MOST_BEFORE} days before the last one")
    return before


def _minus(before: int) -> str:
    return f"-{before}" if before else ""
