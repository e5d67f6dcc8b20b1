"""The list of jobs: every job is on exactly one page, whatever the order, and a search finds what it says."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import reverse

from jobsaga.conf import settings
from jobsaga.live.queries.filters import Asking
from jobsaga.live.queries.jobs import BadCursor, Cursor, page
from jobsaga.live.search import parse
from jobsaga.messages import FinalizeJob
from jobsaga.models import JobSaga
from jobsaga.sagas.states import JobStates
from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World
from tests.live import scenes
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE


def asking(*types: str) -> Asking:
    return Asking(settings.DATABASE, datetime.now(UTC), UTC, types)


def found(text: str, *types: str) -> set[UUID]:
    search = parse(text)
    assert not search.problems, search.problems
    return {job.id for job in page(search, asking(*types), size=1000).jobs}


@pytest.mark.parametrize("text", ["", "state:faulted"])
def test_every_job_is_on_one_page_also_when_all_ended_at_once(db: None, text: str) -> None:
    World(DatabasePlace(None)).submit_many(23)
    at = datetime.now(UTC)
    jobs = JobSaga.objects.using(settings.DATABASE)
    jobs.update(state=JobStates.FAULTED.value, finished_at=at, submitted_at=at)
    search, seen, pages = parse(text), [], []
    here = page(search, asking(), size=5)
    assert here.newer is None
    while True:
        pages.append([job.id for job in here.jobs])
        seen += pages[-1]
        if here.older is None:
            break
        here = page(search, asking(), before=Cursor.read(str(here.older)), size=5)
    assert len(seen) == len(set(seen)) == 23
    assert [len(each) for each in pages] == [5, 5, 5, 5, 3]
    for expected in reversed(pages[:-1]):
        assert here.newer is not None
        here = page(search, asking(), after=here.newer, size=5)
        assert [job.id for job in here.jobs] == expected
    assert here.newer is None


@pytest.mark.parametrize("text", ["x", "2026~", "2026-01-01~" + "0" * 32, "'", "~", "9" * 40])
def test_a_cursor_that_no_page_gave_is_refused(client: Client, text: str) -> None:
    with pytest.raises(BadCursor):
        page(parse("state:faulted"), asking(), before=Cursor.read(text))
    assert client.get(reverse("jobsaga_live:jobs"), {"before": text}).status_code == 404


def test_the_links_of_a_page_keep_the_search(client: Client) -> None:
    World(DatabasePlace(None)).submit_many(51)
    answer = client.get(reverse("jobsaga_live:jobs"), {"q": "state:waiting"})
    text = answer.content.decode()
    query = text.partition('rel="next" href="?')[2].partition('"')[0].replace("&amp;", "&")
    assert parse_qs(query)["q"] == ["state:waiting"]
    assert len(client.get(f"{reverse('jobsaga_live:jobs')}?{query}").context["page"].jobs) == 1


def test_a_search_finds_what_it_says(db: None) -> None:
    ids = scenes.usual_day()
    types = (scenes.CONVERT, scenes.PACK, scenes.RUN, scenes.CALL, scenes.QUICK, "reports.MonthEnd")
    faulted, running = ids["faulted"], ids["running"]
    for text, those in {
        "state:faulted": {faulted},
        "state:Canceled": {ids["canceled"]},
        "state:WaitingToRetry": {ids["retrying"]},
        "state:retrying,scheduled": {ids["retrying"], ids["scheduled"]},
        "error:ConnectionError": {faulted},
        'error:"rates.example"': {faulted},
        "error:TimeoutError": {ids["retrying"]},
        "attempts:>1": {faulted},
        "prop.tenant:acme": {faulted},
        "by:ana": {faulted},
        "reason:twice": {ids["canceled"]},
        f"id:{running.hex[-8:]}": {running},
        str(running): {running},
        "type:PackDirectory state:completed": {ids["completed"]},
        "type:packdirectory state:scheduled": {ids["scheduled"]},
        "rates.example": {faulted},
        "run:>2m state:completed": {ids["completed"]},
        "age:>5h": set(),
        "submitted:2020-01-01..2020-01-02": set(),
        f"worker:render-2:977 type:{scenes.RUN}": {ids["run_job"]},
        "prop.tenant__contains:acme": set(),
    }.items():
        assert found(text, *types) == those, text
    assert running in found("state:running worker:render-1")
    assert running in found("age:>20m")
    assert faulted in found("finished:<2h")
    assert running not in found("finished:<2h")
    assert found("submitted:<7d", *types) == set(
        JobSaga.objects.using(settings.DATABASE).values_list("id", flat=True)
    )
    assert (
        found("type:dashboard.*", *types) == found("type:dashboard*", *types) > found("type:QuickJob", *types)
    )


def test_a_search_that_makes_no_sense_finds_nothing_and_says_why(client: Client) -> None:
    World(DatabasePlace(None)).submit(TYPE)
    answer = client.get(reverse("jobsaga_live:jobs"), {"q": "stat:faulted"})
    assert not answer.context["page"].jobs
    assert "There is no stat: to search by. Did you mean state:?" in answer.content.decode()


@pytest.mark.parametrize("query", [{"before": "5"}, {"after": "x"}, {"before": "-1"}, {"after": "9" * 30}])
def test_numbers_in_the_address_of_the_activity_are_checked(client: Client, query: dict[str, str]) -> None:
    expected = 200 if query == {"before": "5"} else 404
    assert client.get(reverse("jobsaga_live:activity"), query).status_code == expected


def test_the_activity_has_every_event_on_one_page(client: Client) -> None:
    world = World(DatabasePlace(None))
    world.submit_many(130)
    url, seen = reverse("jobsaga_live:activity"), []
    here = client.get(url).context["page"]
    seen += [each.id for each in here.events]
    here = client.get(url, {"before": here.older}).context["page"]
    seen += [each.id for each in here.events]
    assert len(seen) == len(set(seen)) == world.place.rows("JobHistory").count()  # type: ignore[attr-defined]
    assert len(client.get(url, {"after": here.newer}).context["page"].events) == 100


def test_a_job_id_that_was_typed_leads_to_the_job(client: Client) -> None:
    unknown = uuid4()
    url = reverse("jobsaga_live:find")
    assert client.get(url, {"q": str(unknown)}).headers["Location"] == reverse(
        "jobsaga_live:job", args=[unknown]
    )
    assert client.get(url, {"q": "state:faulted"}).headers["Location"].endswith("?q=state%3Afaulted")


def test_a_title_names_a_job_wherever_it_is_listed(client: Client, someone: Someone, db: None) -> None:
    world = World(DatabasePlace(None))
    worker = world.worker()
    running = world.submit(title="s01e04 <b>.mkv", message={"secret": "what only some may see"})
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    shown = "s01e04 &lt;b&gt;.mkv"
    pages = [reverse(f"jobsaga_live:{name}") for name in ("now", "jobs", "workers", "activity")]
    pages += [
        reverse("jobsaga_live:job", args=[running]),
        reverse("jobsaga_live:type", args=["videos.Convert"]),
    ]
    for user in (client, someone("view_jobsaga")):
        for url in pages:
            page = user.get(url).content.decode()
            assert shown in page, url
            assert "s01e04 <b>" not in page
    for search in ("title:s01e04", "E04", 'title:"s01e04 <b>"'):
        assert shown in client.get(reverse("jobsaga_live:jobs"), {"q": search}).content.decode(), search
    assert shown not in client.get(reverse("jobsaga_live:jobs"), {"q": "title:other"}).content.decode()
    assert shown in client.get(reverse("admin:jobsaga_jobsaga_changelist")).content.decode()
    (job,) = client.get("/api/v1/jobs").json()["jobs"]
    assert job["title"] == "s01e04 <b>.mkv"
    worker.complete(start)
    world.lap()
    world.command(FinalizeJob(job_id=running))
    assert shown in client.get(reverse("jobsaga_live:job", args=[running])).content.decode(), "it is gone"
