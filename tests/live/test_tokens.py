"""Tokens of the API: who they speak for, what they are for, and that a bad one opens nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobsaga.clock import ManualClock, use_clock
from jobsaga.conf import settings
from jobsaga.consumers import consumers, job_consumer
from jobsaga.live.models import SCOPES, ApiToken
from jobsaga.live.scope import Viewer, knows_type, seen_by
from jobsaga.live.tokens import make, recognised
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE

pytestmark = EVERYWHERE


@pytest.fixture
def world(db: None) -> World:
    return World(DatabasePlace(None))


def person(*codenames: str, **fields: Any) -> Any:
    user = get_user_model().objects.create_user("robot", password="x", **fields)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="jobsaga", codename__in=codenames)
    )
    return user


def everything() -> Any:
    return person(
        *Permission.objects.filter(content_type__app_label="jobsaga").values_list("codename", flat=True)
    )


def bearer(text: str, **more: Any) -> Client:
    return Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {text}"}, **more)


def post(client: Client, url: str, **body: Any) -> Any:
    return client.post(url, json.dumps(body), content_type="application/json")


def test_a_token_reads_in_its_users_name_and_steers_without_a_csrf_token(world: World) -> None:
    _, text = make("nightly import", everything(), ["read", "steer"])
    job_id = world.submit()
    client = bearer(text)
    assert client.get("/api/jobs").status_code == 200
    assert post(client, f"/api/v1/jobs/{job_id}/cancel", reason="too old").status_code == 200
    last = world.history(job_id)[-1]
    assert (last.actor, last.message) == ("robot (nightly import)", "too old")


def test_it_is_for_its_scopes_and_no_more_than_its_user_may(world: World) -> None:
    job_id = world.submit()
    asked = {
        "read": lambda client: client.get("/api/v1/stats"),
        "submit": lambda client: post(client, "/api/v1/submit", jobType="no.Such"),
        "steer": lambda client: post(client, f"/api/v1/jobs/{job_id}/run"),
    }
    user = everything()
    for scope in SCOPES:
        _, text = make(scope, user, [scope])
        for name, ask in asked.items():
            answer = ask(bearer(text))
            assert (answer.status_code == 403) == (name != scope), (scope, name, answer.content)
            if name != scope:
                assert answer.json()["error"] == "not-permitted"
                assert scope in answer.json()["detail"]
    user.user_permissions.clear()
    for scope in SCOPES:
        _, text = make(f"{scope} 2", get_user_model().objects.get(pk=user.pk), [scope])
        assert asked[scope](bearer(text)).status_code == 403


def test_it_may_be_for_some_job_types_only(world: World) -> None:
    film, sound, other = world.submit("videos.Film"), world.submit("videos.Sound"), world.submit("audio.Mix")
    user = everything()
    _, text = make("videos", user, ["read", "steer", "submit"], types=["videos.*"])
    _, alone = make("film", user, ["read"], types=["videos.Film"])
    client = bearer(text)
    listed = {each["jobId"] for each in client.get("/api/v1/jobs").json()["jobs"]}
    assert listed == {str(film), str(sound)}
    assert {each["jobId"] for each in client.get("/api/jobs").json()} == listed
    assert {each["jobId"] for each in bearer(alone).get("/api/v1/jobs").json()["jobs"]} == {str(film)}
    assert client.get(f"/api/v1/jobs/{other}").status_code == 404
    assert client.get(f"/api/jobs/{other}").status_code == 404
    assert post(client, f"/api/v1/jobs/{other}/cancel").status_code == 404
    assert world.state(other) == "WaitingForSlot"
    assert "audio.Mix" not in {each["name"] for each in client.get("/api/v1/types").json()}
    for types in (["videos.Film"], ["audio.Mix"], ["videos.Film", "audio.Mix"]):
        world.worker(types=types)
    assert [each["jobTypes"] for each in client.get("/api/v1/workers").json()] == [["videos.Film"]]
    with consumers.temporary():

        @job_consumer(job_type_name="audio.Play")
        def play(context: object) -> None: ...

        @job_consumer(job_type_name="videos.Play")
        def show(context: object) -> None: ...

        assert post(client, "/api/v1/submit", jobType="audio.Play").status_code == 403
        assert post(client, "/api/v1/submit", jobType="videos.Play").status_code == 201


@pytest.mark.parametrize(
    "pattern", ["videos.Film", "videos.*", "*", "v?deos.Film", "[v]ideos.Film", "v*.Film"]
)
def test_what_it_sees_is_what_it_may_submit_and_steer(world: World, pattern: str) -> None:
    world.submit("videos.Film")
    viewer = Viewer(everything(), (pattern,))
    with seen_by(viewer):
        assert viewer.jobs(settings.DATABASE)[0].exists() == knows_type("videos.Film")


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer jobsaga_", "Bearer jobsaga_x", "Basic cm9ib3Q6eA==", "Bearer " + "x" * 10_000,
     "Bearer jobsaga_\xe9", "jobsaga_x", "Bearer jobsaga_" + "A" * 43],
)  # fmt: skip
def test_a_bad_token_opens_nothing_though_the_session_would(client: Client, header: str) -> None:
    answer = client.get("/api/jobs", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="jobsaga"'
    assert answer.json()["error"] in ("bad-token", "not-authenticated")
    assert client.get("/api/jobs").status_code == 200


def test_it_ends_when_it_is_revoked_or_expires_or_its_user_leaves(db: None) -> None:
    clock = ManualClock()
    user = everything()
    with use_clock(clock):
        token, text = make("a", user, ["read"], expires_at=clock.now() + timedelta(hours=1))
        assert recognised(text) == token
        clock.advance(timedelta(hours=1))
        assert recognised(text) is None
    token, text = make("b", user, ["read"])
    call_command("jobsaga_tokens", "revoke", "b", stdout=StringIO())
    assert recognised(text) is None
    _, text = make("c", user, ["read"])
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    assert recognised(text) is None
    assert bearer(text).get("/api/jobs").status_code == 401


def test_only_its_hash_is_stored_and_each_is_another(db: None) -> None:
    user = everything()
    texts = [make(str(n), user, ["read"])[1] for n in range(20)]
    assert len(set(texts)) == 20
    stored = str(list(ApiToken.objects.values()))
    assert not any(text in stored or text.removeprefix("jobsaga_") in stored for text in texts)
    assert min(map(len, texts)) >= 50


def test_its_use_is_written_once_a_minute(db: None) -> None:
    clock = ManualClock()
    with use_clock(clock):
        token, text = make("a", everything(), ["read"])
        for seconds, writes in ((0, 1), (1, 0), (58, 0), (2, 1), (30, 0)):
            clock.advance(timedelta(seconds=seconds))
            with CaptureQueriesContext(connections[ApiToken.objects.db]) as queries:
                assert recognised(text)
            assert sum(each["sql"].startswith("UPDATE") for each in queries.captured_queries) == writes, (
                seconds
            )
            assert len(queries) == 1 + writes
    token.refresh_from_db()
    assert token.last_used_at == clock.now() - timedelta(seconds=30)


def test_a_session_still_needs_its_csrf_token(client: Client, world: World) -> None:
    job_id = world.submit()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    refused = post(strict, f"/api/v1/jobs/{job_id}/cancel")
    assert (refused.status_code, refused.json()["error"]) == (403, "csrf")
    assert world.state(job_id) == "WaitingForSlot"
    page = strict.get(reverse("jobsaga_live:job", args=[job_id]))
    assert page.status_code == 200
    token = strict.cookies["csrftoken"].value
    answer = strict.post(
        f"/api/v1/jobs/{job_id}/cancel", "{}", content_type="application/json", headers={"x-csrftoken": token}
    )
    assert answer.status_code == 200
    assert world.state(job_id) == "Canceled"


def test_a_token_opens_no_page(world: World) -> None:
    _, text = make("a", everything(), ["read", "steer"])
    assert bearer(text).get(reverse("jobsaga_live:jobs")).status_code == 302


class TestCommand:
    def call(self, *args: str) -> str:
        out = StringIO()
        call_command("jobsaga_tokens", *args, stdout=out, stderr=StringIO())
        return out.getvalue()

    def test_add_prints_the_token_once_and_list_says_what_it_is_for(self, db: None) -> None:
        everything()
        text = self.call(
            "add", "ci", "--user", "robot", "--scope", "read,steer", "--type", "videos.*", "--expires", "90d"
        )
        token = recognised(text.strip())
        assert token is not None
        assert (token.scopes, token.types) == (["read", "steer"], ("videos.*",))
        assert token.expires_at is not None
        assert abs(token.expires_at - token.created_at - timedelta(days=90)) < timedelta(seconds=5)
        listed = self.call("list")
        assert listed.startswith("ci  robot  read,steer of videos.*  valid, until ")
        assert text.strip() not in listed
        assert self.call("revoke", "ci") == "Revoked.\n"
        assert self.call("revoke", "ci") == "It was revoked already.\n"
        assert "revoked" in self.call("list")

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["add", "x", "--user", "nobody"], "There is no user 'nobody'"),
            (["add", "x", "--user", "robot", "--scope", "all"], "must be some of read, submit, steer"),
            (["add", "x", "--user", "robot", "--expires", "soon"], "must be a time like 12h"),
            (["add", "taken", "--user", "robot"], "There is a token of the name 'taken' already"),
            (["revoke", "x"], "There is no token 'x'"),
        ],
        ids=lambda each: each[-1] if isinstance(each, list) else "",
    )
    def test_what_makes_no_sense_is_said(self, db: None, args: list[str], said: str) -> None:
        make("taken", everything(), ["read"])
        with pytest.raises(CommandError, match=said):
            self.call(*args)


def test_the_admin_lists_them_and_revokes_them(client: Client, db: None) -> None:
    token, text = make("ci", everything(), ["read"])
    url = reverse("admin:jobsaga_live_apitoken_changelist")
    assert "ci" in client.get(url).content.decode()
    page = client.get(reverse("admin:jobsaga_live_apitoken_change", args=[token.pk])).content.decode()
    assert token.digest not in page
    client.post(url, {"action": "revoke_tokens", "_selected_action": [token.pk]})
    assert recognised(text) is None
    assert client.get(reverse("admin:jobsaga_live_apitoken_add")).status_code == 403
    assert client.post(reverse("admin:jobsaga_live_apitoken_delete", args=[token.pk])).status_code == 403
