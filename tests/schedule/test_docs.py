"""What the page about schedules says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobsaga import Daily, Every, Monthly, Weekly
from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule import as_cron, describe
from tests.schedule.looking import runs

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "schedules.md").read_text()
READINGS = re.findall(r"^\| `([^A-Z`][^`]+)` \| ((?:at|every) .+) \|$", PAGE, re.MULTILINE)
BUILDERS = re.findall(r"`?((?:Every|Daily|Weekly|Monthly)\([^)`.]*\))", PAGE)


def test_the_page_has_readings_and_builders() -> None:
    assert len(READINGS) >= 9
    assert len(BUILDERS) >= 12


@pytest.mark.parametrize(("schedule", "words"), READINGS)
def test_readings(schedule: str, words: str) -> None:
    assert describe(schedule) == words


@pytest.mark.parametrize("builder", BUILDERS)
def test_builders(builder: str) -> None:
    assert as_cron(eval(builder, {"Every": Every, "Daily": Daily, "Weekly": Weekly, "Monthly": Monthly}))


@pytest.mark.parametrize(
    ("builder", "expected"),
    [
        (Every(minutes=15), "0 */15 * * * *"),
        (Every(minutes=90), "@every 5400s"),
        (Every(hours=6, hour=3), "0 0 3-23/6 * * *"),
    ],
)
def test_what_they_become(builder: Every, expected: str) -> None:
    assert as_cron(builder) == expected


@pytest.mark.parametrize("field", re.findall(r"^\| `(L|15W|LW|MON#2|FRIL)`", PAGE, re.MULTILINE))
def test_special_days(field: str) -> None:
    schedule = f"0 0 0 {field} * *" if field in ("L", "15W", "LW") else f"0 0 0 * * {field}"
    assert as_cron(schedule) == schedule


@pytest.mark.parametrize("minute", ["5-5", "*/60", "59/15", "5,*"])
def test_refused(minute: str) -> None:
    with pytest.raises(InvalidSchedule):
        as_cron(f"0 {minute} * * * *")


def test_the_nights_when_the_clock_is_set() -> None:
    assert runs("0 0 */2 * * *", "2026-10-24 21:59", 4, "Europe/Berlin") == [
        "2026-10-24 22:00",  # 00:00
        "2026-10-25 00:00",  # 02:00
        "2026-10-25 01:00",  # 02:00 again
        "2026-10-25 03:00",  # 04:00
    ]
    assert runs("0 0 */2 * * *", "2026-03-28 22:59", 2, "Europe/Berlin") == [
        "2026-03-28 23:00",
        "2026-03-29 02:00",
    ]
    assert runs("0 0,30 2 * * *", "2026-03-28 22:59", 2, "Europe/Berlin") == [
        "2026-03-29 01:00",
        "2026-03-30 00:00",
    ]
