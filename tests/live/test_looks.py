"""How the pages look to people with other needs: another direction, language, zone, colours, and less motion."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live import scenes, test_browser
from tests.live.browsing import DESK, PHONE, Server, Visit, superuser, visit
from tests.live.test_browser import live

pytestmark = [*test_browser.pytestmark, pytest.mark.timeout(300)]
browser, server, looking = test_browser.browser, test_browser.server, test_browser.looking


def test_from_right_to_left_on_a_desk_and_on_a_phone(
    browser: Browser, tmp_path: Path, transactional_db: None
) -> None:
    ids = scenes.usual_day()
    server = Server.start(tmp_path, JOBSAGA_TEST_LANGUAGE="ar")
    try:
        for viewport in (DESK, PHONE):
            with visit(browser, server, superuser(f"ada{viewport['width']}"), viewport=viewport) as looking:
                for path in ("/jobs/", "/jobs/jobs/", f"/jobs/jobs/{ids['faulted']}/", "/jobs/types/"):
                    page = looking.go(path)
                    assert page.locator("html").get_attribute("dir") == "rtl"
                    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
                    side, main = page.locator(".side").bounding_box(), page.locator("main").bounding_box()
                    assert side is not None
                    assert main is not None
                    assert viewport is PHONE or side["x"] > main["x"], (
                        "the navigation is where one begins to read"
                    )
                assert [each for each in looking.said if "favicon" not in each] == []
    finally:
        server.stop()


def test_the_script_speaks_german(browser: Browser, tmp_path: Path, transactional_db: None) -> None:
    job_id = World(DatabasePlace(None)).submit()
    server = Server.start(tmp_path, JOBSAGA_TEST_LANGUAGE="de")
    try:
        with visit(browser, server, superuser()) as looking:
            page = looking.go(f"/jobs/jobs/{job_id}/")
            live(page)
            expect(page.locator("[data-ago]").first).to_have_text(re.compile(r"^vor \d+ s$"))
            page.keyboard.press("p")
            expect(page.locator("#connection")).to_have_text("Angehalten")
            expect(page.locator("#theme")).to_have_attribute("aria-label", "Aussehen: wie das System")
    finally:
        server.stop()


def test_times_are_in_the_zone_that_is_chosen(
    browser: Browser, server: Server, transactional_db: None
) -> None:
    job_id = World(DatabasePlace(None)).submit()
    with visit(browser, server, superuser(), timezone_id="Asia/Tokyo") as looking:
        page = looking.go(f"/jobs/jobs/{job_id}/")
        expect(page.locator(".foot time")).to_contain_text("UTC")
        page.locator("#zone").select_option("Asia/Tokyo")
        page.wait_for_load_state()
        expect(page.locator(".foot time")).to_contain_text("JST")
        looking.go("/jobs/health/")
        expect(page.locator("#zone")).to_have_value("Asia/Tokyo")
        expect(page.locator(".foot time")).to_contain_text("JST")
        page.locator("#zone").select_option("UTC (the site's)")
        expect(page.locator(".foot time")).to_contain_text("UTC")


def test_who_wants_less_motion_gets_none(browser: Browser, server: Server, transactional_db: None) -> None:
    scenes.usual_day()
    moving = "[...document.querySelectorAll('*')].filter((each) => %s).length"
    style = "getComputedStyle(each)"
    durations = f"parseFloat({style}.transitionDuration) || {style}.animationName !== 'none'"
    with visit(browser, server, superuser(), reduced_motion="reduce") as looking:
        assert looking.go("/jobs/").evaluate(moving % durations) == 0


def test_forced_colors_leave_all_to_be_seen(browser: Browser, server: Server, transactional_db: None) -> None:
    ids = scenes.usual_day()
    with visit(browser, server, superuser(), forced_colors="active") as looking:
        page = looking.go(f"/jobs/jobs/{ids['running']}/")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        bar = page.locator('[data-region="status"] progress')
        assert bar.evaluate("(each) => getComputedStyle(each).borderTopWidth") == "1px"
        lane = page.locator(".lane .seg").first.evaluate("(each) => getComputedStyle(each).fill")
        assert lane not in (ground, "none")
        pill = page.locator('[data-region="status"] .pill')
        assert pill.evaluate("(each) => getComputedStyle(each).borderTopWidth") == "1px"


def test_two_attempts_are_compared_and_stay_open_while_the_page_follows(looking: Visit) -> None:
    ids = scenes.usual_day()
    page = looking.go(f"/jobs/jobs/{ids['faulted']}/")
    live(page)
    page.locator("#compare > summary").click()
    page.locator('[name="left"]').select_option("2")
    page.locator('[name="right"]').select_option("1")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".versus thead")).to_contain_text("Attempt 2")
    expect(page.locator("#compare")).to_have_attribute("open", "")
    assert [each for each in looking.said if "favicon" not in each] == []


def test_the_cells_of_a_row_stand_below_their_heads(looking: Visit) -> None:
    scenes.usual_day()
    page = looking.go("/jobs/jobs/")
    lefts = "(row) => [...row.children].map((each) => Math.round(each.getBoundingClientRect().left)).join()"
    places = page.locator(".jobs tr").evaluate_all(f"(rows) => rows.map({lefts})")
    assert len(set(places)) == 1, "an empty cell that is not there moves the others"
