"""``@every``: true periods."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobsaga.schedule import Every, as_cron, latest_until, next_after, occurrences
from tests.schedule.looking import at, runs


def test_the_text_has_one_form() -> None:
    assert as_cron("  @EVERY   05400S ") == as_cron("@every 5400s") == "@every 5400s"


def test_macros_are_cron() -> None:
    assert as_cron("@daily") == as_cron(" @Midnight ") == "0 0 0 * * *"
    assert as_cron("@weekly") == "0 0 0 * * SUN"
    assert as_cron("@hourly") == "0 0 * * * *"


def test_without_a_start_it_is_counted_from_the_epoch() -> None:
    """So each deployment that says the same finds the same times."""
    assert runs("@every 420s", "1970-01-01", 3) == [
        "1970-01-01 00:07",
        "1970-01-01 00:14",
        "1970-01-01 00:21",
    ]
    assert runs("@every 420s", "2026-11-21 10:00", 2) == ["2026-11-21 10:06", "2026-11-21 10:13"]
    assert runs("@every 420s", "2026-11-21 10:05:59.9", 1) == ["2026-11-21 10:06"]
    assert runs("@every 420s", "1969-12-31 23:59", 2) == ["1970-01-01 00:00", "1970-01-01 00:07"]


def test_with_a_start_it_is_counted_from_there() -> None:
    start = at("2026-11-21 10:00:30")
    found = occurrences("@every 5400s", at("2026-01-01"), start=start, limit=3)
    assert found == [start, start + timedelta(minutes=90), start + timedelta(hours=3)]
    assert next_after("@every 5400s", start, start=start) == start + timedelta(minutes=90)
    assert next_after("@every 5400s", at("2026-11-21 10:00:29"), start=start) == start


def test_it_ends() -> None:
    assert next_after("@every 5400s", at("2026-11-21"), end=at("2026-11-21 01:29")) is None
    assert next_after("@every 5400s", at("2026-11-21"), end=at("2026-11-21 01:30")) == at("2026-11-21 01:30")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_it_is_the_same_in_every_zone(zone: str) -> None:
    assert runs(Every(hours=5).cron, "2026-10-25", 9, zone) == runs(Every(hours=5).cron, "2026-10-25", 9)


def test_the_latest_of_many() -> None:
    start = at("2026-01-01 00:00:07")
    found = latest_until("@every 420s", start, at("2026-11-21 10:00"), start=start)
    assert found == next_after("@every 420s", at("2026-11-21 09:53"), start=start)
