"""Schedules for those who do not speak cron: ``Every(minutes=15)``, ``Daily(at="03:00")``.

A builder is a value; its ``cron`` is the text that is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import time

from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule.cron import read_cron
from jobsaga.schedule.period import read_period

At = str | time
DaysOfWeek = str | Iterable[str]

_AT = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_FULL_NAMES = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")


class Builder:
    """What Every, Daily, Weekly and Monthly have in common."""

    cron: str


@dataclass(frozen=True, kw_only=True)
class Every(Builder):
    """Each so many ``hours``, ``minutes`` or ``seconds`` (one of them, a whole number).

    ``second``, ``minute`` and ``hour``: of a larger unit than the period, when it may run ("every 10 minutes in
    hour 12"); of its own unit, where the period starts ("every 2 hours, from hour 1 on"); of a smaller one, at
    which ("every hour at minute 30"). ``days``: only on these days of the week: "MON-FRI", ["Monday", "FRI"].

    A period that divides a minute, an hour or a day evenly follows the clock on the wall. Any other is counted
    by elapsed time from the start of the schedule, or from the Unix epoch if it has none, and cannot be
    restricted. Raises InvalidSchedule.
    """

    hours: int | None = None
    minutes: int | None = None
    seconds: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    days: DaysOfWeek | None = None
    cron: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _freeze_days(self)
        object.__setattr__(self, "cron", _every(self, _length(self)))


@dataclass(frozen=True)
class Daily(Builder):
    """Every day ``at`` a time: "03:00", "03:00:30" or a datetime.time. Raises InvalidSchedule."""

    at: At
    cron: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cron", read_cron(f"{_at(self.at)} * * *").text)


@dataclass(frozen=True)
class Weekly(Builder):
    """On ``days`` of the week ("MON", "Monday", "MON-FRI", ["MON", "THU"]) ``at`` a time ("03:00", "03:00:30"
    or a datetime.time). Raises InvalidSchedule.
    """

    days: DaysOfWeek
    at: At
    cron: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _freeze_days(self)
        object.__setattr__(self, "cron", read_cron(f"{_at(self.at)} * * {_days(self.days)}").text)


@dataclass(frozen=True)
class Monthly(Builder):
    """On a ``day`` of each month ``at`` a time ("03:00", "03:00:30" or a datetime.time).

    ``day`` is a number from 1 to 31 (a month that has no such day is left out), or what cron can say about the
    day of the month: "L" the last day, "LW" the last one from Monday to Friday, "15W", "1,15". Raises
    InvalidSchedule.
    """

    day: int | str
    at: At
    cron: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        day = self.day
        if not (_is_number(day) or isinstance(day, str)) or str(day).split() != [str(day)]:
            raise InvalidSchedule(
                f"Monthly(day={day!r}): the day is a number from 1 to 31, or a text such as 'L'."
            )
        object.__setattr__(self, "cron", read_cron(f"{_at(self.at)} {day} * *").text)


def _length(every: Every) -> int:
    """The period in seconds."""
    said = [
        (name, value, unit)
        for name, value, unit in (
            ("hours", every.hours, 3600),
            ("minutes", every.minutes, 60),
            ("seconds", every.seconds, 1),
        )
        if value is not None
    ]
    if len(said) != 1:
        raise InvalidSchedule(
            "Every() takes one of hours, minutes and seconds: every hour and a half is Every(minutes=90)."
        )
    name, value, unit = said[0]
    if not _is_number(value) or value < 1:
        raise InvalidSchedule(
            f"Every({name}={value!r}): a period is a whole number of {name}, and at least 1."
        )
    return value * unit


def _every(every: Every, length: int) -> str:
    given = {name: getattr(every, name) for name in ("hour", "minute", "second")}
    for (name, value), highest in zip(given.items(), (23, 59, 59), strict=True):
        if value is not None and not (_is_number(value) and 0 <= value <= highest):
            raise InvalidSchedule(f"Every({name}={value!r}): must be a whole number from 0 to {highest}.")
    days = "*" if every.days is None else _days(every.days)
    for own, unit, size in (("hour", 3600, 24), ("minute", 60, 60), ("second", 1, 60)):
        number, rest = divmod(length, unit)
        if rest == 0 and number < size and size % number == 0:
            return read_cron(f"{_time_fields(given, own, number)} * * {days}").text
    period = read_period(f"@every {length}s")
    if every.days is not None or any(value is not None for value in given.values()):
        raise InvalidSchedule(
            f"{every!r}: a period of {period.length} does not divide a day, an hour or a minute evenly, so it is "
            "counted by elapsed time and cannot be restricted to days, hours, minutes or seconds."
        )
    return period.text


def _time_fields(given: dict[str, int | None], own: str, number: int) -> str:
    """Second, minute and hour: smaller units than the period's own are fixed, larger ones free."""
    written: dict[str, str] = {}
    smaller = False
    for name in ("hour", "minute", "second"):
        value = given[name]
        if name == own:
            if value is not None and value >= number:
                raise InvalidSchedule(
                    f"Every(): {name}={value} is where a period of {number} {own}s starts, so it must be less "
                    "than that."
                )
            written[name] = f"{value or 0}/{number}"
            smaller = True
        elif smaller:
            written[name] = str(value or 0)
        else:
            written[name] = "*" if value is None else str(value)
    return f"{written['second']} {written['minute']} {written['hour']}"


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _at(at: At) -> str:
    """Second, minute and hour of a time of the day."""
    if isinstance(at, time):
        if at.tzinfo is not None or at.microsecond:
            raise InvalidSchedule(
                f"at={at!r}: must be a whole second without a time zone. The schedule has one: time_zone=."
            )
        return f"{at.second} {at.minute} {at.hour}"
    match = _AT.fullmatch(at.strip()) if isinstance(at, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or int(match[3] or 0) > 59:
        raise InvalidSchedule(f"at={at!r}: must be a time such as '03:00' or '03:00:30', or a datetime.time.")
    return f"{int(match[3] or 0)} {int(match[2])} {int(match[1])}"


def _freeze_days(builder: Every | Weekly) -> None:
    """A list of days as a tuple, so that the builder can be hashed and nobody changes it."""
    days = builder.days
    if days is not None and not isinstance(days, str):
        try:
            object.__setattr__(builder, "days", tuple(days))
        except TypeError:
            raise InvalidSchedule(_bad_day(days)) from None


def _days(days: DaysOfWeek) -> str:
    """Days of the week as a field of a cron text."""
    items = days.split(",") if isinstance(days, str) else list(days)
    if not items:
        raise InvalidSchedule("days=[]: there must be at least one day, or the schedule never runs.")
    return ",".join(_day(item) for item in items)


def _day(item: object) -> str:
    """One day, or a range of them."""
    if not isinstance(item, str):
        raise InvalidSchedule(_bad_day(item))
    names = [part.strip().upper() for part in item.split("-")]
    if len(names) > 2 or not all(name in _FULL_NAMES or name in _SHORT_NAMES for name in names):
        raise InvalidSchedule(_bad_day(item))
    return "-".join(name[:3] for name in names)


def _bad_day(value: object) -> str:
    return (
        f"{value!r} is no day of the week: write names such as 'MON', 'Monday' or 'MON-FRI'. Numbers are not taken, "
        "because Monday is 0 in Python and 1 in cron."
    )


_SHORT_NAMES = frozenset(name[:3] for name in _FULL_NAMES)
