"""Times, durations and counts as the sentences say them. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: Seconds and name of a unit, and of the next smaller one.
UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
LONGEST_REASON = 120


def moment(at: datetime, now: datetime, zone: tzinfo) -> str:
    """A time in this zone: 03:00, 10:02:33; with its date if that is not today's."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    time = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    return time if local.date() == today else f"{local:%Y-%m-%d} {time}"


def span(duration: timedelta) -> str:
    """A duration: 24 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. Less than a second is 0 s."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    size, name, small, small_name = next(each for each in UNITS if seconds >= each[0])
    rest = seconds % size // small
    return f"{seconds // size} {name}" + (f" {rest} {small_name}" if rest else "")


def ago(since: datetime, now: datetime) -> str:
    """How long since: ``24 s ago``, ``just now``."""
    return f"{span(now - since)} ago" if (now - since).total_seconds() >= 1 else "just now"


def left(until: datetime, now: datetime) -> str:
    """In how much time: ``in 24 s``, ``now``. What is left of a second counts as one."""
    seconds = (until - now).total_seconds()
    return "now" if seconds <= 0 else f"in {span(timedelta(seconds=-(-seconds // 1)))}"


def some(count: int, thing: str) -> str:
    """``1 job``, ``1,200 jobs``."""
    return f"{count:,} {thing}{'s' * (count != 1)}"


def short(job_id: UUID) -> str:
    """The end of an id, by which commands know the job too."""
    return job_id.hex[-8:]


def person(by: str, reason: str = "") -> str:
    """``by ada: maintenance``, as far as it is known; with a blank before it."""
    return f" by {by}" * bool(by) + (f" ({gist(reason)})" if reason else "")


def gist(text: str) -> str:
    """The first line of a text, not too long."""
    line = text.strip().partition("\n")[0].rstrip(" .:")
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 1]}…"


def zone_of(name: str, otherwise: tzinfo) -> tzinfo:
    """The zone of this name; *otherwise* where it is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return otherwise


def about(duration: timedelta) -> str:
    """A duration in one unit, as precise as an estimate is: 40 s, 12 min, 3 h, 2 d."""
    seconds = max(1, round(duration.total_seconds()))
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {name}"
    return f"{seconds} s"
