"""``jobsaga list``, and jobs by a part of their id."""

from __future__ import annotations

from dataclasses import fields
from uuid import UUID

import pytest

from jobsaga.ids import uuid7
from jobsaga.management.cli.records import JobLine
from jobsaga.store.lookup import id_like
from tests.cli.conftest import Jobsaga
from tests.engine.world import TYPE, World

pytestmark = pytest.mark.django_db


def listed(jobsaga: Jobsaga, *arguments: object) -> list[str]:
    return [job["job_id"] for job in jobsaga("list", "--json", *arguments).json["jobs"]]


def test_the_newest_first_and_on_from_there(jobsaga: Jobsaga, world: World) -> None:
    jobs = [str(each) for each in world.submit_many(5)]
    first = jobsaga("list", "--limit", 2, "--json").json
    assert [job["job_id"] for job in first["jobs"]] == [jobs[4], jobs[3]]
    assert first["next"] == jobs[3]
    second = jobsaga("list", "--limit", 3, "--before", first["next"][-8:], "--json").json
    assert [job["job_id"] for job in second["jobs"]] == [jobs[2], jobs[1], jobs[0]]
    assert second["next"] is None


def test_by_state_and_type(jobsaga: Jobsaga, world: World) -> None:
    first, second = map(str, world.submit_many(2))
    other = str(world.submit("audio.Mix"))
    worker = world.worker()
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    assert listed(jobsaga, "--state", "started") == [first]
    assert listed(jobsaga, "--state", "WaitingForSlot") == [other, second]
    assert listed(jobsaga, "--state", "waitingforslot", "--type", TYPE) == [second]
    assert listed(jobsaga, "--state", "Started", "--state", "WaitingForSlot", "--type", TYPE) == [
        second,
        first,
    ]
    assert listed(jobsaga, "--type", "audio.Mix", "--type", TYPE) == [other, second, first]
    assert listed(jobsaga, "--type", "no.Such") == []


def test_what_is_said_of_a_job(jobsaga: Jobsaga, world: World) -> None:
    world.submit(priority=7, actor="ada")
    worker = world.worker()
    (start,) = worker.receive()
    worker.started(start)
    worker.progress(start, 3, limit=12, message="frame 3")
    worker.fault(start, "no such codec")
    world.lap()
    (job,) = jobsaga("list", "--json").json["jobs"]
    assert job.keys() == {field.name for field in fields(JobLine)}
    assert {key: job[key] for key in ("job_type", "current_state", "priority", "submitted_by", "reason")} == {
        "job_type": TYPE,
        "current_state": "Faulted",
        "priority": 7,
        "submitted_by": "ada",
        "reason": "ValueError: no such codec",
    }
    assert (job["progress_value"], job["progress_limit"], job["progress_message"]) == (3.0, 12.0, "frame 3")
    assert job["duration"] == 1.0
    heading, line = jobsaga("list").out.splitlines()
    assert heading.split() == ["ID", "STATE", "TYPE", "PROGRESS", "RETRY", "SUBMITTED", "TOOK", "REASON"]
    for part in (job["job_id"][-8:], "Faulted", TYPE, "25%", "1.0 s", "ValueError: no such codec"):
        assert part in line


def test_titles_have_a_column_where_there_are_any(jobsaga: Jobsaga, world: World) -> None:
    world.submit(title="s01e04.mkv")
    world.submit()
    heading, plain, named = jobsaga("list").out.splitlines()
    assert heading.split()[:4] == ["ID", "STATE", "TYPE", "TITLE"]
    assert "s01e04.mkv" in named
    assert "s01e04.mkv" not in plain
    assert {job["title"] for job in jobsaga("list", "--json").json["jobs"]} == {"", "s01e04.mkv"}


def test_nothing_to_list(jobsaga: Jobsaga) -> None:
    said = jobsaga("list")
    assert (said.code, said.out, said.err) == (0, "", "No jobs.\n")
    assert jobsaga("list", "--type", "no.Such").err == "No such job.\n"
    assert jobsaga("list", "--json").json == {"jobs": [], "next": None}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--state", "Running"], "'Running' is no state of a job; these are: WaitingToStart"),
        (["--state", "Final"], "'Final' is no state of a job"),
        (["--limit", "0"], "must be a whole number from 1, not '0'"),
        (["--before", "xyz"], "'xyz' is no id of a job and no part of one"),
    ],
    ids=["state", "state of no row", "limit", "before"],
)
def test_what_makes_no_sense(jobsaga: Jobsaga, arguments: list[str], text: str) -> None:
    said = jobsaga("list", *arguments)
    assert (said.code, said.out) == (2, "")
    assert text in said.err


LIKE = [UUID("01a1fd27-c4b0-73c4-bd71-5a2451d1772c"), UUID("01a1fd27-c4db-776c-a993-f658f83a75a0")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("01a1fd27-c4b0-73c4-bd71-5a2451d1772c", LIKE[:1]),
        ("01A1FD27C4B073C4BD715A2451D1772C", LIKE[:1]),
        ("772c", LIKE[:1]),
        ("51d1772c", LIKE[:1]),
        ("bd715a2451d1772c", LIKE[:1]),
        ("bd71-5a2451d1772c", LIKE[:1]),
        ("4-bd71-5a2451d1772c", LIKE[:1]),
        ("1a1fd27c4b073c4bd715a2451d1772c", LIKE[:1]),
        ("01a1fd27-c4db-7", LIKE[1:]),
        ("01a1fd27c4db7", LIKE[1:]),
        ("01a1fd27-c4db-776c-a993-f658f83a75a", LIKE[1:]),
        ("01a1", LIKE),
        ("01a1fd27", LIKE),
        ("01a1fd27-", LIKE),
        ("fd27", []),
        ("01a1fd27-c4b0-73c4-bd71-5a2451d1772d", []),
    ],
)
def test_a_part_of_an_id(world: World, text: str, found: list[UUID]) -> None:
    for job_id in LIKE:
        world.submit(job_id=job_id)
    rows = world.place.rows("JobSaga").filter(id_like(text)).order_by("id")  # type: ignore[attr-defined]
    assert list(rows.values_list("id", flat=True)) == found


@pytest.mark.parametrize(
    "text", ["", "abc", "wxyz", "01a1_", "%%%%", "01a1fd27-c4b0-73c4-bd71-5a2451d1772c0"]
)
def test_no_part_of_an_id(text: str) -> None:
    with pytest.raises(ValueError, match="no part of one"):
        id_like(text)


def test_an_id_that_two_jobs_have(jobsaga: Jobsaga, world: World) -> None:
    for job_id in LIKE:
        world.submit(job_id=job_id)
    said = jobsaga("show", "01a1fd27")
    assert (said.code, said.out) == (1, "")
    assert "01a1fd27 is the id of more than one job" in said.err
    assert all(str(job_id) in said.err for job_id in LIKE)


def test_an_id_that_no_job_has(jobsaga: Jobsaga, world: World) -> None:
    world.submit()
    assert "No job has an id that begins or ends with 0123456" in jobsaga("show", "0123456").err
    missing = uuid7()
    said = jobsaga("show", missing)
    assert (said.code, said.out) == (1, "")
    assert f"There is no job {missing}" in said.err
