"""Short ways to ask what a schedule does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from jobsaga.schedule import next_after, occurrences


def at(text: str) -> datetime:
    """An instant, from its ISO form; without an offset it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def runs(schedule: str, after: str, count: int = 5, zone: str = "UTC") -> list[str]:
    """The next runs, as a clock in UTC shows them."""
    found = occurrences(schedule, at(after), time_zone=zone, limit=count)
    return [each.isoformat(sep=" ").removesuffix(":00+00:00").removesuffix("+00:00") for each in found]


def runs_at(schedule: str, when: str) -> bool:
    """Whether it runs at this very second."""
    return next_after(schedule, at(when) - timedelta(seconds=1)) == at(when)


def days(schedule: str, year: int, month: int) -> list[int]:
    """The days of a month on which it runs."""
    first = datetime(year, month, 1, tzinfo=UTC) - timedelta(seconds=1)
    beyond = date(year + month // 12, month % 12 + 1, 1)
    end = datetime(beyond.year, beyond.month, 1, tzinfo=UTC) - timedelta(seconds=1)
    return sorted({each.day for each in occurrences(schedule, first, end=end, limit=5000)})
