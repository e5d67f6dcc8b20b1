"""The verbs for jobs in the admin's list: the same, with the same permissions; and the way to the live page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from jobsaga.conf import settings
from jobsaga.live.actions import ACTIONS
from jobsaga.messages import CancelJob, encode
from jobsaga.models import DeadLetter, JobHistory, JobTypeHistory, JobTypeSaga
from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE

LIST = "admin:jobsaga_jobsaga_changelist"
TYPES = "admin:jobsaga_jobtypesaga_changelist"
LETTERS = "admin:jobsaga_deadletter_changelist"


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


def test_a_running_job_says_on_which_worker(client: Client, world: World) -> None:
    worker = world.worker()
    world.submit_many(2)
    worker.started(worker.receive()[0])
    world.lap()
    page = client.get(reverse(LIST)).content.decode()
    assert page.count('<td class="field-worker">test:1</td>') == 1
    assert page.count('<td class="field-worker">-</td>') == 1


def steer(client: Client, verb: str, **fields: str) -> str:
    (known,) = JobTypeSaga.objects.using(settings.DATABASE).values_list("pk", flat=True)
    doing = {"action": f"{verb}_types", "_selected_action": [str(known)], **fields}
    return str(client.post(reverse(TYPES), doing, follow=True).content.decode())


def test_job_types_are_paused_and_resumed_in_the_list(client: Client, world: World) -> None:
    world.worker()
    assert "No more jobs of this type are started" in steer(client, "pause", reason="the disk is full")
    world.lap()
    job_id = world.submit()
    assert world.state(job_id) == "WaitingForSlot"
    assert "by ada: the disk is full" in client.get(reverse(TYPES)).content.decode()
    steer(client, "resume")
    world.lap()
    assert world.state(job_id) == "StartingJobAttempt"
    assert "by ada" not in client.get(reverse(TYPES)).content.decode()
    rows = JobTypeHistory.objects.using(settings.DATABASE).order_by("id")
    assert [(row.job_type, row.actor) for row in rows] == [(TYPE, "ada")] * 2


def test_job_types_get_other_limits_in_the_list(client: Client, world: World) -> None:
    world.worker(limit=1)
    jobs = world.submit_many(3)
    assert "Nothing was done: per_worker must be" in steer(client, "limit", per_worker="many")
    assert "The limits are changed" in steer(
        client, "limit", per_worker="2", minutes="120", reason="catch up"
    )
    world.lap()
    assert world.states(jobs).count("WaitingForSlot") == 1
    page = client.get(reverse(TYPES)).content.decode()
    assert "2 per worker until " in page
    assert "by ada: catch up" in page
    steer(client, "revert")
    world.lap()
    assert "per worker until" not in client.get(reverse(TYPES)).content.decode()


def test_who_may_steer_job_types_there(someone: Someone, world: World) -> None:
    world.worker()
    for codename, verbs in (("pause_job_type", {"pause", "resume"}), ("limit_job_type", {"limit", "revert"})):
        one = someone("view_jobtypesaga", codename, is_staff=True)
        page = one.get(reverse(TYPES)).content.decode()
        assert {
            verb for verb in ("pause", "resume", "limit", "revert") if f'value="{verb}_types"' in page
        } == verbs
    steer(one, "pause")
    world.lap()
    assert not JobTypeSaga.objects.using(settings.DATABASE).filter(paused_at__isnull=False)


def settle(client: Client, verb: str, **fields: Any) -> str:
    keys = DeadLetter.objects.using(settings.DATABASE).values_list("pk", flat=True)
    doing = {"action": f"{verb}_letters", "_selected_action": [str(key) for key in keys], **fields}
    return str(client.post(reverse(LETTERS), doing, follow=True).content.decode())


def dead(world: World, job_id: Any, body: str) -> None:
    rows = DatabasePlace(None).rows("DeadLetter")
    rows.create(endpoint="saga", body=body, reason="odd", at=world.place.now(), job_id=job_id)


def test_dead_letters_are_handed_in_again_or_thrown_away_in_the_list(client: Client, world: World) -> None:
    job_id = world.submit()
    dead(world, job_id, encode(CancelJob(job_id=job_id)))
    dead(world, job_id, "{")
    page = settle(client, "replay", reason="mended")
    assert "It was handed in again." in page
    assert "it still cannot be read" in page
    world.lap()
    assert world.state(job_id) == "Canceled"
    assert "It was thrown away." in settle(client, "discard", reason="rubbish")
    assert not DeadLetter.objects.using(settings.DATABASE).all()
    rows = JobHistory.objects.using(settings.DATABASE).filter(kind__startswith="DeadLetter").order_by("id")
    assert [(row.kind, row.actor, row.message) for row in rows] == [
        ("DeadLetterReplay", "ada", "mended"), ("DeadLetterDiscard", "ada", "rubbish"),
    ]  # fmt: skip


def test_who_may_settle_dead_letters_there(someone: Someone, world: World) -> None:
    dead(world, None, "{")
    one = someone("view_deadletter", "replay_dead_letter", is_staff=True)
    page = one.get(reverse(LETTERS)).content.decode()
    assert 'value="replay_letters"' in page
    assert 'value="discard_letters"' not in page
    settle(one, "discard")
    assert DeadLetter.objects.using(settings.DATABASE).count() == 1
