"""Every, Daily, Weekly, Monthly: the text they make, and what they refuse."""

from __future__ import annotations

import calendar
import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, time
from typing import Any

import pytest

from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule import Builder, Daily, Every, Monthly, Weekly, as_cron
from tests.schedule.looking import at, days, runs


@pytest.mark.parametrize(
    ("builder", "expected"),
    [
        (Every(seconds=1), "* * * * * *"),
        (Every(seconds=30), "*/30 * * * * *"),
        (Every(seconds=5, second=2), "2-59/5 * * * * *"),
        (Every(seconds=5, minute=15), "*/5 15 * * * *"),
        (Every(minutes=1), "0 * * * * *"),
        (Every(minutes=15), "0 */15 * * * *"),
        (Every(minutes=15, second=30), "30 */15 * * * *"),
        (Every(minutes=15, minute=5), "0 5-59/15 * * * *"),
        (Every(minutes=15, hour=12), "0 */15 12 * * *"),
        (Every(minutes=15, days="MON-FRI"), "0 */15 * * * MON-FRI"),
        (Every(minutes=15, days=["Monday", "wed", "FRI"]), "0 */15 * * * MON,WED,FRI"),
        (Every(minutes=15, days="sat,SUNDAY"), "0 */15 * * * SAT,SUN"),
        (Every(hours=1), "0 0 * * * *"),
        (Every(hours=1, minute=30), "0 30 * * * *"),
        (Every(hours=2), "0 0 */2 * * *"),
        (Every(hours=6, hour=3, minute=30, second=15), "15 30 3-23/6 * * *"),
        (Every(hours=12, days="SUN"), "0 0 */12 * * SUN"),
        # said in another unit
        (Every(seconds=60), "0 * * * * *"),
        (Every(seconds=3600), "0 0 * * * *"),
        (Every(minutes=60, minute=5), "0 5 * * * *"),
        (Every(minutes=120), "0 0 */2 * * *"),
        # what no field can repeat evenly
        (Every(seconds=7), "@every 7s"),
        (Every(seconds=90), "@every 90s"),
        (Every(minutes=7), "@every 420s"),
        (Every(minutes=90), "@every 5400s"),
        (Every(hours=5), "@every 18000s"),
        (Every(hours=24), "@every 86400s"),
        (Every(hours=36), "@every 129600s"),
        (Daily(at="03:00"), "0 0 3 * * *"),
        (Daily(at="3:05"), "0 5 3 * * *"),
        (Daily(at="23:59:59"), "59 59 23 * * *"),
        (Daily(at=time(3, 30, 15)), "15 30 3 * * *"),
        (Daily("00:00"), "0 0 0 * * *"),
        (Weekly("MON", at="03:00"), "0 0 3 * * MON"),
        (Weekly("Saturday", "03:00:30"), "30 0 3 * * SAT"),
        (Weekly(["TUE", "Thursday"], at=time(12)), "0 0 12 * * TUE,THU"),
        (Weekly("FRI-MON", at="03:00"), "0 0 3 * * FRI-MON"),
        (Weekly(("MON", "WED-FRI"), at="03:00"), "0 0 3 * * MON,WED-FRI"),
        (Monthly(1, at="03:00"), "0 0 3 1 * *"),
        (Monthly(31, "03:00"), "0 0 3 31 * *"),
        (Monthly("L", at="03:00"), "0 0 3 L * *"),
        (Monthly("lw", at="03:00"), "0 0 3 LW * *"),
        (Monthly("15W", at="03:00"), "0 0 3 15W * *"),
        (Monthly("1,15", at="03:00"), "0 0 3 1,15 * *"),
    ],
    ids=repr,
)
def test_text(builder: Builder, expected: str) -> None:
    assert builder.cron == as_cron(builder) == as_cron(expected) == expected


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30])
def test_what_divides_evenly_is_as_regular_as_a_period(number: int) -> None:
    found = runs(Every(minutes=number).cron, "2026-01-01", 200)
    assert found == runs(f"@every {number * 60}s", "2026-01-01", 200)


@pytest.mark.parametrize("number", [7, 8, 9, 11, 25, 45, 50, 59, 61, 90, 100, 1441])
def test_what_does_not_is_a_true_period(number: int) -> None:
    first, *found = runs(Every(minutes=number).cron, "2026-01-01", 100)
    steps = {
        (at(later) - at(earlier)).total_seconds()
        for earlier, later in zip([first, *found], found, strict=False)
    }
    assert steps == {number * 60}


def test_days_restrict() -> None:
    """In MassTransit they have no effect."""
    assert days(Every(hours=6, days="MON-FRI").cron, 2021, 2) == [
        *(1, 2, 3, 4, 5),
        *(8, 9, 10, 11, 12),
        *(15, 16, 17, 18, 19),
        *(22, 23, 24, 25, 26),
    ]


@pytest.mark.parametrize(
    ("make", "arguments", "reason"),
    [
        (Every, {}, "one of hours, minutes and seconds"),
        (Every, {"hours": 1, "minutes": 30}, "Every(minutes=90)"),
        (Every, {"minutes": 0}, "at least 1"),
        (Every, {"minutes": -5}, "at least 1"),
        (Every, {"minutes": 1.5}, "whole number of minutes"),
        (Every, {"seconds": 0.5}, "whole number of seconds"),
        (Every, {"seconds": True}, "whole number"),
        (Every, {"seconds": "5"}, "whole number"),
        (Every, {"hours": 10**9}, "1 second to 100 years"),
        (Every, {"minutes": 7, "hour": 12}, "counted by elapsed time and cannot be restricted"),
        (Every, {"minutes": 90, "days": "MON"}, "cannot be restricted"),
        (Every, {"hours": 5, "minute": 30}, "cannot be restricted"),
        (Every, {"hours": 24, "hour": 3}, "cannot be restricted"),
        (Every, {"minutes": 10, "minute": 10}, "starts, so it must be less"),
        (Every, {"hours": 6, "hour": 8}, "starts, so it must be less"),
        (Every, {"minutes": 10, "hour": 24}, "hour=24"),
        (Every, {"minutes": 10, "second": 60}, "second=60"),
        (Every, {"minutes": 10, "second": -1}, "second=-1"),
        (Every, {"minutes": 10, "hour": "12"}, "hour='12'"),
        (Every, {"minutes": 10, "days": []}, "at least one day"),
        (Every, {"minutes": 10, "days": ""}, "'' is no day of the week"),
        (Every, {"minutes": 10, "days": "Montag"}, "'Montag' is no day of the week"),
        (Every, {"minutes": 10, "days": "MON-WED-FRI"}, "is no day of the week"),
        (Every, {"minutes": 10, "days": "MON-MON"}, "a range of one value"),
        (Every, {"minutes": 10, "days": [calendar.MONDAY]}, "Monday is 0 in Python and 1 in cron"),
        (Every, {"minutes": 10, "days": 1}, "Monday is 0 in Python and 1 in cron"),
        (Every, {"minutes": 10, "days": "1-5"}, "Monday is 0 in Python and 1 in cron"),
        (Daily, {"at": "24:00"}, "must be a time such as '03:00'"),
        (Daily, {"at": "03:60"}, "must be a time"),
        (Daily, {"at": "3"}, "must be a time"),
        (Daily, {"at": "3 am"}, "must be a time"),
        (Daily, {"at": 3}, "must be a time"),
        (Daily, {"at": None}, "must be a time"),
        (Daily, {"at": time(3, tzinfo=UTC)}, "without a time zone"),
        (Daily, {"at": time(3, 0, 0, 5)}, "whole second"),
        (Weekly, {"days": "Sonntag", "at": "03:00"}, "'Sonntag' is no day of the week"),
        (Weekly, {"days": [], "at": "03:00"}, "at least one day"),
        (Weekly, {"days": 0, "at": "03:00"}, "is no day of the week"),
        (Monthly, {"day": 0, "at": "03:00"}, "day-of-month field has '0'"),
        (Monthly, {"day": 32, "at": "03:00"}, "day-of-month field has '32'"),
        (Monthly, {"day": -1, "at": "03:00"}, "'-1'"),
        (Monthly, {"day": "1 *", "at": "03:00"}, "Monthly(day='1 *')"),
        (Monthly, {"day": "", "at": "03:00"}, "Monthly(day='')"),
        (Monthly, {"day": 1.5, "at": "03:00"}, "Monthly(day=1.5)"),
        (Monthly, {"day": True, "at": "03:00"}, "Monthly(day=True)"),
        (Monthly, {"day": "MON", "at": "03:00"}, "'MON'"),
    ],
)
def test_what_is_refused(make: Any, arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        make(**arguments)
    assert reason in str(refused.value)


def test_every_takes_no_number_without_a_unit() -> None:
    with pytest.raises(TypeError):
        Every(15)  # type: ignore[misc]


def test_they_are_values() -> None:
    weekly = Weekly(["MON", "FRI"], at="03:00")
    assert weekly == Weekly(("MON", "FRI"), at="03:00")
    assert {weekly, Weekly(["MON", "FRI"], "03:00")} == {weekly}
    assert weekly != Weekly(["MON"], at="03:00")
    assert pickle.loads(pickle.dumps(weekly)) == weekly
    assert eval(repr(weekly)) == weekly
    with pytest.raises(FrozenInstanceError):
        weekly.at = "04:00"  # type: ignore[misc]


def test_the_package_hands_them_on() -> None:
    import jobsaga

    assert (jobsaga.Every, jobsaga.Daily, jobsaga.Weekly, jobsaga.Monthly) == (Every, Daily, Weekly, Monthly)
