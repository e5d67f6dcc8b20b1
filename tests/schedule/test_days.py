"""Days that cronsim does not know, or knows differently: tables made by hand, with a calendar.

::

     October 2010        November 2010        May 2021             February 2021        August 2026
    Su Mo Tu We Th Fr Sa Su Mo Tu We Th Fr Sa Su Mo Tu We Th Fr Sa Su Mo Tu We Th Fr Sa Su Mo Tu We Th Fr Sa
                    1  2     1  2  3  4  5  6                    1     1  2  3  4  5  6                    1
     3  4  5  6  7  8  9  7  8  9 10 11 12 13  2  3  4  5  6  7  8  7  8  9 10 11 12 13  2  3  4  5  6  7  8
    10 11 12 13 14 15 16 14 15 16 17 18 19 20  9 10 11 12 13 14 15 14 15 16 17 18 19 20  9 10 11 12 13 14 15
    17 18 19 20 21 22 23 21 22 23 24 25 26 27 16 17 18 19 20 21 22 21 22 23 24 25 26 27 16 17 18 19 20 21 22
    24 25 26 27 28 29 30 28 29 30             23 24 25 26 27 28 29 28                   23 24 25 26 27 28 29
    31                                        30 31                                     30 31
"""

from __future__ import annotations

import pytest

from jobsaga.schedule import as_cron
from tests.schedule.looking import days, runs

OCTOBER, NOVEMBER, MAY, FEBRUARY, AUGUST = (2010, 10), (2010, 11), (2021, 5), (2021, 2), (2026, 8)


@pytest.mark.parametrize(
    ("day_of_month", "month", "expected"),
    [
        # the nearest day from Monday to Friday
        ("15W", OCTOBER, [15]),  # a Friday itself
        ("16W", OCTOBER, [15]),  # Saturday: the day before
        ("17W", OCTOBER, [18]),  # Sunday: the day after
        ("1W", MAY, [3]),  # Saturday the 1st: not into April
        ("2W", MAY, [3]),  # Sunday the 2nd
        ("31W", OCTOBER, [29]),  # Sunday the 31st: not into November
        ("30W", OCTOBER, [29]),  # Saturday the 30th
        ("28W", FEBRUARY, [26]),  # Sunday the 28th, the last
        ("31W", NOVEMBER, []),  # November has no 31st
        ("29W", FEBRUARY, []),
        ("1W,15W", MAY, [3, 14]),  # several, and in a list with numbers
        ("1W,10,L", MAY, [3, 10, 31]),
        ("2W,3", MAY, [3]),  # twice the same day
        # the last day from Monday to Friday
        ("LW", OCTOBER, [29]),
        ("LW", NOVEMBER, [30]),
        ("LW", FEBRUARY, [26]),
        ("LW", MAY, [31]),
        ("LW-1", OCTOBER, [28]),
        ("LW-28", FEBRUARY, [1]),
        # the last day, and before it
        ("L", OCTOBER, [31]),
        ("L", NOVEMBER, [30]),
        ("L", FEBRUARY, [28]),
        ("L", (2024, 2), [29]),
        ("L-3", OCTOBER, [28]),
        ("L-3", FEBRUARY, [25]),
        ("L-3", (2024, 2), [26]),
        ("L-30", OCTOBER, [1]),
        ("L-30", NOVEMBER, []),
        ("L-27", FEBRUARY, [1]),
        ("L-29W", MAY, [3]),  # Sunday the 2nd
        ("L-30W", MAY, [3]),  # Saturday the 1st
        ("L-1W", OCTOBER, [29]),
        ("L,L-1,L-2", NOVEMBER, [28, 29, 30]),
        ("28-31", FEBRUARY, [28]),
        ("29-2", FEBRUARY, [1, 2]),
        ("29-2", (2024, 2), [1, 2, 29]),
        ("30-3/2", OCTOBER, [1, 3, 30]),
        ("30-4/2", OCTOBER, [1, 3, 30]),
    ],
)
def test_days_of_the_month(day_of_month: str, month: tuple[int, int], expected: list[int]) -> None:
    assert days(f"0 0 0 {day_of_month} * ?", *month) == expected
    assert days(f"0 0 {day_of_month} * *", *month) == expected


@pytest.mark.parametrize(
    ("day_of_week", "month", "expected"),
    [
        ("MON#1", AUGUST, [3]),
        ("MON#5", AUGUST, [31]),
        ("SAT#1", AUGUST, [1]),
        ("TUE#5", AUGUST, []),  # there are four
        ("FRI#4", OCTOBER, [22]),
        ("FRI#5", OCTOBER, [29]),
        ("0#1", AUGUST, [2]),
        ("7#1", AUGUST, [2]),
        ("MON#1,MON#3", AUGUST, [3, 17]),
        ("MON#1,FRIL", AUGUST, [3, 28]),
        ("MON#1,SUN", AUGUST, [2, 3, 9, 16, 23, 30]),
        ("5L", OCTOBER, [29]),
        ("FRIL", OCTOBER, [29]),
        ("SUNL", FEBRUARY, [28]),
        ("0L", FEBRUARY, [28]),
        ("7L", FEBRUARY, [28]),
        ("MONL", FEBRUARY, [22]),
        ("5-7", FEBRUARY, [5, 6, 7, 12, 13, 14, 19, 20, 21, 26, 27, 28]),
        ("7-2", FEBRUARY, [1, 2, 7, 8, 9, 14, 15, 16, 21, 22, 23, 28]),
        ("SAT-MON", FEBRUARY, [1, 6, 7, 8, 13, 14, 15, 20, 21, 22, 27, 28]),
        ("5-7/2", FEBRUARY, [5, 7, 12, 14, 19, 21, 26, 28]),
        ("1/2", FEBRUARY, [1, 3, 5, 8, 10, 12, 15, 17, 19, 22, 24, 26]),
        ("*/3", FEBRUARY, [3, 6, 7, 10, 13, 14, 17, 20, 21, 24, 27, 28]),
        ("0-7", FEBRUARY, list(range(1, 29))),
        ("MON-SUN", FEBRUARY, list(range(1, 29))),
    ],
)
def test_days_of_the_week(day_of_week: str, month: tuple[int, int], expected: list[int]) -> None:
    assert days(f"0 0 0 ? * {day_of_week}", *month) == expected
    assert days(f"0 0 0 * * {day_of_week}", *month) == expected


@pytest.mark.parametrize(
    ("day_of_month", "day_of_week", "month", "expected"),
    [
        ("13", "FRI", AUGUST, [7, 13, 14, 21, 28]),
        ("L", "MON#1", AUGUST, [3, 31]),
        ("LW", "SUN", NOVEMBER, [7, 14, 21, 28, 30]),
        ("1W", "SATL", MAY, [3, 29]),
        ("*/10", "SUN", FEBRUARY, [1, 7, 11, 14, 21, 28]),  # a step restricts
        ("31", "MON", NOVEMBER, [1, 8, 15, 22, 29]),  # the 31st never comes, Mondays do
        ("1-31", "MON", FEBRUARY, list(range(1, 29))),  # either: each day is one of those days
        ("1/1", "MON", FEBRUARY, [1, 8, 15, 22]),  # but a step of one from the first is a star
        ("*", "*", FEBRUARY, list(range(1, 29))),
        ("?", "?", FEBRUARY, list(range(1, 29))),
        ("?", "*", FEBRUARY, list(range(1, 29))),
        ("?", "MON", FEBRUARY, [1, 8, 15, 22]),
        ("9", "?", FEBRUARY, [9]),
    ],
)
def test_both_day_fields(
    day_of_month: str, day_of_week: str, month: tuple[int, int], expected: list[int]
) -> None:
    assert days(f"0 0 0 {day_of_month} * {day_of_week}", *month) == expected


def test_q12_the_days_of_the_week_restrict() -> None:
    """The example of MassTransit's documentation runs on the days that its text says."""
    schedule = "0 0,15,30,45 * * * 1,3,5"
    assert days(schedule, 2021, 2) == [1, 3, 5, 8, 10, 12, 15, 17, 19, 22, 24, 26]
    assert runs(schedule, "2021-02-01 23:40", 3) == [
        "2021-02-01 23:45",
        "2021-02-03 00:00",
        "2021-02-03 00:15",
    ]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0 0 29 2 *", ["2096-02-29 00:00", "2104-02-29 00:00"]),
        (
            "0 0 * 2 MON#5",
            ["2072-02-29 00:00", "2112-02-29 00:00"],
        ),  # 28 years apart, but for 2100: no leap year
    ],
)
def test_what_comes_once_in_years(schedule: str, expected: list[str]) -> None:
    assert runs(schedule, "2071-01-01" if "MON" in schedule else "2095-01-01", 2) == expected
    assert as_cron(schedule)


def test_the_calendar_ends() -> None:
    assert runs("0 0 1 1 *", "9997-06-01", 5)[:1] == ["9998-01-01 00:00"]
    assert len(runs("@every 86400s", "9999-12-30", 5)) <= 2
