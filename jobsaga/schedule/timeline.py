"""When a schedule runs, as instants.

A fixed time, such as 02:30 each day, runs once on every day: when the clock is set back and it comes twice, the
first time; when the clock is set forward and it is skipped, as soon as the clock goes on. A schedule with a
``*`` or a step in its minutes or hours follows the time that passes: it runs in the hour that comes twice both
times, and not in the one that is skipped.

What is found is always later than what was asked for, in every zone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule.canonical import read_schedule
from jobsaga.schedule.cron import Cron
from jobsaga.schedule.period import Period
from jobsaga.schedule.wall import next_on_the_wall
from jobsaga.schedule.zones import ONE_SECOND, change_between, instants, on_the_wall, zone_of

_RESOLUTION = timedelta.resolution


def next_after(
    cron: str,
    after: datetime,
    *,
    time_zone: str = "UTC",
    start: datetime | None = None,
    end: datetime | None = None,
) -> datetime | None:
    """The first occurrence later than ``after``, not before ``start`` and not after ``end``, in UTC.

    None: there is none left. All times must have a time zone. ``start`` is also where a period
    ("@every 5400s") is counted from. Raises InvalidSchedule.
    """
    schedule = read_schedule(cron)
    zone = zone_of(time_zone)
    since = _aware("after", after)
    anchor = None if start is None else _aware("start", start)
    if anchor is not None:
        since = max(since, anchor - _RESOLUTION)
    found = _next(schedule, since, zone, anchor)
    if found is None or (end is not None and found > _aware("end", end)):
        return None
    return found


def latest_until(
    cron: str,
    first: datetime,
    until: datetime,
    *,
    time_zone: str = "UTC",
    start: datetime | None = None,
    end: datetime | None = None,
) -> datetime:
    """The last occurrence that is not later than ``until``, nor than ``end``. ``first`` must be an occurrence
    that is not later than both.

    It takes about 30 evaluations, however many occurrences lie between. Raises InvalidSchedule, and ValueError
    if ``first`` is too late.
    """
    schedule = read_schedule(cron)
    zone = zone_of(time_zone)
    anchor = None if start is None else _aware("start", start)
    latest, limit = _aware("first", first), _aware("until", until)
    if end is not None:
        limit = min(limit, _aware("end", end))
    if limit < latest:
        raise ValueError(f"The first occurrence ({first}) must not be later than {limit}.")
    beyond = limit
    while beyond - latest >= ONE_SECOND:
        middle = latest + (beyond - latest) / 2
        found = _next(schedule, middle, zone, anchor)
        if found is not None and found <= limit:
            latest = found
        else:
            beyond = middle
    return latest


def occurrences(
    cron: str,
    after: datetime,
    *,
    time_zone: str = "UTC",
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int,
) -> list[datetime]:
    """The next occurrences after ``after``, at most ``limit``, in order. Arguments as for next_after()."""
    found: list[datetime] = []
    while len(found) < limit:
        following = next_after(cron, after, time_zone=time_zone, start=start, end=end)
        if following is None:
            break
        found.append(following)
        after = following
    return found


def _next(schedule: Cron | Period, after: datetime, zone: tzinfo, anchor: datetime | None) -> datetime | None:
    try:
        if isinstance(schedule, Period):
            return schedule.next_after(after, anchor)
        return (_next_interval if schedule.by_interval else _next_fixed)(schedule, after, zone)
    except OverflowError:  # the calendar ends in the year 9999
        return None


def _next_fixed(cron: Cron, after: datetime, zone: tzinfo) -> datetime | None:
    wall = on_the_wall(after.replace(microsecond=0), zone)
    if wall.fold:
        # The times of this hour have all been, when they came first: go on where it ends.
        change = change_between(*instants(wall, zone), zone)
        wall = on_the_wall(change - ONE_SECOND, zone)
    found = next_on_the_wall(cron, wall)
    if found is None:
        return None
    first, second = instants(found, zone)
    if _skipped(first, found, zone):
        return change_between(first, second, zone)
    return first


def _next_interval(cron: Cron, after: datetime, zone: tzinfo) -> datetime | None:
    wall = on_the_wall(after.replace(microsecond=0), zone)
    this, again = instants(wall, zone)
    if not wall.fold and this < again:
        # This hour comes again. Its rest is first; then all of it.
        change = change_between(this, again, zone)
        rest = next_on_the_wall(cron, wall)
        if rest is not None and rest <= on_the_wall(change - ONE_SECOND, zone):
            return instants(rest, zone)[0]
        after, wall = change - ONE_SECOND, on_the_wall(change, zone) - ONE_SECOND
    while (found := next_on_the_wall(cron, wall)) is not None:
        first, second = instants(found, zone)
        if not _skipped(first, found, zone):
            return first if first > after else second
        wall = on_the_wall(change_between(first, second, zone), zone) - ONE_SECOND
    return None


def _skipped(instant: datetime, wall: datetime, zone: tzinfo) -> bool:
    return on_the_wall(instant, zone) != wall


def _aware(name: str, value: datetime) -> datetime:
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidSchedule(
            f"{name} must have a time zone, not {value!r}. In Django: timezone.make_aware(...)."
        )
    return value.astimezone(UTC)
