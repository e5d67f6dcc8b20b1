"""The pages in a real browser: they follow what happens, can be used by everyone, and nothing in them is blocked."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as site_settings
from playwright.sync_api import Browser, Page, expect

from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live import scenes
from tests.live.browsing import (
    CHROMIUM,
    PHONE,
    Server,
    Visit,
    allow_queries_beside_playwright,
    chromium,
    superuser,
    visit,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.process,
    pytest.mark.sqlite,
    pytest.mark.django_db(transaction=True, databases=list(site_settings.DATABASES)),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

PAGES = (
    "/jobs/", "/jobs/jobs/", "/jobs/types/", "/jobs/workers/", "/jobs/schedules/", "/jobs/failures/",
    "/jobs/activity/", "/jobs/health/", "/jobs/letters/",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    allow_queries_beside_playwright()
    expect.set_options(timeout=20_000)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Server]:
    server = Server.start(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()
    print(server.process.log())


@pytest.fixture
def looking(browser: Browser, server: Server, transactional_db: None) -> Iterator[Visit]:
    with visit(browser, server, superuser()) as looking:
        yield looking


def live(page: Page) -> None:
    """Wait until the page is told what happens."""
    expect(page.locator("#connection")).to_have_attribute("data-kind", "live")


def row(page: Page, job_id: object) -> Any:
    return page.locator(f'[data-job="{job_id}"]').first


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_nothing_is_blocked(
    browser: Browser, server: Server, transactional_db: None, scheme: Any
) -> None:
    ids = scenes.usual_day()
    user = superuser()
    jobs = [f"/jobs/jobs/{ids[name]}/" for name in ("running", "faulted")]
    typed = f"/jobs/types/{scenes.CONVERT}/"
    problems = []
    with visit(browser, server, user, color_scheme=scheme) as looking:
        for path in (*PAGES, *jobs, typed):
            found = Axe().run(looking.go(path))
            problems += [
                (path, each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]
            ]
        assert [each for each in looking.said if "favicon" not in each] == []
    assert problems == []


def test_no_page_is_wider_than_a_phone(browser: Browser, server: Server, transactional_db: None) -> None:
    ids = scenes.overloaded()
    with visit(browser, server, superuser(), viewport=PHONE) as looking:
        for path in (*PAGES, f"/jobs/jobs/{ids['running']}/", f"/jobs/types/{scenes.CONVERT}/"):
            page = looking.go(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_job_is_followed_from_its_submission_to_its_end(looking: Visit) -> None:
    world = World(DatabasePlace(None))
    worker = world.worker()
    job_id = world.submit()
    page = looking.go(f"/jobs/jobs/{job_id}/")
    live(page)
    (start,) = worker.receive()
    worker.started(start)
    worker.log(start, "Reading the film", status="Reading")
    world.lap()
    status = page.locator('[data-region="status"]')
    expect(status.locator(".pill")).to_have_text("Running")
    expect(page.locator('[data-region="history"]')).to_contain_text("Reading the film")
    worker.progress(start, 3, limit=12, message="<i>frame 3</i>")
    world.lap()
    expect(status.locator("progress")).to_have_attribute("value", "250")
    expect(status.locator('[data-part="said"]')).to_have_text("3 / 12 <i>frame 3</i>")
    worker.complete(start, {"frames": 12})
    world.lap()
    expect(status.locator(".pill")).to_have_text("Completed")
    expect(page.locator('[data-region="result"]')).to_contain_text('"frames": 12')
    assert [each for each in looking.said if "favicon" not in each] == []


def test_a_change_is_on_the_page_within_a_moment(looking: Visit) -> None:
    world = World(DatabasePlace(None))
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    worker.started(start)
    worker.progress(start, 1, limit=1000)
    world.lap()
    page = looking.go("/jobs/")
    live(page)
    page.evaluate("""() => {
      window.seen = [];
      new MutationObserver(() => {
        const bar = document.querySelector('[data-part="bar"] progress');
        if (bar && seen.at(-1)?.[0] !== bar.value) seen.push([bar.value, Date.now()]);
      }).observe(document.body, { subtree: true, childList: true, attributes: true });
    }""")
    written = {}
    for step in range(20, 1000, 70):
        worker.progress(start, step, limit=1000)
        world.lap()
        written[step] = time.time() * 1000
        expect(row(page, job_id).locator("progress")).to_have_attribute("value", str(step))
    shown = dict(page.evaluate("window.seen"))
    delays = sorted(shown[step] - at for step, at in written.items())
    print("from commit to page, ms:", [round(each) for each in delays])
    assert delays[len(delays) // 2] < 600, "twice of what is promised: the machine may be busy"


def test_what_someone_has_selected_stays_where_it_is(looking: Visit) -> None:
    world = World(DatabasePlace(None))
    first = world.submit()
    page = looking.go("/jobs/jobs/")
    live(page)
    box = page.get_by_label(f"Select videos.Convert {first.hex[-8:]}")
    box.check()
    before = box.bounding_box()
    others = world.submit_many(3)
    worker = world.worker()
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    expect(page.locator("#waiting-changes")).to_contain_text("3 changes are not shown yet")
    expect(row(page, first).locator(".pill")).to_have_text("Running")
    assert row(page, others[0]).count() == 0
    assert box.is_checked()
    after = box.bounding_box()
    assert before is not None
    assert after is not None
    assert after["x"] == before["x"]
    page.get_by_role("button", name="Show").click()
    expect(row(page, others[0])).to_be_visible()


def test_a_pause_means_no_request_at_all(looking: Visit) -> None:
    world = World(DatabasePlace(None))
    world.submit()
    page = looking.go("/jobs/jobs/")
    live(page)
    page.keyboard.press("p")
    expect(page.locator("#connection")).to_have_text("Paused")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    new = world.submit()
    page.wait_for_timeout(2500)
    assert asked == []
    assert row(page, new).count() == 0
    page.keyboard.press("p")
    expect(row(page, new)).to_be_visible()
    live(page)


def test_what_happened_while_the_server_was_away_is_shown(
    browser: Browser, tmp_path: Path, transactional_db: None
) -> None:
    world = World(DatabasePlace(None))
    job_id = world.submit()
    server = Server.start(tmp_path)
    try:
        with visit(browser, server, superuser()) as looking:
            page = looking.go(f"/jobs/jobs/{job_id}/")
            live(page)
            server.stop()
            expect(page.locator("#connection")).not_to_have_attribute("data-kind", "live")
            worker = world.worker()
            (start,) = worker.receive()
            worker.started(start)
            worker.complete(start, {"frames": 1})
            world.lap()
            server = Server.start(tmp_path, port=server.port)
            expect(page.locator('[data-region="status"] .pill')).to_have_text("Completed")
            live(page)
    finally:
        server.stop()


def test_without_sockets_the_page_asks_again_and_again(
    browser: Browser, tmp_path: Path, transactional_db: None
) -> None:
    world = World(DatabasePlace(None))
    server = Server.start(tmp_path, asgi=False)
    try:
        with visit(browser, server, superuser()) as looking:
            page = looking.go("/jobs/jobs/")
            expect(page.locator("#connection")).to_have_text("Polling")
            job_id = world.submit()
            expect(row(page, job_id)).to_be_visible()
            assert [each for each in looking.said if "favicon" not in each] == []
    finally:
        server.stop()


def test_without_scripts_the_pages_read_and_steer(
    browser: Browser, server: Server, transactional_db: None
) -> None:
    world = World(DatabasePlace(None))
    job_id = world.submit()
    with visit(browser, server, superuser(), java_script_enabled=False) as looking:
        page = looking.go(f"/jobs/jobs/{job_id}/")
        expect(page.locator("#connection")).to_be_hidden()
        page.locator("summary", has_text="Cancel").click()
        page.get_by_label("Reason").fill("not needed")
        page.get_by_role("button", name="Cancel this job").click()
        expect(page.locator(".notes")).to_contain_text("The job was asked to stop.")
        expect(page.locator('[data-region="status"] .pill')).to_have_text("Canceled")


def test_the_keyboard_is_enough(looking: Visit) -> None:
    world = World(DatabasePlace(None))
    jobs = world.submit_many(3)
    page = looking.go("/jobs/")
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url("**/jobs/jobs/")
    live(page)
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_label(re.compile(f"Select .* {jobs[-1].hex[-8:]}"))).to_be_checked()
    page.keyboard.press("/")
    page.keyboard.type("p state:waiting")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=p+state**")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_theme_is_kept_and_there_from_the_first_moment(looking: Visit) -> None:
    page = looking.go("/jobs/")
    page.locator("#theme").click()
    page.locator("#theme").click()
    page.goto(page.url, wait_until="commit")
    assert page.locator("html").get_attribute("data-theme") == "dark"
