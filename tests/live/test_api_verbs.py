"""Job types are paused and limited, and workers drained, over the API: by permission and scope, with a reason."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobsaga.conf import settings
from jobsaga.live.tokens import make
from jobsaga.models import JobTypeHistory
from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE

VERBS = {
    "pause": "pause_job_type", "resume": "pause_job_type", "limit": "limit_job_type", "revert": "limit_job_type",
}  # fmt: skip


@pytest.fixture
def world(db: None) -> World:
    return World(DatabasePlace(None))


def ask(client: Client, url: str, status: int = 202, **body: Any) -> Any:
    answer = client.post(f"/api/v1/{url}", json.dumps(body), content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def robot(*scopes: str, types: tuple[str, ...] = ()) -> Client:
    """A program with a token of one who may do everything."""
    users = get_user_model().objects
    ada = users.filter(username="ada").first() or users.create_superuser("ada", password="x")
    name = f"{'-'.join(scopes)} {' '.join(types)}"
    return Client(headers={"authorization": f"Bearer {make(name, ada, scopes, types=types)[1]}"})


def history() -> list[tuple[str, str, str]]:
    rows = JobTypeHistory.objects.using(settings.DATABASE).order_by("id")
    return list(rows.values_list("kind", "message", "actor"))


def test_a_pause_holds_jobs_back_until_it_is_resumed(client: Client, world: World) -> None:
    world.worker(limit=1)
    assert ask(client, f"types/{TYPE}/pause", reason=" the disk is full ") == {"asked": "pause", "of": TYPE}
    world.lap()
    job_id = world.submit()
    assert world.state(job_id) == "WaitingForSlot"
    paused = {each["name"]: each["paused"] for each in client.get("/api/v1/types").json()}
    assert paused[TYPE]
    ask(client, f"types/{TYPE}/resume")
    world.lap()
    assert world.state(job_id) == "StartingJobAttempt"
    (first, _) = history()
    assert first[1:] == ("the disk is full", "ada")


def test_other_limits_hold_until_they_are_reverted(client: Client, world: World) -> None:
    world.worker(limit=1)
    jobs = world.submit_many(3)
    ask(client, f"types/{TYPE}/limit", concurrentJobLimit=2, seconds=7200, reason="catch up")
    world.lap()
    assert world.states(jobs).count("WaitingForSlot") == 1
    line = next(each for each in client.get("/api/v1/types").json() if each["name"] == TYPE)
    assert (line["concurrentJobLimit"], line["capacity"]) == (2, 2)
    assert line["overrideUntil"]
    ask(client, f"types/{TYPE}/revert")
    ask(client, f"types/{TYPE}/limit", globalConcurrentJobLimit=0)
    world.lap()
    line = next(each for each in client.get("/api/v1/types").json() if each["name"] == TYPE)
    assert (line["concurrentJobLimit"], line["globalConcurrentJobLimit"], line["capacity"]) == (1, 0, 0)


def test_a_drained_worker_gets_no_more_jobs(client: Client, world: World) -> None:
    worker = world.worker(limit=2)
    assert ask(client, f"workers/{worker.id}/drain", reason="new kernel")["of"] == str(worker.id)
    world.lap()
    job_id = world.submit()
    assert world.state(job_id) == "WaitingForSlot"
    ask(client, f"workers/{worker.id}/undrain")
    world.lap()
    assert world.state(job_id) == "StartingJobAttempt"
    assert history()[0][1:] == ("new kernel", "ada")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"concurrentJobLimit": -1}, 400),
        ({"concurrentJobLimit": 2**31}, 400),
        ({"concurrentJobLimit": 1, "seconds": 0}, 400),
        ({"concurrentJobLimit": 1, "seconds": 1e12}, 400),
        ({"concurrentJobLimit": "1"}, 400),
    ],
)
def test_a_limit_that_makes_no_sense_changes_nothing(
    client: Client, world: World, body: dict[str, Any], status: int
) -> None:
    world.worker(limit=1)
    ask(client, f"types/{TYPE}/limit", status, **body)
    world.lap()
    assert history() == []


def test_what_is_not_there_is_not_steered(client: Client, world: World) -> None:
    for verb in VERBS:
        assert ask(client, f"types/no.Such/{verb}", 404, concurrentJobLimit=1)["error"] == "no-such-type"
    for verb in ("drain", "undrain"):
        assert ask(client, f"workers/{uuid4()}/{verb}", 404)["error"] == "no-such-worker"


def test_each_verb_needs_its_permission(someone: Someone, world: World) -> None:
    worker = world.worker(limit=1)
    both = {"pause_job_type", "limit_job_type"}
    for verb, codename in VERBS.items():
        ask(someone("view_jobsaga", *(both - {codename})), f"types/{TYPE}/{verb}", 403, concurrentJobLimit=1)
        ask(someone("view_jobsaga", codename), f"types/{TYPE}/{verb}", concurrentJobLimit=1)
    for verb in ("drain", "undrain"):
        ask(someone("view_jobsaga", "pause_job_type"), f"workers/{worker.id}/{verb}", 403)
        ask(someone("view_jobsaga", "limit_job_type"), f"workers/{worker.id}/{verb}")


def test_a_token_needs_the_scope_to_steer(world: World) -> None:
    worker = world.worker(limit=1)
    reads, steers = robot("read", "submit"), robot("steer")
    for url in (*(f"types/{TYPE}/{verb}" for verb in VERBS), f"workers/{worker.id}/drain"):
        assert "this needs" in ask(reads, url, 403, concurrentJobLimit=1)["detail"]
        ask(steers, url, concurrentJobLimit=1)
    world.lap()
    assert {actor for _, _, actor in history()} == {"ada (steer )"}


def test_a_token_for_some_types_steers_only_these_and_workers_of_these(world: World) -> None:
    films, both = world.worker(types=["videos.Film"]), world.worker(types=["videos.Film", "audio.Mix"])
    client = robot("steer", types=("videos.*",))
    ask(client, "types/videos.Film/pause")
    assert ask(client, "types/audio.Mix/pause", 404)["error"] == "no-such-type"
    ask(client, f"workers/{films.id}/drain")
    assert ask(client, f"workers/{both.id}/drain", 403)["error"] == "not-permitted"
    world.lap()
    assert len(history()) == 2
