"""The next time by the clock on the wall, which knows no time zone and no change of the clock.

The only module that knows croniter. croniter is asked for the next time of a day, in lists of numbers that were
read here: about steps, equal ranges and how the two day fields go together programs disagree, and versions of
croniter too; about a list of numbers they do not. Which days are meant is not its business, as it cannot say LW,
L-3, or L in a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from datetime import MAXYEAR, date, datetime, time, timedelta
from functools import lru_cache

from croniter import croniter

from jobsaga.schedule.cron import Cron

ONE_DAY = timedelta(days=1)

_A_MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001 - a clock on the wall has no zone


def next_on_the_wall(cron: Cron, after: datetime) -> datetime | None:
    """The first time that ``cron`` means after ``after``, both as read off a wall; None: the calendar ends."""
    clock, earliest, latest = _clock(cron.seconds, cron.minutes, cron.hours)
    today = after.date()
    day = next(_dates(cron, today if after.time() < latest else today + ONE_DAY), None)
    if day == today:
        # A copy, because croniter notes the time it was asked for in itself, and threads share the cached one.
        found: datetime = copy(clock).get_next(datetime, start_time=after)
        return found
    return None if day is None else datetime.combine(day, earliest)


def _dates(cron: Cron, first: date) -> Iterator[date]:
    """The dates from ``first`` on on which ``cron`` runs."""
    for year in range(first.year, MAXYEAR):
        for month in range(first.month if year == first.year else 1, 13):
            for day in cron.days(year, month):
                if (found := date(year, month, day)) >= first:
                    yield found


@lru_cache(maxsize=2048)
def _clock(
    seconds: frozenset[int], minutes: frozenset[int], hours: frozenset[int]
) -> tuple[croniter, time, time]:
    """Times of the day, the earliest of them and the latest."""
    fields = [",".join(map(str, sorted(values))) for values in (seconds, minutes, hours)]
    clock = croniter(" ".join((*fields, "*", "*", "*")), _A_MIDNIGHT, second_at_beginning=True)
    return clock, time(min(hours), min(minutes), min(seconds)), time(max(hours), max(minutes), max(seconds))
