"""What the clock on the wall does at an occurrence: people who read a list of next runs want to know."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from jobsaga.schedule.canonical import read_schedule
from jobsaga.schedule.period import Period
from jobsaga.schedule.timeline import next_after
from jobsaga.schedule.wall import next_on_the_wall
from jobsaga.schedule.zones import ONE_SECOND, instants, on_the_wall, zone_of


class Clock(StrEnum):
    """Why a run is worth a note."""

    #: The clock is set back, this time comes twice, and the job runs the first time only.
    BACK_ONCE = "back-once"
    #: The same, and the job runs both times.
    BACK_TWICE = "back-twice"
    #: The clock is set forward over the time that the schedule says: the job runs as soon as it goes on.
    FORWARD = "forward"


def clock_at(cron: str, at: datetime, time_zone: str) -> Clock | None:
    """What the clock does at the occurrence *at* of a schedule; None: nothing. Raises InvalidSchedule."""
    schedule, zone = read_schedule(cron), zone_of(time_zone)
    if isinstance(schedule, Period):
        return None
    at = at.astimezone(UTC)
    wall = on_the_wall(at, zone)
    first, second = instants(wall, zone)
    if first < second:
        other = second if at == first else first
        twice = next_after(cron, other - ONE_SECOND, time_zone=time_zone) == other
        return Clock.BACK_TWICE if twice else Clock.BACK_ONCE
    jumped = on_the_wall(at - ONE_SECOND, zone) + ONE_SECOND < wall
    moved = jumped and next_on_the_wall(schedule, wall.replace(fold=0) - ONE_SECOND) != wall
    return Clock.FORWARD if moved else None
