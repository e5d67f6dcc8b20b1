"""What the clock does when a job runs, in words that people can act on."""

from __future__ import annotations

from datetime import datetime

import pytest

from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule import occurrences
from jobsaga.schedule.changes import Clock, clock_at

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("cron", "day", "notes"),
    [
        ("0 30 2 * * *", "2026-10-24", [None, Clock.BACK_ONCE, None]),
        ("0 0 */1 * * *", "2026-10-25T00:30", [None, Clock.BACK_TWICE, Clock.BACK_TWICE]),
        ("0 30 2 * * *", "2027-03-27", [None, Clock.FORWARD, None]),
        ("0 0 3 * * *", "2027-03-27", [None, None, None]),
        ("0 0 */1 * * *", "2027-03-28T00:30", [None, None, None]),
        ("@every 3600s", "2026-10-25T00:30", [None, None, None]),
    ],
)
def test_a_run_is_noted_where_the_clock_is_set(cron: str, day: str, notes: list[Clock | None]) -> None:
    from zoneinfo import ZoneInfo

    after = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(BERLIN))
    runs = occurrences(cron, after, time_zone=BERLIN, limit=3)
    assert [clock_at(cron, at, BERLIN) for at in runs] == notes


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSchedule):
        clock_at("0 0 3 * * *", datetime.fromisoformat("2026-10-24T00:00:00+00:00"), "Nowhere/AtAll")
