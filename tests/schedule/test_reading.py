"""What a schedule means, in words."""

from __future__ import annotations

import pytest

from jobsaga.schedule import describe

TABLE = {
    # the time of the day
    "* * * * * *": "every second",
    "*/5 * * * * *": "every 5 seconds",
    "2-59/5 * * * * *": "every 5 seconds from second 2",
    "0,20,40 * * * * *": "every 20 seconds",
    "0,10,20 * * * * *": "at seconds 0, 10 and 20 of every minute",
    "*/5 15 12 * * *": "every 5 seconds in minute 15 between 12:00 and 12:59",
    "*/5 * 12 * * *": "every 5 seconds between 12:00 and 12:59",
    "* 30 * * * *": "every second in minute 30",
    "0 * * * * *": "every minute",
    "10 * * * * *": "every minute at second 10",
    "0 */15 * * * *": "every 15 minutes",
    "0 0,15,30,45 * * * *": "every 15 minutes",
    "0 5-59/15 * * * *": "every 15 minutes from minute 5",
    "0 */7 * * * *": "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour",
    "0 4/8 * * * *": "at minutes 4, 12, 20, 28, 36, 44 and 52 of every hour",  # and then 12 minutes nothing
    "0 1,2,3,30 * * * *": "at minutes 1 to 3 and 30 of every hour",
    "30 */15 9-17 * * *": "every 15 minutes at second 30 between 09:00 and 17:59",
    "0 */15 22-3 * * *": "every 15 minutes in hours 0 to 3, 22 and 23",
    "0 5,10 */6 * * *": "at minutes 5 and 10 in hours 0, 6, 12 and 18",
    "0 0 * * * *": "every hour",
    "0 30 * * * *": "every hour at minute 30",
    "15 30 * * * *": "every hour at minute 30, second 15",
    "15 0 * * * *": "every hour at minute 0, second 15",
    "0 0 */2 * * *": "every 2 hours from 00:00",
    "0 30 1-23/2 * * *": "every 2 hours from 01:30",
    "0 0 9-17 * * *": "every hour from 09:00 to 17:00 every day",
    "0 30 9-17 * * MON-FRI": "every hour from 09:30 to 17:30 from Monday to Friday",
    "0 0 */6 * * *": "at 00:00, 06:00, 12:00 and 18:00 every day",
    "0 0 1,3,5,7,11,13,17 * * *": "at 01:00, 03:00, 05:00, 07:00, 11:00, 13:00 and 17:00 every day",
    "0 0 3 * * *": "at 03:00 every day",
    "30 0 3 * * *": "at 03:00:30 every day",
    "0 0,30 3,4 * * *": "at 03:00, 03:30, 04:00 and 04:30 every day",
    # days of the week
    "0 0,15,30,45 * * * 1,3,5": "every 15 minutes on Monday, Wednesday and Friday",
    "0 0 3 * * MON": "at 03:00 on Monday",
    "0 0 3 * * 0": "at 03:00 on Sunday",
    "0 0 3 * * 7": "at 03:00 on Sunday",
    "0 0 3 * * SAT,SUN": "at 03:00 on Saturday and Sunday",
    "0 0 3 * * MON-FRI": "at 03:00 from Monday to Friday",
    "0 0 3 * * FRI-MON": "at 03:00 on Monday, Friday, Saturday and Sunday",
    "0 0 3 * * FRI-SUN": "at 03:00 from Friday to Sunday",
    "0 0 3 * * MON#1": "at 03:00 on the first Monday of the month",
    "0 0 3 * * MON#1,MON#3": "at 03:00 on the first Monday and the third Monday of the month",
    "0 0 3 * * 5L": "at 03:00 on the last Friday of the month",
    "0 0 3 * * MON#1,SUN": "at 03:00 on the first Monday of the month and on Sunday",
    "0 0 3 * * 0-7": "at 03:00 every day",
    # days of the month
    "0 0 3 1 * *": "at 03:00 on the 1st of the month",
    "0 0 3 2,3,11,12,13,21,22,23 * *": "at 03:00 on the 2nd, 3rd, 11th to 13th and 21st to 23rd of the month",
    "0 0 3 L * *": "at 03:00 on the last day of the month",
    "0 0 3 L-1 * *": "at 03:00 on the day before the last day of the month",
    "0 0 3 L-3 * *": "at 03:00 on the 3rd day before the last day of the month",
    "0 0 3 LW * *": "at 03:00 on the last weekday (Monday to Friday) of the month",
    "0 0 3 LW-2 * *": "at 03:00 on the 2nd day before the last weekday (Monday to Friday) of the month",
    "0 0 3 LW-28 * *": (
        "at 03:00 on the 28th day before the last weekday (Monday to Friday), or else the 1st of the month"
    ),
    "0 0 3 15W * *": "at 03:00 on the weekday (Monday to Friday) nearest to the 15th of the month",
    "0 0 3 L-1W * *": (
        "at 03:00 on the weekday (Monday to Friday) nearest to the day before the last day of the month"
    ),
    "0 0 3 1,L * *": "at 03:00 on the 1st and the last day of the month",
    "0 0 3 1/1 * ?": "at 03:00 every day",
    "0 0 3 1-31 * *": "at 03:00 every day",
    # both
    "0 0 3 13 * FRI": "at 03:00 on the 13th of the month and on Friday",
    "0 0 3 1-31 * FRI": "at 03:00 every day",
    "*/10 * * 1 * 0-6": "every 10 seconds",
    "0 0 3 13 6 FRI#1,SUN": "at 03:00 on the 13th and the first Friday of June and on Sunday in June",
    # months
    "0 0 3 * JUL *": "at 03:00 every day in July",
    "0 0 3 * 6-8 *": "at 03:00 every day from June to August",
    "0 0 3 1 1,7 *": "at 03:00 on the 1st of January and July",
    "0 0 3 29 2 *": "at 03:00 on the 29th of February",
    "0 0 3 * 1,7 MON": "at 03:00 on Monday in January and July",
    "0 */5 * * 12 *": "every 5 minutes in December",
    # periods
    "@every 1s": "every second",
    "@every 7s": "every 7 seconds",
    "@every 420s": "every 7 minutes",
    "@every 5400s": "every 90 minutes",
    "@every 3600s": "every hour",
    "@every 86400s": "every 24 hours",
    "@every 90061s": "every 90061 seconds",
    # shorter ways to write it
    "0 3 * * *": "at 03:00 every day",
    "@daily": "at 00:00 every day",
}


@pytest.mark.parametrize(("schedule", "words"), TABLE.items())
def test_words(schedule: str, words: str) -> None:
    assert describe(schedule) == words


def test_the_zone_is_named_where_it_counts() -> None:
    assert describe("0 0 3 * * *", "Europe/Berlin") == "at 03:00 every day (Europe/Berlin)"
    assert describe("0 */15 * * * MON", "America/New_York") == "every 15 minutes on Monday (America/New_York)"
    assert describe("0 0 3 * * *", "UTC") == "at 03:00 every day"
    assert describe("@every 5400s", "Europe/Berlin") == "every 90 minutes"  # it looks at no clock
