"""The pages on commands and settings say what there is: each verb, key, finding and setting, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from jobsaga.client import JobState
from jobsaga.conf import KEYS
from jobsaga.management.cli import records
from jobsaga.management.cli.dispatch import VERBS
from jobsaga.management.cli.finding import Finding
from jobsaga.management.cli.verb import FAILED, INTERRUPTED, OK, USAGE

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (ROOT / "docs/settings.md").read_text()
COMMANDS = (ROOT / "docs/commands.md").read_text()

JOB_KEYS = [field.name for field in fields(JobState)]
SECTIONS = {
    "A job": [field.name for field in fields(records.JobDetails)],
    "An attempt": [field.name for field in fields(records.AttemptLine)],
    "A line of history": [field.name for field in fields(records.HistoryLine)],
    "A job in a list": [field.name for field in fields(records.JobLine)],
    "A recurring job": [field.name for field in fields(records.RecurringLine)],
    "A job type": [field.name for field in fields(records.JobTypeLine)],
    "A worker": [field.name for field in fields(records.InstanceLine)],
    "A finding": [field.name for field in fields(Finding)],
}


def table(text: str) -> Iterator[list[str]]:
    """The cells of all rows of tables whose first cell is in backquotes."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def names(text: str) -> list[str]:
    return [row[0].strip("`| ") for row in table(text)]


def section(title: str, text: str = COMMANDS) -> str:
    """From a heading to the next of its rank or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.M | re.S)
    assert found, title
    return found.group(2)


def test_the_settings_are_these() -> None:
    assert names(SETTINGS) == list(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_the_default_of_a_setting(key: str) -> None:
    (default,) = (row[1].strip("`") for row in table(SETTINGS) if row[0] == f"`{key}`")
    assert eval(default, {"timedelta": timedelta}) == KEYS[key].default


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_described_with_an_example(verb: str) -> None:
    assert re.search(rf"^## jobsaga .*\b{verb}\b", COMMANDS, re.M)
    assert f"$ python manage.py jobsaga {verb}" in COMMANDS or verb == "run"


@pytest.mark.parametrize("title", SECTIONS)
def test_the_keys_of_json_are_these(title: str) -> None:
    assert names(section(title)) == SECTIONS[title]


def test_what_show_adds_to_a_job() -> None:
    first, more = section("A job").split("`show` adds:")
    assert names(first) == JOB_KEYS
    assert names(more) == [key for key in SECTIONS["A job"] if key not in JOB_KEYS]


def test_the_codes_of_the_doctor_are_these() -> None:
    sources = "".join(
        (ROOT / "jobsaga/management/cli" / name).read_text() for name in ("diagnosis.py", "symptoms.py")
    )
    made = {(code, level) for level, code in re.findall(r'level="(\w+)",\s*code="([\w-]+)"', sources)}
    rows = [row for row in table(section("jobsaga doctor")) if "jobsaga." not in row[0]]
    assert {(row[0].strip("`| "), row[1]) for row in rows} == made


def test_the_exit_codes_are_these() -> None:
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", section("For scripts"), re.M)]
    assert codes == [OK, FAILED, USAGE, INTERRUPTED]
