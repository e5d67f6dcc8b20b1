"""The next time by the clock on the wall, which knows no time zone and no change of the clock.

The only module that knows croniter. It is asked for times of the day only, in numbers that were read here:
programs, and versions of croniter, disagree about steps, equal ranges, and how the two day fields go together,
and about a list of numbers they do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from datetime import MAXYEAR, date, datetime, timedelta
from functools import lru_cache

from croniter import croniter

from jobsaga.schedule.cron import Cron

ONE_SECOND = timedelta(seconds=1)

_ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 - a clock on the wall has no zone


def next_on_the_wall(cron: Cron, after: datetime) -> datetime | None:
    """The first time that ``cron`` means after ``after``, both as read off a wall; None: the calendar ends."""
    clock = _clock(cron.seconds, cron.minutes, cron.hours)
    for day in _dates(cron, after.date()):
        begin = max(after, datetime(day.year, day.month, day.day) - ONE_SECOND)  # noqa: DTZ001
        # A copy, because croniter notes the time it was asked for in itself, and threads share the cached one.
        found: datetime = copy(clock).get_next(datetime, start_time=begin)
        if found.date() == day:
            return found
    return None


def _dates(cron: Cron, first: date) -> Iterator[date]:
    """The dates from ``first`` on on which ``cron`` runs."""
    for year in range(first.year, MAXYEAR):
        for month in range(first.month if year == first.year else 1, 13):
            for day in cron.days(year, month):
                if (found := date(year, month, day)) >= first:
                    yield found


@lru_cache(maxsize=2048)
def _clock(seconds: frozenset[int], minutes: frozenset[int], hours: frozenset[int]) -> croniter:
    fields = [",".join(map(str, sorted(values))) for values in (seconds, minutes, hours)]
    return croniter(" ".join((*fields, "*", "*", "*")), _ANY_TIME, second_at_beginning=True)
