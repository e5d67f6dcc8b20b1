"""Every page, on a site where nothing happened, on a usual day, and on an overloaded one."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobsaga.client import explain_job
from jobsaga.conf import settings
from jobsaga.messages import FinalizeJob
from jobsaga.models import JobSaga
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live import scenes
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE

PAGES = ("now", "jobs", "types", "workers", "schedules", "failures", "activity", "health")
SCRIPT = "<script>alert('x')</script>"


def address(name: str, *args: object, place: str = "jobsaga_live") -> str:
    return reverse(f"{place}:{name}", args=args)


def read(client: Client, url: str, status: int = 200, **query: str) -> str:
    answer = client.get(url, query)
    assert answer.status_code == status, (url, answer.status_code)
    return answer.content.decode()


def text_of(page: str) -> str:
    """What a reader sees, in one line."""
    body = re.sub(r"<head>.*?</head>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def all_addresses(ids: dict[str, UUID]) -> list[str]:
    found = [address(name) for name in PAGES] + [address("job", job_id) for job_id in ids.values()]
    return [*found, address("type", scenes.CONVERT)] if ids else found


@pytest.mark.parametrize(
    "scene", [dict, scenes.usual_day, scenes.overloaded], ids=lambda scene: scene.__name__
)
def test_every_page_reads(client: Client, scene: Callable[[], dict[str, UUID]]) -> None:
    for url in all_addresses(scene()):
        page = read(client, url)
        assert "<h1" in page, url
        assert "style=" not in page, f"{url}: the content policy would block it"
        assert not re.search(r"<script(?! type=\"module\" src=)", page), url
        assert not re.search(r"\son[a-z]+=", page), url


def test_no_page_asks_more_of_a_larger_site(client: Client) -> None:
    few = scenes.usual_day()
    pages = [address(name) for name in PAGES] + [
        address("job", few["running"]), address("type", scenes.CONVERT), f"{address('jobs')}?q=state:active",
        f"{address('jobs')}?q=state:faulted",
    ]  # fmt: skip
    before = {url: statements(client, url) for url in pages}
    scenes.overloaded()
    world = World(DatabasePlace(None))
    for number in range(6):
        world.submit_many(3, f"more.Type{number}", message={"n": number})
    assert {url: n for url in pages if (n := statements(client, url)) > before[url]} == {}


def statements(client: Client, url: str) -> int:
    """How many statements the page has for jobsaga's tables, and at most thirty."""
    with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
        assert client.get(url).status_code == 200
    asked = [each["sql"] for each in queries.captured_queries if "jobsaga_" in each["sql"]]
    assert len(asked) <= 30, "\n".join(asked)
    return len(asked)


def test_the_front_page_says_what_runs_waits_and_is_wrong(client: Client) -> None:
    scenes.usual_day()
    said = text_of(read(client, address("now")))
    assert "Running 5" in said or "Running 4" in said
    assert "No live worker runs reports.MonthEnd" in said
    assert "All 3 slots of its 2 workers are taken" in said
    assert "frame 5109" in said
    assert "render-1:4121" in said


def test_a_job_says_what_it_does_and_did(client: Client) -> None:
    ids = scenes.usual_day()
    running = text_of(read(client, address("job", ids["running"])))
    assert "51 %" in running
    assert "5,109 / 10,000" in running
    assert "render-1:4121" in running
    faulted = text_of(read(client, address("job", ids["faulted"])))
    for part in (
        "Faulted",
        "ConnectionError",
        "Traceback",
        "It failed 2 times",
        "by ana",
        "Asking again",
        "acme",
    ):
        assert part in faulted, part
    canceled = text_of(read(client, address("job", ids["canceled"])))
    assert "Canceled by ben" in canceled
    assert "Submitted twice" in canceled
    for name in ("retrying", "scheduled", "waiting"):
        why, page = explain_job(ids[name]), text_of(read(client, address("job", ids[name])))
        assert why.sentence.partition(" in ")[0] in page, name
        assert all(holder.job_id.hex[-8:] in page for holder in why.holders)


def test_a_job_that_is_gone_leaves_its_history(client: Client) -> None:
    world = World(DatabasePlace(None))
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    worker.started(start)
    worker.complete(start)
    world.lap()
    world.command(FinalizeJob(job_id=job_id))
    assert not JobSaga.objects.using(settings.DATABASE).filter(pk=job_id).exists()
    said = text_of(read(client, address("job", job_id)))
    assert "A job that is gone" in said
    assert "Completed" in said
    assert "There is no such job" in text_of(read(client, address("job", uuid4()), status=404))


def test_what_a_job_says_is_text_and_never_markup(client: Client) -> None:
    world = World(DatabasePlace(None))
    worker = world.worker(types=[SCRIPT], properties={SCRIPT: SCRIPT})
    world.place.rows("JobInstance").update(host=SCRIPT, version=SCRIPT, properties={SCRIPT: SCRIPT})  # type: ignore[attr-defined]
    fields = {"message": {SCRIPT: SCRIPT}, "properties": {SCRIPT: SCRIPT}, "actor": SCRIPT}
    job_id, other = world.submit(SCRIPT, **fields), world.submit(SCRIPT, **fields)
    (start,) = worker.receive()
    worker.started(start)
    worker.log(start, SCRIPT, status=SCRIPT, data={SCRIPT: SCRIPT})
    worker.progress(start, 1, limit=2, message=SCRIPT)
    worker.save(start, {SCRIPT: SCRIPT})
    world.lap()
    urls = [address(name) for name in PAGES] + [address("type", SCRIPT)]
    urls += [address("job", job_id), address("job", other), f"{address('jobs')}?q={SCRIPT}"]
    for url in urls:
        assert SCRIPT not in read(client, url), url
    worker.fault(start, SCRIPT)
    world.lap()
    for url in urls:
        assert SCRIPT not in read(client, url), url


def test_the_pages_protect_themselves(client: Client) -> None:
    answer = client.get(address("now"))
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("place", ["jobsaga_live", "admin:jobsaga_live"])
def test_only_those_who_may_see_jobs_see_them(someone: Someone, place: str) -> None:
    job_id = World(DatabasePlace(None)).submit(message={"secret": "tiger"}, properties={"tenant": "lion"})
    urls = [address(name, place=place) for name in PAGES] + [address("job", job_id, place=place)]
    stranger = someone("view_deadletter", is_staff=True)
    viewer = someone("view_jobsaga", is_staff=True)
    reader = someone("view_jobsaga", "view_job_payload", is_staff=True)
    for url in urls:
        anonymous = Client().get(url)
        assert anonymous.status_code == 302, url
        assert "/admin/login/" in anonymous.headers["Location"], url
        assert stranger.get(url).status_code == 403, url
        page = read(viewer, url)
        assert "tiger" not in page, url
        assert "lion" not in page, url
    assert "tiger" in read(reader, urls[-1])
    assert "lion" in read(reader, urls[-1])
    assert "may not search by properties" in read(viewer, urls[1], q="prop.tenant:lion")
    assert job_id.hex[-8:] in read(reader, urls[1], q="prop.tenant:lion")
    assert job_id.hex[-8:] not in read(viewer, urls[1], q="prop.tenant:lion")
    assert "tiger" in read(reader, address("jobs", place=place))


@pytest.mark.parametrize("place", ["jobsaga_live", "admin:jobsaga_live"])
def test_a_property_cannot_be_guessed_by_what_a_search_leads_to(someone: Someone, place: str) -> None:
    job_id = World(DatabasePlace(None)).submit(properties={"tenant": "lion"})
    for may in (True, False):
        user = someone("view_jobsaga", "cancel_job", *["view_job_payload"] * may, is_staff=True)
        said = {}
        for guess in ("lion", "bear"):
            typed = {"q": f"{job_id.hex[-8:]} prop.tenant:{guess}"}
            went = user.get(address("find", place=place), typed).headers["Location"]
            form = {"verb": "cancel", "all": "yes", "q": f"prop.tenant:{guess}"}
            asked = user.post(address("do-many", place=place), form)
            said[guess] = (went.partition("?")[0], asked.status_code)
        assert (said["lion"] != said["bear"]) == may


def test_the_admin_shows_the_pages_to_staff_only(someone: Someone) -> None:
    user = someone("view_jobsaga")
    assert user.get(address("now")).status_code == 200
    assert user.get(address("now", place="admin:jobsaga_live")).status_code == 302


def test_the_pages_stay_where_they_were_entered(client: Client) -> None:
    job_id = World(DatabasePlace(None)).submit()
    for place in ("jobsaga_live", "admin:jobsaga_live"):
        assert f'href="{address("job", job_id, place=place)}"' in read(client, address("jobs", place=place))
        found = client.get(address("find", place=place), {"q": job_id.hex[-8:]})
        assert found.headers["Location"] == address("job", job_id, place=place)
