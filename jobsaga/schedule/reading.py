"""What a schedule means, in plain words.

It says nothing that is not so. What has no good words is told field by field, in numbers. Values count here,
not how they are written: ``0,15,30,45`` reads as ``*/15`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from jobsaga.schedule.canonical import read_schedule
from jobsaga.schedule.cron import Cron
from jobsaga.schedule.days import DayField, LastWeekday, Nearest, Nth, Special
from jobsaga.schedule.fields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH, SECOND, Field
from jobsaga.schedule.period import Period

MOST_TIMES = 6
"""So many times of the day are listed; more are described."""

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NTH = ("first", "second", "third", "fourth", "fifth")
MOST_IN_A_MONTH = 25
"""So many days before its last weekday every month has."""

_WORKDAY = "weekday (Monday to Friday)"


def describe(cron: str, time_zone: str = "UTC") -> str:
    """What a schedule means: "every 15 minutes on Monday, Wednesday and Friday", "at 03:00 every day
    (Europe/Berlin)". The time zone is named when it is not UTC. Raises InvalidSchedule.
    """
    schedule = read_schedule(cron)
    if isinstance(schedule, Period):
        return _period(schedule)
    when, once_a_day = _times(schedule)
    days = _days(schedule) or f"{'every day' if once_a_day else ''}{_in_months(schedule)}".strip()
    zone = "" if time_zone == "UTC" else f"({time_zone})"
    return " ".join(part for part in (when, days, zone) if part)


def _period(period: Period) -> str:
    seconds = period.length // timedelta(seconds=1)
    for unit, name in ((3600, "hour"), (60, "minute")):
        if seconds % unit == 0:
            return _each(seconds // unit, name)
    return _each(seconds, "second")


def _each(number: int, unit: str) -> str:
    return f"every {unit}" if number == 1 else f"every {number} {unit}s"


# -- the time of the day -----------------------------------------------------------------------------


def _times(cron: Cron) -> tuple[str, bool]:
    """When on a day, and whether "every day" has to follow if all days are meant."""
    seconds, minutes, hours = sorted(cron.seconds), sorted(cron.minutes), sorted(cron.hours)
    if len(seconds) * len(minutes) * len(hours) <= MOST_TIMES:
        return f"at {_list(_clock(h, m, s) for h in hours for m in minutes for s in seconds)}", True
    if len(minutes) == len(seconds) == 1:
        return _by_the_hour(hours, minutes[0], seconds[0])
    if len(seconds) == 1:
        lead = _within(minutes, MINUTE, "hour" if cron.hours == HOUR.all else "")
        at = f"at second {seconds[0]}" if seconds[0] else ""
    else:
        lead = _within(seconds, SECOND, "minute" if cron.minutes == MINUTE.all else "")
        at = "" if cron.minutes == MINUTE.all else f"in {_numbered(minutes, MINUTE)}"
    return " ".join(part for part in (lead, at, _in_hours(hours)) if part), False


def _by_the_hour(hours: list[int], minute: int, second: int) -> tuple[str, bool]:
    """The same minute and second of many hours."""
    step = _step(hours, HOUR)
    if step == 1:
        past = [f"minute {minute}"] if minute or second else []
        past += [f"second {second}"] if second else []
        return f"every hour{' at ' if past else ''}{', '.join(past)}", False
    if step is not None:
        return f"every {step} hours from {_clock(hours[0], minute, second)}", False
    if _is_run(hours):
        first, last = _clock(hours[0], minute, second), _clock(hours[-1], minute, second)
        return f"every hour from {first} to {last}", True
    return f"at {_list(_clock(hour, minute, second) for hour in hours)}", True


def _within(values: list[int], field: Field, larger: str) -> str:
    """Many values of a field: "every 15 minutes", "at minutes 5, 7 and 20 of every hour"."""
    step = _step(values, field)
    if step is None:
        return f"at {_numbered(values, field)}{f' of every {larger}' if larger else ''}"
    start = f" from {field.title} {values[0]}" if values[0] else ""
    return f"{_each(step, field.title)}{start}"


def _in_hours(hours: list[int]) -> str:
    if len(hours) == HOUR.size:
        return ""
    if _is_run(hours):
        return f"between {hours[0]:02}:00 and {hours[-1]:02}:59"
    return f"in {_numbered(hours, HOUR)}"


def _numbered(values: list[int], field: Field) -> str:
    return f"{field.title}{'s' if len(values) > 1 else ''} {_runs(values, str)}"


def _clock(hour: int, minute: int, second: int) -> str:
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


# -- the days ----------------------------------------------------------------------------------------


def _days(cron: Cron) -> str:
    """On which days; empty if on all of them."""
    of_month, of_week = cron.chosen.of_month, cron.chosen.of_week
    if _says_all(of_month, DAY_OF_MONTH) or _says_all(of_week, DAY_OF_WEEK):
        return ""
    chosen: list[str] = []
    if of_month.restricts and of_month.values:
        chosen.append(f"the {_runs(sorted(of_month.values), _ordinal)}")
    chosen += [_special(each) for each in (*of_month.special, *of_week.special)]
    phrases: list[str] = []
    if chosen:
        month = "the month" if cron.months == MONTH.all else _months(cron)
        phrases.append(f"on {_list(chosen)} of {month}")
    if of_week.restricts and of_week.values:
        phrases.append(f"{_weekdays(of_week.values)}{_in_months(cron)}")
    return " and ".join(phrases)


def _says_all(field: DayField, values: Field) -> bool:
    """Whether it restricts in name only: it has every value, and so has the schedule every day."""
    return field.restricts and field.values == values.all


def _weekdays(values: Iterable[int]) -> str:
    ordered = sorted((value - 1) % 7 for value in values)  # a week begins on Monday
    names = [_WEEKDAYS[(value + 1) % 7] for value in ordered]
    if len(ordered) > 2 and _is_run(ordered):
        return f"from {names[0]} to {names[-1]}"
    return f"on {_list(names)}"


def _special(day: Special) -> str:
    """What comes before "of the month"."""
    if isinstance(day, Nth):
        which = "last" if day.nth is None else _NTH[day.nth - 1]
        return f"the {which} {_WEEKDAYS[day.weekday]}"
    if isinstance(day, Nearest):
        return f"the {_WORKDAY} nearest to the {_ordinal(day.day)}"
    before = {0: "", 1: "the day before "}.get(day.before, f"the {_ordinal(day.before)} day before ")
    if isinstance(day, LastWeekday):
        return f"{before}the last {_WORKDAY}{', or else the 1st' if day.before > MOST_IN_A_MONTH else ''}"
    if day.weekday:
        return f"the {_WORKDAY} nearest to {before}the last day"
    return f"{before}the last day"


def _months(cron: Cron) -> str:
    return _runs(sorted(cron.months), lambda month: _MONTHS[month - 1])


def _in_months(cron: Cron) -> str:
    if cron.months == MONTH.all:
        return ""
    return f" {'from' if _is_run(sorted(cron.months)) and len(cron.months) > 2 else 'in'} {_months(cron)}"


def _ordinal(number: int) -> str:
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


# -- lists -------------------------------------------------------------------------------------------


def _step(values: Sequence[int], field: Field) -> int | None:
    """The step that gives these values and comes out even at the field's end, if there is one."""
    step = field.size // len(values)
    even = len(values) > 1 and step * len(values) == field.size and values[0] < step
    return step if even and [*values] == [*range(values[0], field.high + 1, step)] else None


def _is_run(values: Sequence[int]) -> bool:
    return values[-1] - values[0] == len(values) - 1


def _runs(values: Sequence[int], word: Callable[[int], str]) -> str:
    """The values as a list, with three or more in a row as a range."""
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][-1] == value - 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    words: list[str] = []
    for run in runs:
        words += [f"{word(run[0])} to {word(run[-1])}"] if len(run) > 2 else map(word, run)
    return _list(words)


def _list(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
