"""What a schedule should do, by other means than ours: cronsim, and a referee that goes through the days.

cronsim reads the expression and evaluates it. Where its rules are not ours on purpose, the expression it is
given says what ours means:

stars in day fields
    cronsim, as Debian's cron, lets ``*/2`` in one day field restrict the other one. Here only a bare ``*`` does:
    it is given ``1-31/2``.
a step from a day of the week
    The week of cronsim ends with a second Sunday (7): ``1/2`` are 1, 3, 5 and 7. Here it ends on Saturday: it is
    given ``1-6/2``.
fixed time or interval
    cronsim looks for a star at the beginning of the minute or the hour, and with six fields it knows intervals
    only. Here a step of more than 1 counts too, as does a field with all its values, with six fields as with
    five. So intervals are given with six fields, and fixed times with five; and a fixed time with seconds is
    asked for on the wall, and put on the time line by the rule: the first of two times, or the end of the gap.

Where the two still differ, the referee decides: it tries each time of each hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, product
from zoneinfo import ZoneInfo

from cronsim import CronSim

FIRST = datetime(2010, 1, 1, tzinfo=UTC)
LAST = datetime(2020, 1, 1, tzinfo=UTC)

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Oracle:
    """One cron text in one zone."""

    def __init__(self, text: str, zone: str) -> None:
        fields = text.split()
        second, minute, hour, of_month, month, of_week = fields if len(fields) == 6 else ["0", *fields]
        of_month = re.sub(r"\*/(\d+)", r"1-31/\1", of_month)
        of_week = re.sub(r"\*/(\d+)", r"0-6/\1", of_week)
        of_week = re.sub(r"(?<![-\d])(\d)/(\d+)", r"\1-6/\2", of_week)
        rest = f"{minute} {hour} {of_month} {month} {of_week}"
        self.zone = ZoneInfo(zone)
        self.parsed = CronSim(f"{second} {rest}", datetime(2000, 1, 1))
        self.by_interval = (
            re.search(r"\*|/(?!1\b)", f"{minute} {hour}") is not None
            or len(self.parsed.minutes) == 60
            or len(self.parsed.hours) == 24
        )
        self.on_the_wall = not self.by_interval and second != "0"
        self.text = rest if not self.by_interval and second == "0" else f"{second} {rest}"

    def occurrences(self, after: datetime, count: int) -> list[datetime]:
        """What cronsim says."""
        local = after.astimezone(self.zone)
        if not self.on_the_wall:
            return [found.astimezone(UTC) for found in islice(CronSim(self.text, local), count)]
        walls = CronSim(self.text, local.replace(tzinfo=None))
        return list(
            islice(distinct(instant for wall in walls if (instant := self.fixed(wall)) > after), count)
        )

    def referee(self, after: datetime, count: int) -> list[datetime]:
        """What is right, by trying each time of each hour in which cronsim says that it runs."""
        found: set[datetime] = set()
        enough = 0
        for hour in self.hours_from(after.astimezone(self.zone).replace(tzinfo=None) - 3 * HOUR):
            found.update(instant for instant in self.instants_of(hour) if instant > after)
            enough += len(found) >= count
            if enough == 3:  # the second time of an hour can be later than the first time of the next one
                break
        return sorted(found)[:count]

    def hours_from(self, wall: datetime) -> Iterator[datetime]:
        hour = wall.replace(minute=0, second=0, microsecond=0)
        while True:
            if hour.month not in self.parsed.months or not self.parsed.match_day(hour.date()):
                hour = hour.replace(hour=0) + DAY
                continue
            if hour.hour in self.parsed.hours:
                yield hour
            hour += HOUR

    def instants_of(self, hour: datetime) -> Iterator[datetime]:
        for minute, second in product(self.parsed.minutes, self.parsed.seconds):
            wall = hour.replace(minute=minute, second=second)
            if not self.by_interval:
                yield self.fixed(wall)
                continue
            for fold in (0, 1):
                instant = wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
                if instant.astimezone(self.zone).replace(tzinfo=None) == wall:
                    yield instant

    def fixed(self, wall: datetime) -> datetime:
        """The first time the clock shows ``wall``, or if it never does the first time it shows a later one."""
        instant = wall.replace(tzinfo=self.zone).astimezone(UTC)
        if instant.astimezone(self.zone).replace(tzinfo=None) == wall:
            return instant
        earlier = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        return next(change for change in changes(self.zone.key) if change > earlier)


def distinct(values: Iterator[datetime]) -> Iterator[datetime]:
    last = None
    for value in values:
        if value != last:
            yield value
        last = value


@cache
def changes(zone: str) -> list[datetime]:
    """Each instant of the years compared at which the clock of the zone was set."""
    where = ZoneInfo(zone)

    def offset(instant: datetime) -> timedelta | None:
        return instant.astimezone(where).utcoffset()

    quarter_days = [FIRST + number * HOUR * 6 for number in range(int((LAST - FIRST) / (HOUR * 6)) + 400)]
    return [
        next(minute for number in range(361) if offset(minute := one + number * MINUTE) == offset(other))
        for one, other in pairwise(quarter_days)
        if offset(one) != offset(other)
    ]
