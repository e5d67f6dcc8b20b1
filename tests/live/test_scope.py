"""A user sees the jobs that the site's function gives them: on every page, in the admin, by the API, in buttons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.conf import settings as site_settings
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client, override_settings
from django.urls import reverse

from jobsaga.client import get_job_state
from jobsaga.conf import settings
from jobsaga.live import scope, shell
from jobsaga.live.actions import ACTIONS
from jobsaga.live.api.urls import ROUTES
from jobsaga.live.urls import urlpatterns
from jobsaga.messages import FinalizeJob
from jobsaga.models import DeadLetter
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE

MINE, OTHER, SHARED = "acme.Mine", "other.Theirs", "shared.Both"
SECRET = "sesame-secret"
PLACES = ("jobsaga_live", "admin:jobsaga_live")


def only_acme(user: Any, jobs: Any) -> Any:
    """What the site of these tests says."""
    return jobs if user.is_superuser else jobs.filter(submitted_by="acme")


@pytest.fixture(autouse=True)
def limited() -> Iterator[None]:
    with override_settings(JOBSAGA={**site_settings.JOBSAGA, "VISIBLE_JOBS": f"{__name__}.only_acme"}):
        yield


@pytest.fixture
def world(db: None) -> World:
    return World(DatabasePlace(None))


@pytest.fixture
def user(someone: Someone) -> Client:
    """Has every permission there is for jobs, and sees only those of acme."""
    every = Permission.objects.filter(content_type__app_label="jobsaga").values_list("codename", flat=True)
    return someone(*every, is_staff=True)


def submit(world: World, job_type: str, *, mine: bool) -> UUID:
    if mine:
        return world.submit(job_type, actor="acme", title="my own", message={"what": "my own"})
    hidden = {"what": SECRET}
    return world.submit(job_type, actor=SECRET, title=SECRET, message=hidden, properties=hidden)


def busy(world: World) -> tuple[list[UUID], list[UUID]]:
    """Jobs in many states, mine and hidden ones, on one worker."""
    mine, hidden = [], []
    worker = world.worker(limit=3, types=[MINE, OTHER, SHARED])
    for job_type, ids, own in (
        (MINE, mine, True),
        (OTHER, hidden, False),
        (SHARED, hidden, False),
        (SHARED, mine, True),
    ):
        ids += [submit(world, job_type, mine=own) for _ in range(4)]
    for start in worker.receive():
        theirs = start.job_id in hidden
        worker.started(start)
        worker.progress(start, 1, limit=9, message=SECRET if theirs else "going on")
        worker.log(start, SECRET if theirs else "a line", status="Step")
    world.lap()
    DeadLetter.objects.using(settings.DATABASE).create(
        at=shell.now(), endpoint="saga", job_id=hidden[0], body=SECRET, reason=SECRET
    )
    return mine, hidden


def addresses(ids: list[UUID]) -> Iterator[str]:
    """Everything that can be read: the pages in both places, the API, the admin."""
    for place in PLACES:
        for pattern in urlpatterns:
            name, wanted = pattern.name, pattern.pattern.converters
            if not wanted:
                yield reverse(f"{place}:{name}")
            elif set(wanted) == {"job_id"}:
                yield from (reverse(f"{place}:{name}", args=[each]) for each in ids)
            elif set(wanted) == {"name"}:
                yield from (reverse(f"{place}:{name}", args=[each]) for each in (MINE, OTHER, SHARED))
        yield reverse(f"{place}:jobs") + "?q=sesame"
        yield reverse(f"{place}:activity") + "?by=operators"
        yield reverse(f"{place}:find") + f"?q={ids[0].hex[-8:]}"
        yield reverse(f"{place}:submit", args=[OTHER]) + f"?again={ids[0]}"
    for route in ROUTES:
        if route.method == "get":
            args = [[each] for each in ids] if "uuid" in route.address else [[]]
            yield from (reverse(f"jobsaga_api:{route.name}", args=each) for each in args)
    for model in filter(admin.site.is_registered, apps.get_app_config("jobsaga").get_models()):
        name = f"admin:jobsaga_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        for row in model._base_manager.using(settings.DATABASE):
            yield reverse(f"{name}_change", args=[row.pk])


def read(client: Client, url: str) -> tuple[int, str]:
    answer: Any = client.get(url, follow=True)
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return answer.status_code, body.decode()


def test_no_address_shows_a_hidden_job(user: Client, client: Client, world: World) -> None:
    _, hidden = busy(world)
    letter = DeadLetter.objects.using(settings.DATABASE).create(
        at=shell.now(), endpoint="saga", body=SECRET, reason=SECRET
    )
    client.post(reverse("jobsaga_live:settle", args=[letter.pk, "discard"]))
    readable = shown = 0
    for url in addresses(hidden):
        status, body = read(user, url)
        readable += status == 200
        asked = url  # what was asked for may be said again
        named = [
            each
            for each in hidden
            if (str(each) in body or each.hex[-8:] in body) and each.hex[-8:] not in asked
        ]
        assert not named, (url, status)
        assert SECRET not in body, (url, status)
        shown += SECRET in read(client, url)[1]
    assert readable > 40
    assert shown > 40, "who sees all sees them there"


def test_what_is_visible_is_there(user: Client, world: World) -> None:
    mine, _ = busy(world)
    for each in mine:
        assert user.get(reverse("jobsaga_live:job", args=[each])).status_code == 200
        assert user.get(reverse("jobsaga_api:job", args=[each])).status_code == 200
        assert user.get(reverse("jobsaga_api:job-events", args=[each])).status_code == 200
        assert user.get(reverse("admin:jobsaga_jobsaga_change", args=[each])).status_code == 200
    listed = user.get("/api/v1/jobs?size=200").json()["jobs"]
    assert {each["jobId"] for each in listed} == {str(each) for each in mine}


def test_a_hidden_job_is_one_that_is_not_there(user: Client, world: World) -> None:
    job_id = submit(world, OTHER, mine=False)
    for name in ("job", "job-events", "events"):
        assert user.get(reverse(f"jobsaga_api:{name}", args=[job_id])).status_code == 404
    assert user.get(reverse("jobsaga_live:job", args=[job_id])).status_code == 404


@pytest.mark.parametrize("verb", ACTIONS)
def test_nobody_steers_what_they_do_not_see(user: Client, client: Client, world: World, verb: str) -> None:
    job_id = submit(world, OTHER, mine=False)
    if verb == "finalize":
        client.post(f"/api/v1/jobs/{job_id}/cancel", "{}", content_type="application/json")
    before = get_job_state(job_id)
    for place in PLACES:
        user.post(reverse(f"{place}:do", args=[job_id, verb]))
        user.post(reverse(f"{place}:do-many"), {"verb": verb, "job": [str(job_id)], "sure": "yes"})
        user.post(reverse(f"{place}:do-many"), {"verb": verb, "all": "yes", "q": "", "sure": "yes"})
    user.post(
        reverse("admin:jobsaga_jobsaga_changelist"),
        {"action": f"{verb}_jobs", "_selected_action": [str(job_id)]},
    )
    said = user.post(f"/api/v1/jobs/{job_id}/{verb}", json.dumps({}), content_type="application/json")
    assert said.status_code == 404
    after = get_job_state(job_id)
    assert (after.current_state, after.cancel_requested) == (before.current_state, before.cancel_requested)


def test_a_hidden_dead_letter_is_not_settled(user: Client, world: World) -> None:
    busy(world)
    letters = DeadLetter.objects.using(settings.DATABASE)
    for verb in ("replay", "discard"):
        user.post(reverse("jobsaga_live:settle", args=[letters.get().pk, verb]))
        assert letters.count() == 1


def test_the_history_of_a_job_that_is_gone_is_for_those_who_see_all(
    user: Client, client: Client, world: World
) -> None:
    job_id = submit(world, MINE, mine=True)
    client.post(f"/api/v1/jobs/{job_id}/cancel", "{}", content_type="application/json")
    world.command(FinalizeJob(job_id=job_id))
    assert user.get(f"/api/jobs/{job_id}").status_code == 404
    assert client.get(f"/api/jobs/{job_id}").status_code == 200


def test_a_page_may_watch_only_what_its_user_sees(user: Client, world: World) -> None:
    mine, hidden = submit(world, MINE, mine=True), submit(world, OTHER, mine=False)
    request: Any = user.get("/api/v1/stats").wsgi_request
    with scope.seen_by(scope.Viewer(request.user)):
        assert scope.visible(settings.DATABASE, {mine, hidden}) == {mine}
        assert not scope.sees_everything(settings.DATABASE)
    assert scope.visible(settings.DATABASE, {mine, hidden}) == {mine, hidden}, "outside it nothing is hidden"
