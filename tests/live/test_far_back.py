"""A search that no index answers looks through so many rows at once, says so, and goes on from there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobsaga.conf import settings
from jobsaga.live.queries import jobs
from jobsaga.live.queries.filters import Asking
from jobsaga.live.search import parse
from jobsaga.models import JobSaga
from jobsaga.sagas.states import JobStates
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE
from tests.live.test_pages import text_of

pytestmark = EVERYWHERE


def asking() -> Asking:
    now = timezone.now()
    return Asking(settings.DATABASE, now, timezone.get_current_timezone(), ())


@pytest.fixture
def ten(db: None, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Ten jobs, of which the first and the seventh are urgent; four are looked through at once."""
    monkeypatch.setattr(jobs, "LOOKED_THROUGH", 4)
    world = World(DatabasePlace(None))
    return [world.submit(priority=9 if number in (0, 6) else 0) for number in range(10)]


def test_it_looks_through_so_many_and_goes_on(ten: list[object]) -> None:
    search, seen, cursor, pages = parse("priority:9"), [], None, 0
    while True:
        page = jobs.page(search, asking(), before=cursor)
        seen += [job.id for job in page.jobs]
        pages += 1
        if page.older is None:
            break
        assert page.looked_through == 4
        cursor = page.older
    assert seen == [ten[6], ten[0]]
    assert pages == 3


def test_the_way_back_finds_the_same(ten: list[object]) -> None:
    search = parse("priority:9")
    last = jobs.page(search, asking(), after=jobs.Cursor(ten[0]))
    seen = [job.id for job in last.jobs]
    while last.newer is not None:
        last = jobs.page(search, asking(), after=last.newer)
        seen += [job.id for job in last.jobs]
    assert seen == [ten[6]]


def test_what_an_index_answers_is_not_cut_short(ten: list[object]) -> None:
    page = jobs.page(parse("state:waiting"), asking())
    assert (len(page.jobs), page.older, page.looked_through) == (10, None, 0)


def test_the_page_says_how_far_it_looked(ten: list[object], client: Client) -> None:
    said = client.get(reverse("jobsaga_live:jobs"), {"q": "reason:nowhere"}).content.decode()
    assert "4 jobs were looked through" in text_of(said)
    assert "Look further back" in said


def test_jobs_that_try_again_are_read_at_once_with_what_they_failed_with(client: Client) -> None:
    world = World(DatabasePlace(None))

    def statements(count: int) -> int:
        failed = {"type": "KeyError", "message": f"no such film {count}"}
        ids = world.submit_many(count)
        due = timezone.now() + timedelta(hours=1)
        rows = JobSaga.objects.using(settings.DATABASE).filter(pk__in=ids)
        rows.update(state=JobStates.WAITING_TO_RETRY.value, due_at=due, fault=failed)
        with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
            page = client.get(reverse("jobsaga_live:jobs"), {"q": "state:retrying"})
        assert page.status_code == 200
        return sum("jobsaga_" in each["sql"] for each in queries.captured_queries)

    assert statements(1) == statements(12)
