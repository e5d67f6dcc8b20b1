"""``jobsaga recurring``: the list, the next runs, and what is asked of one."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from jobsaga import Every, add_or_update_recurring_job, get_recurring_job_state
from jobsaga.clock import ManualClock, use_clock
from jobsaga.management.cli.records import RecurringLine
from tests.cli.conftest import Jobsaga
from tests.jobsapp.jobs.acting import ActInProcess

pytestmark = pytest.mark.django_db
TYPE = "jobsapp.ActInProcess"


@pytest.fixture(autouse=True)
def clock():
    with use_clock(ManualClock(datetime(2026, 3, 28, 12, tzinfo=UTC))) as clock:
        yield clock


def add(name: str = "nightly", schedule: object = "0 30 2 * * *", time_zone: str = "Europe/Berlin") -> None:
    message = ActInProcess("give", {})
    add_or_update_recurring_job(name, message, schedule, time_zone=time_zone)  # type: ignore[arg-type]


def test_nothing_yet(jobsaga: Jobsaga) -> None:
    said = jobsaga("recurring")
    assert (said.code, said.out) == (0, "")
    assert "There is no recurring job" in said.err


def test_the_list_says_it_in_words_with_the_next_runs(jobsaga: Jobsaga) -> None:
    """Across the night in which the clock is set forward: there is no 02:30."""
    add()
    add("often", Every(minutes=15), "UTC")
    said = jobsaga("recurring", "--next", "2")
    assert "at 02:30 every day (Europe/Berlin)" in said.out
    assert "Sun 2026-03-29 03:00:00 CEST, Mon 2026-03-30 02:30:00 CEST" in said.out
    assert "every 15 minutes" in said.out


def test_as_json(jobsaga: Jobsaga) -> None:
    add()
    (line,) = jobsaga("recurring", "--json", "--next", "3").json["recurring"]
    assert line.keys() == {field.name for field in fields(RecurringLine)}
    assert (line["name"], line["alive"], line["runs"], len(line["next_runs"])) == ("nightly", True, 0, 3)


def test_run_cancel_resume_and_finalize(jobsaga: Jobsaga) -> None:
    add()
    assert "WaitingForSlot" in jobsaga("recurring", "run", TYPE, "nightly", "--by", "ada").out
    said = jobsaga("recurring", "cancel", TYPE, "nightly", "--reason", "no more", "--by", "ada")
    assert (said.code, get_recurring_job_state(TYPE, "nightly").reason) == (0, "no more")
    assert "(ended)" in jobsaga("recurring").out
    assert "WaitingToStart, starts" in jobsaga("recurring", "resume", TYPE, "nightly").out
    said = jobsaga("recurring", "finalize", TYPE, "nightly")
    assert (said.code, "only an ended job" in said.err) == (1, True)
    answer = jobsaga("recurring", "cancel", TYPE, "nightly", "--json").json
    assert answer["current_state"] == "Canceled"
    assert "Finalized" in jobsaga("recurring", "finalize", TYPE, "nightly").out


def test_cancel_between_runs_says_what_it_skips(jobsaga: Jobsaga) -> None:
    add()
    said = jobsaga("cancel", get_recurring_job_state(TYPE, "nightly").job_id)
    assert said.code == 0
    assert "is skipped, the next is at 2026-03-30 00:30:00+00:00" in said.err


def test_an_unknown_name(jobsaga: Jobsaga) -> None:
    said = jobsaga("recurring", "run", TYPE, "nightly")
    assert said.code == 1
    assert "There is no recurring job 'nightly'" in said.err


def test_sync_with_nothing_declared(jobsaga: Jobsaga) -> None:
    said = jobsaga("recurring", "sync")
    assert (said.code, said.err) == (0, "The recurring jobs are as the code says.\n")
    assert jobsaga("recurring", "sync", "--json").json == {"differences": []}
