"""Time zones: their names, and what their clocks show.

Twice a year many clocks are set. A time on the wall can then be missing, or come twice; ``fold`` of a datetime
tells the first from the second, as in PEP 495.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from jobsaga.exceptions import InvalidSchedule, near_matches

ONE_SECOND = timedelta(seconds=1)


def check_time_zone(name: str) -> str:
    """``name`` if it is the IANA name of a time zone ("Europe/Berlin"), in its own spelling. Raises
    InvalidSchedule, with names it may be a misspelling of.
    """
    zone_of(name)
    return name


def zone_of(name: str) -> tzinfo:
    """The time zone of this name. Raises InvalidSchedule."""
    if not isinstance(name, str):
        raise InvalidSchedule(f"The time zone must be a name such as 'Europe/Berlin', not {name!r}.")
    return _zone_of(name)


@lru_cache(maxsize=1024)
def _zone_of(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    known = _known()
    if name in known:
        return ZoneInfo(name)
    if not known:
        raise InvalidSchedule(
            f"There is no time zone {name!r}: this machine has no time zones at all. Install the package tzdata."
        )
    near = near_matches(name, known)
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise InvalidSchedule(
        f"There is no time zone {name!r}. {hint}Zones have IANA names such as 'Europe/Berlin'."
    )


@lru_cache(maxsize=1)
def _known() -> set[str]:
    """The names there are, but for what a machine calls its own time: it is another one on another machine."""
    return available_timezones() - {"localtime", "Factory"}


def on_the_wall(instant: datetime, zone: tzinfo) -> datetime:
    """What the clock of the zone shows at ``instant``, without a zone (``fold`` is kept)."""
    return instant.astimezone(zone).replace(tzinfo=None)


def instants(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """When the clock of the zone shows ``wall``: the first time and the second, mostly the same.

    For a time that is skipped both are wrong, and the first is the later one.
    """
    return (
        wall.replace(tzinfo=zone, fold=0).astimezone(UTC),
        wall.replace(tzinfo=zone, fold=1).astimezone(UTC),
    )


def change_between(one: datetime, other: datetime, zone: tzinfo) -> datetime:
    """When the clock was set: the first instant with the new offset. It must have been set once between the
    two.
    """
    before, after = sorted((one, other))
    old = before.astimezone(zone).utcoffset()
    while after - before > ONE_SECOND:
        middle = before + timedelta(seconds=(after - before) // ONE_SECOND // 2)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after
