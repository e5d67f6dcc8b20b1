"""What a schedule means on the wall, so that two can be compared."""

from __future__ import annotations

from typing import Any

from jobsaga.schedule.cron import Cron

YEARS = range(2024, 2028)


def meaning(cron: Cron) -> Any:
    """Its times of the day, and its days in four years."""
    days = tuple(tuple(cron.days(year, month)) for year in YEARS for month in range(1, 13))
    return cron.seconds, cron.minutes, cron.hours, days
