"""The verbs for jobs in the admin's list: the same, with the same permissions; and the way to the live page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from jobsaga.live.actions import ACTIONS
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE

LIST = "admin:jobsaga_jobsaga_changelist"


@pytest.fixture
def world(db: None) -> World:
    return World(DatabasePlace(None))


def choose(client: Client, verb: str, jobs: list[Any], **fields: str) -> Any:
    doing = {"action": f"{verb}_jobs", "_selected_action": [str(each) for each in jobs], **fields}
    return client.post(reverse(LIST), doing, follow=True)


def test_the_list_offers_what_the_user_may_do(someone: Someone, world: World) -> None:
    world.submit()
    for verb, action in ACTIONS.items():
        codename = action.permission.rpartition(".")[2]
        page = someone("view_jobsaga", codename, is_staff=True).get(reverse(LIST)).content.decode()
        offered = {each for each in ACTIONS if f'value="{each}_jobs"' in page}
        assert offered == {verb}
    viewer = someone("view_jobsaga", is_staff=True).get(reverse(LIST)).content.decode()
    assert "_jobs" not in viewer


def test_the_selected_jobs_are_canceled_by_name(client: Client, world: World) -> None:
    jobs = world.submit_many(2)
    other = world.submit()
    answer = choose(client, "cancel", jobs)
    assert "2 jobs: each was asked to stop." in answer.content.decode()
    assert world.states(jobs) == ["Canceled", "Canceled"]
    assert world.state(other) == "WaitingForSlot"
    assert world.history(jobs[0])[-1].actor == "ada"
    assert "2 left alone: the job has ended already." in choose(client, "cancel", jobs).content.decode()


def test_what_a_user_may_not_do_is_not_done(someone: Someone, world: World) -> None:
    jobs = world.submit_many(2)
    choose(someone("view_jobsaga", "retry_job", is_staff=True), "cancel", jobs)
    assert world.states(jobs) == ["WaitingForSlot", "WaitingForSlot"]


def test_a_job_in_the_admin_leads_to_its_live_page(client: Client, world: World) -> None:
    job_id = world.submit()
    page = client.get(reverse("admin:jobsaga_jobsaga_change", args=[job_id])).content.decode()
    live = reverse("admin:jobsaga_live:job", args=[job_id])
    assert f'href="{live}"' in page
    assert client.get(live).status_code == 200


def test_progress_is_a_bar_where_the_limit_is_known(client: Client, world: World) -> None:
    worker = world.worker(limit=2)
    world.submit_many(2)
    one, two = worker.receive()
    worker.started(one)
    worker.started(two)
    worker.progress(one, 3, limit=12)
    worker.progress(two, 7)
    world.lap()
    page = client.get(reverse(LIST)).content.decode()
    assert '<progress max="1000" value="250" aria-label="Progress"></progress> 3 of 12' in page
    assert page.count("<progress") == 1


def test_the_reason_that_was_typed_beside_the_choice_is_in_the_history(client: Client, world: World) -> None:
    job_id = world.submit()
    assert 'name="reason"' in client.get(reverse(LIST)).content.decode()
    for verb, kind in (
        ("cancel", "CancelJob"),
        ("retry", "RetryJob"),
        ("cancel", "CancelJob"),
        ("finalize", "FinalizeJob"),
    ):
        choose(client, verb, [job_id], reason=f"{verb} <it>")
        last = [line for line in world.history(job_id) if line.kind == kind][-1]
        assert (last.actor, last.message) == ("ada", f"{verb} <it>")
