"""Pause, resume and other limits for a while, from the page of a job type; with the permissions for each."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World
from tests.live.conftest import EVERYWHERE, Someone
from tests.live.test_pages import text_of

pytestmark = EVERYWHERE


@pytest.fixture
def world(db: None) -> World:
    world = World(DatabasePlace(None))
    world.worker(limit=1)
    return world


def steer(client: Client, verb: str, **fields: str) -> Any:
    return client.post(reverse("jobsaga_live:steer-type", args=[TYPE, verb]), fields, follow=True)


def page(client: Client) -> str:
    return text_of(client.get(reverse("jobsaga_live:type", args=[TYPE])).content.decode())


def test_a_pause_holds_jobs_back_and_says_who_wanted_it(client: Client, world: World) -> None:
    steer(client, "pause", reason="the disk is full")
    world.lap()
    job_id = world.submit()
    assert world.state(job_id) == "WaitingForSlot"
    said = page(client)
    assert "Paused by ada" in said
    assert "the disk is full" in said
    assert "Resume" in said
    listed = text_of(client.get(reverse("jobsaga_live:types")).content.decode())
    assert "Paused by ada" in listed
    assert f"{TYPE} is paused by ada" in text_of(client.get(reverse("jobsaga_live:now")).content.decode())
    steer(client, "resume")
    world.lap()
    assert world.state(job_id) == "StartingJobAttempt"
    assert "Paused" not in page(client)


def test_other_limits_hold_for_a_while_and_can_be_ended(client: Client, world: World) -> None:
    jobs = world.submit_many(3)
    assert world.states(jobs).count("WaitingForSlot") == 2
    steer(client, "limit", per_worker="2", minutes="120", reason="catch up")
    world.lap()
    assert world.states(jobs).count("WaitingForSlot") == 1
    said = page(client)
    assert "Other limits than announced by ada" in said
    assert "catch up" in said
    assert "Slots taken 2 of 2" in said
    steer(client, "revert")
    world.lap()
    assert "Other limits" not in page(client)
    assert "Slots taken 2 of 1" in page(client)


@pytest.mark.parametrize("typed", ["many", "-1", "1.5", "9999999"])
def test_a_limit_that_is_no_number_changes_nothing(client: Client, world: World, typed: str) -> None:
    answer = steer(client, "limit", per_worker=typed)
    assert "Nothing was done: per_worker must be a whole number" in text_of(answer.content.decode())
    assert "Nothing was done" in text_of(steer(client, "limit").content.decode())
    world.lap()
    assert "Other limits" not in page(client)


def test_who_may_steer_a_type(someone: Someone, world: World) -> None:
    pauses, limits = "pause_job_type", "limit_job_type"
    allowed = {"pause": pauses, "resume": pauses, "limit": limits, "revert": limits}
    for verb, codename in allowed.items():
        other = {"pause_job_type", "limit_job_type"} - {codename}
        assert steer(someone("view_jobsaga", *other), verb).status_code == 403
        assert steer(someone("view_jobsaga", codename), verb, per_worker="1").status_code == 200
    assert Client().post(reverse("jobsaga_live:steer-type", args=[TYPE, "pause"])).status_code == 302
    assert steer(someone("view_jobsaga", "pause_job_type"), "explode").status_code == 404
    viewer = someone("view_jobsaga").get(reverse("jobsaga_live:type", args=[TYPE])).content.decode()
    assert "/do/pause/" not in viewer
    assert "/do/limit/" not in viewer
