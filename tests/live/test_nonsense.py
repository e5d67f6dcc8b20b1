"""What no person types: it is found nowhere or refused in words, and is never an error of the server."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from jobsaga.client import pause_job_type
from jobsaga.exceptions import UnknownJobType
from jobsaga.live.queries.jobs import Cursor
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE

pytestmark = EVERYWHERE
DEEP = "[" * 20_000 + "]" * 20_000


@pytest.fixture
def world(db: None) -> World:
    return World(DatabasePlace(None))


@pytest.mark.parametrize(
    "text",
    ["type:\0", "\0abc", "worker:\0", "worker:a\0:5", "prop.a:\0", "prop.\0:x", "error:\0", "by:\0", "title:\0",
     "priority:>999999999999", "attempts:>999999999999", "run:<=9999999w", "worker:h:123456789"],
)  # fmt: skip
def test_a_search_finds_nothing(client: Client, world: World, text: str) -> None:
    world.submit()
    assert not client.get(reverse("jobsaga_live:jobs"), {"q": text}).context["page"].jobs
    assert client.get("/api/v1/jobs", {"q": text}).status_code in (200, 400)
    assert client.get(reverse("jobsaga_live:find"), {"q": text}).status_code == 302


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize(
    "text",
    ["submitted:9999-12-31", "finished:..9999-12-31", "submitted:0001-01-01", "submitted:0001-01-01.."],
)
def test_a_day_at_the_end_of_time_is_refused(client: Client, db: None, text: str, zone: str) -> None:
    client.cookies["jobsaga_zone"] = zone
    assert "takes a time" in client.get(reverse("jobsaga_live:jobs"), {"q": text}).content.decode()
    assert client.get("/api/v1/jobs", {"q": text}).json()["error"] == "search-not-understood"


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_nor_does_a_page_begin_there(client: Client, db: None, at: str) -> None:
    cursor = {"q": "state:faulted", "before": f"{at}~{UUID(int=7)}"}
    assert client.get(reverse("jobsaga_live:jobs"), cursor).status_code == 404
    assert client.get("/api/v1/jobs", cursor).json()["error"] == "unknown-cursor"


def test_a_cursor_is_read_as_it_was_given() -> None:
    text = f"2026-11-21T10:00:00.000001+00:00~{UUID(int=7)}"
    assert str(Cursor.read(text)) == text


def test_a_form(client: Client, world: World) -> None:
    job_id = world.submit()
    answer = client.post(
        reverse("jobsaga_live:do", args=[job_id, "cancel"]), {"expected_version": "9" * 5000}
    )
    assert answer.status_code == 302
    address = reverse("jobsaga_live:steer-type", args=["x", "pause"]).replace("/x/", "/%00/")
    assert client.post(address).status_code == 302
    settled = client.post(reverse("jobsaga_live:settle", args=[10**30, "discard"]))
    assert settled.status_code == 302


def test_a_type_that_no_database_can_be_asked_for(client: Client, db: None) -> None:
    for name in ("a\0b", "\ud800"):
        with pytest.raises(UnknownJobType):
            pause_job_type(name)
    answer = client.post("/api/v1/types/%00/pause", "{}", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (404, "no-such-type")


@pytest.mark.parametrize(
    ("body", "status"),
    [(f'{{"message": {{"a": {DEEP}}}}}', 400), (f'{{"jobType": "x", "message": {{"a": {DEEP}}}}}', 400),
     (" " * 3_000_000, 413), (b'{"jobType": "\xff"}', 400), ('{"jobType": "\\ud800"}', 400)],
    ids=["deep", "deep and whole", "larger than Django takes", "no UTF-8", "half a pair"],
)  # fmt: skip
def test_a_body_is_refused_in_json(client: Client, db: None, body: str | bytes, status: int) -> None:
    answer = client.post("/api/v1/submit", body, content_type="application/json")
    assert answer.status_code == status
    assert answer.json()["detail"]
