"""What cannot work is refused when it is written, with the reason and what to write instead."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from jobsaga import exceptions
from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule import as_cron, check_time_zone, describe, latest_until, next_after
from jobsaga.schedule.cron import LONGEST_TEXT
from tests.schedule.looking import at


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("0 0 3 * * * 2026", "seven fields; there is none for the year"),
        ("60 0 3 * * *", "second field has '60', and that is no second (0-59)"),
        ("0 60 3 * * *", "minute field has '60'"),
        ("0 0 24 * * *", "hour field has '24', and that is no hour (0-23)"),
        ("0 0 0 0 * *", "day-of-month field has '0'"),
        ("0 0 0 32 * *", "day-of-month field has '32'"),
        ("0 0 0 1 0 *", "month field has '0', and that is no month (1-12 or JAN-DEC)"),
        ("0 0 0 1 13 *", "month field has '13'"),
        ("0 0 0 * * 8", "day-of-week field has '8', and that is no day of the week (0-7 or SUN-SAT)"),
        ("0 0 0 * * MONDAY", "'MONDAY', and that is no day of the week (0-7 or SUN-SAT)"),
        ("0 0 0 * MON *", "'MON', and that is no month"),
        ("0 -5 0 * * *", "'-5'"),
        ("0 1.5 0 * * *", "'1.5'"),
        ("0 1,,2 0 * * *", "''"),
        ("0 \u0661 0 * * *", "'\u0661'"),
        ("0 1-2-3 0 * * *", "'1-2-3'"),
        ("0 *-5 0 * * *", "a range goes from a value to a value"),
        ("0 */0 * * * *", "a whole number from 1 on"),
        ("0 */x * * * *", "a whole number from 1 on"),
        ("0 */60 * * * *", "never taken: write '0'"),
        ("0 0 */24 * * *", "never taken: write '0'"),
        ("0 59/15 * * * *", "never taken: write '59'"),
        ("0 59/1 * * * *", "never taken: write '59'"),
        ("0 0 0 * * 6/1", "never taken: write '6'"),
        ("0 10-20/15 * * * *", "never taken: write '10'"),
        ("0 5-5 * * * *", "a range of one value: write '5'"),
        ("0 0 0 * * MON-MON", "a range of one value: write 'MON'"),
        ("0 0 0 * * 7-0", "a range of one value"),
        ("0 0 0 * * 7-7", "a range of one value"),
        ("0 0 0 * * 7/2", "write the days"),
        ("0 0 0 * * FRI/2", "write the days, such as MON,WED,FRI"),
        ("0 5,* 0 * * *", "other values change nothing"),
        ("0 0 0 *,L * *", "other values change nothing"),
        ("0 ? 0 * * *", "'?'"),
        ("0 0 0 1-5W * *", "'5W' in '1-5W'"),
        ("0 0 0 W * *", "'W'"),
        ("0 0 0 32W * *", "'32'"),
        ("0 0 0 L-31 * *", "at most 30 days"),
        ("0 0 0 LW-31 * *", "at most 30 days"),
        ("0 0 0 L-L * *", "'L' in 'L-L'"),
        ("0 0 0 15 * 5W", "'5W'"),
        ("0 0 0 * * L", "write SATL or 6L"),
        ("0 0 0 * * MON#6", "1 to 5"),
        ("0 0 0 * * MON#0", "1 to 5"),
        ("0 0 0 * * #1", "'#1'"),
        ("0 0 0 * * 1-5#1", "'1-5#1'"),
        ("0 0 0 * * 9L", "'9'"),
        ("0 0 0 30 2 *", "would never run"),
        ("0 0 0 31 2,4,6,9,11 *", "would never run"),
        ("0 0 0 30W 2 *", "would never run"),
        ("0 0 0 L-29 2 *", "would never run"),
        ("@reboot", "'@every 5400s'"),
        ("@every", "'@every 5400s'"),
        ("@every 90", "'@every 5400s'"),
        ("@every 1.5s", "'@every 5400s'"),
        ("@every -5s", "'@every 5400s'"),
        ("@every 0s", "1 second to 100 years"),
        ("@every 9999999999s", "1 second to 100 years"),
        (15, "A schedule is a cron text"),
        (None, "A schedule is a cron text"),
        (timedelta(minutes=5), "A schedule is a cron text"),
    ],
)
def test_a_schedule(schedule: str, reason: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        as_cron(schedule)
    assert reason in str(refused.value)
    assert repr(schedule) in str(refused.value)


def test_a_text_that_no_column_holds() -> None:
    lists = [",".join(map(str, range(60)))] * 2
    with pytest.raises(InvalidSchedule, match=f"more than {LONGEST_TEXT} characters"):
        as_cron(f"{' '.join(lists)} * * * *")
    with pytest.raises(InvalidSchedule, match=f"more than {LONGEST_TEXT} characters"):
        as_cron("5/15," * 41 + "0 * * * * *")  # 246 characters, but more when it is written out
    with pytest.raises(InvalidSchedule, match=f"more than {LONGEST_TEXT} characters"):
        as_cron(f"{'9' * 5000} * * * * *")


def test_an_impossible_date_is_refused_quickly() -> None:
    started = time.process_time()
    for month in (2, 4, 6, 9, 11):
        with pytest.raises(InvalidSchedule, match="would never run"):
            as_cron(f"0 0 31 {month} *")
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Europe/berlin", "Did you mean 'Europe/Berlin'"),
        ("Berlin", "Did you mean 'Europe/Berlin'"),
        ("America/NewYork", "Did you mean 'America/New_York'"),
        ("W. Europe Standard Time", "IANA names such as"),
        ("", "IANA names such as"),
        ("Europe", ""),
        ("localtime", ""),
        ("../../etc/passwd", ""),
        ("/usr/share/zoneinfo/Europe/Berlin", ""),
        (None, "must be a name such as"),
        (2, "must be a name such as"),
    ],
)
def test_a_time_zone(name: str, reason: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        check_time_zone(name)
    assert reason in str(refused.value)
    assert repr(name) in str(refused.value)
    with pytest.raises(InvalidSchedule):
        next_after("* * * * *", at("2026-01-01"), time_zone=name)


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "GMT"]
)
def test_a_good_time_zone_is_given_back(name: str) -> None:
    assert check_time_zone(name) == name


NAIVE = datetime(2026, 1, 1)


@pytest.mark.parametrize("bound", ["start", "end"])
def test_a_time_without_a_zone(bound: str) -> None:
    with pytest.raises(InvalidSchedule, match=f"{bound} must have a time zone"):
        next_after("* * * * *", at("2026-01-01"), **{bound: NAIVE})
    with pytest.raises(InvalidSchedule, match="after must have a time zone"):
        next_after("* * * * *", NAIVE)
    with pytest.raises(InvalidSchedule, match="until must have a time zone"):
        latest_until("* * * * *", at("2026-01-01"), NAIVE)


def test_what_was_stored_before_and_is_no_schedule_any_more() -> None:
    for use in (lambda: next_after("x", at("2026-01-01")), lambda: describe("x")):
        with pytest.raises(InvalidSchedule):
            use()


def test_it_is_a_jobsaga_error_and_a_value_error() -> None:
    assert issubclass(InvalidSchedule, exceptions.JobSagaError)
    assert issubclass(InvalidSchedule, ValueError)
