"""Who may do what to a job in which state: buttons, posts, many at once."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from jobsaga.client import get_job_state
from jobsaga.live.actions import ACTIONS, MOST
from jobsaga.sagas import JOB, JobStates
from jobsaga.sagas.states import STORED_JOB_STATES
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE

PERMISSIONS = {name: action.permission.rpartition(".")[2] for name, action in ACTIONS.items()}


@pytest.fixture
def world(db: None) -> World:
    return World(DatabasePlace(None))


def page_of(client: Client, job_id: UUID) -> str:
    return client.get(reverse("jobsaga_live:job", args=[job_id])).content.decode()


def post(client: Client, job_id: UUID, verb: str, **fields: Any) -> Any:
    return client.post(reverse("jobsaga_live:do", args=[job_id, verb]), fields, follow=True)


def said(answer: Any) -> str:
    return " ".join(str(note) for note in answer.context["notes"])


def in_state(world: World, state: JobStates) -> UUID:
    job_id = world.submit()
    world.place.rows("JobSaga").filter(pk=job_id).update(state=state.value)  # type: ignore[attr-defined]
    return job_id


@pytest.mark.parametrize("state", STORED_JOB_STATES, ids=str)
def test_a_button_is_there_exactly_when_the_saga_would_do_something(
    client: Client, world: World, state: JobStates
) -> None:
    job_id = in_state(world, state)
    page = page_of(client, job_id)
    for verb, action in ACTIONS.items():
        works = f'action="{reverse("jobsaga_live:do", args=[job_id, verb])}"' in page
        assert works == (action.message in JOB.accepts(state)), verb
        assert works or f": {action.refusal(state).replace(chr(39), '&#x27;')}</span>" in page, (
            "a reason is given"
        )


@pytest.mark.parametrize("verb", ACTIONS)
def test_only_those_with_the_permission_see_the_button_and_may_post(
    someone: Someone, world: World, verb: str
) -> None:
    state = next(each for each in STORED_JOB_STATES if ACTIONS[verb].message in JOB.accepts(each))
    job_id = in_state(world, state)
    others = [codename for name, codename in PERMISSIONS.items() if name != verb]
    without, allowed = someone("view_jobsaga", *others), someone("view_jobsaga", PERMISSIONS[verb])
    address = reverse("jobsaga_live:do", args=[job_id, verb])
    assert f'action="{address}"' not in page_of(without, job_id)
    assert without.post(address).status_code == 403
    many = {"verb": verb, "job": [str(job_id)], "sure": "yes"}
    assert without.post(reverse("jobsaga_live:do-many"), many).status_code == 403
    assert Client().post(address).status_code == 302
    assert get_job_state(job_id).current_state == state.label
    assert f'action="{address}"' in page_of(allowed, job_id)
    assert allowed.get(address).status_code == 405
    assert allowed.post(address).status_code == 302
    assert get_job_state(job_id).current_state != state.label


def test_a_cancel_is_written_down_with_the_person_and_the_reason(client: Client, world: World) -> None:
    job_id = world.submit()
    answer = post(client, job_id, "cancel", reason="Submitted twice")
    assert "was asked to stop" in said(answer)
    last = world.history(job_id)[-1]
    assert (last.kind, last.actor, last.message) == ("CancelJob", "ada", "Submitted twice")
    people = client.get(reverse("jobsaga_live:activity"), {"by": "people"}).content.decode()
    assert "Submitted twice" in people
    assert "ada" in people


def test_what_has_changed_since_it_was_seen_is_left_alone(client: Client, world: World) -> None:
    job_id = world.submit()
    version = world.job(job_id).version
    worker = world.worker()
    worker.started(worker.receive()[0])
    world.lap()
    answer = post(client, job_id, "cancel", expected_version=str(version))
    assert "Nothing was done: it has changed since you looked, and is Running now." in said(answer)
    assert world.state(job_id) == "Started"
    post(client, job_id, "cancel", expected_version=str(world.job(job_id).version))
    world.lap()
    assert world.state(job_id) == "CancellationPending"


def test_what_the_saga_refuses_is_said(client: Client, world: World) -> None:
    job_id = world.submit()
    assert "Nothing was done: it is runnable already." in said(post(client, job_id, "retry"))
    assert "Nothing was done: it is gone." in said(post(client, uuid4(), "retry"))
    assert client.post(reverse("jobsaga_live:do", args=[job_id, "explode"])).status_code == 404


def test_a_post_needs_its_token(world: World, client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    job_id = world.submit()
    assert strict.post(reverse("jobsaga_live:do", args=[job_id, "cancel"])).status_code == 403
    assert world.state(job_id) == "WaitingForSlot"


def test_people_come_back_to_a_page_of_this_site_only(client: Client, world: World) -> None:
    job_id = world.submit()
    address = reverse("jobsaga_live:do", args=[job_id, "retry"])
    for wanted, found in {
        "/jobs/jobs/?q=x": "/jobs/jobs/?q=x",
        "https://evil.example/": reverse("jobsaga_live:job", args=[job_id]),
        "//evil.example": reverse("jobsaga_live:job", args=[job_id]),
        "javascript:alert(1)": reverse("jobsaga_live:job", args=[job_id]),
    }.items():
        assert client.post(address, {"next": wanted}).headers["Location"] == found
    many = {"verb": "cancel", "job": [str(job_id)], "next": "javascript:alert(1)"}
    assert "javascript:" not in client.post(reverse("jobsaga_live:do-many"), many).content.decode()


def test_many_at_once_are_counted_first_and_told_after(client: Client, world: World) -> None:
    jobs = world.submit_many(3)
    ended = world.submit()
    world.place.rows("JobSaga").filter(pk=ended).update(state=JobStates.COMPLETED.value)  # type: ignore[attr-defined]
    address = reverse("jobsaga_live:do-many")
    chosen = {"verb": "cancel", "job": [str(each) for each in (*jobs, ended)]}
    assert "Cancel 4 jobs?" in client.post(address, chosen).content.decode()
    assert world.states(jobs) == ["WaitingForSlot"] * 3, "nothing is done before someone is sure"
    answer = client.post(address, {**chosen, "sure": "yes", "reason": "clean up"}, follow=True)
    assert said(answer) == "3 jobs: each was asked to stop. 1 left alone: the job has ended already."
    assert world.states(jobs) == ["Canceled"] * 3
    assert "No job was selected" in said(client.post(address, {"verb": "cancel", "job": ["x"]}, follow=True))


def test_all_that_match_means_the_search_and_no_job_besides(client: Client, world: World) -> None:
    wanted = world.submit_many(4, "videos.Convert")
    other = world.submit("audio.Mix")
    address = reverse("jobsaga_live:do-many")
    chosen = {"verb": "cancel", "all": "yes", "q": "type:videos.Convert"}
    page = client.post(address, chosen).content.decode()
    assert "Cancel 4 jobs?" in page
    assert str(other) not in page
    sure = {"verb": "cancel", "sure": "yes", "job": [str(each) for each in wanted]}
    client.post(address, sure)
    assert world.state(other) == "WaitingForSlot"
    nonsense = client.post(address, {"verb": "cancel", "all": "yes", "q": "tpye:videos.Convert"}, follow=True)
    assert "No job was selected" in said(nonsense), "a search that makes no sense matches nothing"


def test_no_more_than_a_bounded_number_is_taken(client: Client, world: World) -> None:
    world.submit_many(MOST + 1)
    page = client.post(
        reverse("jobsaga_live:do-many"), {"verb": "cancel", "all": "yes", "q": ""}
    ).content.decode()
    assert page.count('name="job"') == MOST
    assert f"More than {MOST}" in page


def test_the_groups_are_made_once_and_completed(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("jobsaga_groups")
    viewer = Group.objects.get(name="Jobs: viewer")
    assert viewer.permissions.filter(codename="view_jobsaga").exists()
    assert not viewer.permissions.filter(codename="cancel_job").exists()
    operator = Group.objects.get(name="Jobs: operator")
    assert {each.codename for each in operator.permissions.all()} >= {"cancel_job", "retry_job", "run_job"}
    operator.permissions.clear()
    capsys.readouterr()
    call_command("jobsaga_groups")
    assert "Jobs: viewer: complete already\nJobs: operator: completed by" in capsys.readouterr().out


def test_every_action_takes_a_reason_on_the_page_and_in_the_api(client: Client, world: World) -> None:
    job_id = world.submit()
    for verb, kind in (("cancel", "CancelJob"), ("retry", "RetryJob")):
        assert 'name="reason"' in page_of(client, job_id)
        post(client, job_id, verb, reason=f" {verb} it ")
        last = [line for line in world.history(job_id) if line.kind == kind][-1]
        assert (last.actor, last.message) == ("ada", f"{verb} it")
    for verb, kind in (("cancel", "CancelJob"), ("finalize", "FinalizeJob")):
        body = json.dumps({"reason": f"{verb} it"})
        client.post(reverse(f"jobsaga_api:{verb}", args=[job_id]), body, content_type="application/json")
        last = [line for line in world.history(job_id) if line.kind == kind][-1]
        assert (last.actor, last.message) == ("ada", f"{verb} it")
