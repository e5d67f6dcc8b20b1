"""Somebody's open transaction holds a job's row: a request waits a moment, and no longer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as site_settings
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import translation

from jobsaga.client import cancel_job
from jobsaga.client.patience import PAUSE, Patience
from jobsaga.client.site import LEFT
from jobsaga.clock import ManualClock
from jobsaga.conf import settings
from jobsaga.live import actions
from jobsaga.live.actions import ACTIONS, perform, sentences
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.threads import in_thread

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=list(site_settings.DATABASES)),
    pytest.mark.postgresql,
    pytest.mark.mariadb,
]


@pytest.fixture
def world(transactional_db: None) -> World:
    return World(DatabasePlace(None))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "PATIENCE", 3 * PAUSE)


@contextmanager
def held(*jobs: UUID, commit: bool = False) -> Iterator[Callable[[], None]]:
    """Somebody cancels these jobs, in a transaction that ends with the block, or when what this gives is called."""
    holds, end = Event(), Event()

    def hold() -> None:
        with transaction.atomic(using=settings.DATABASE):
            for each in jobs:
                cancel_job(each)
            holds.set()
            end.wait(60)
            transaction.set_rollback(not commit, using=settings.DATABASE)

    def let_go() -> None:
        end.set()
        thread.join(60)

    thread = in_thread(hold)
    assert holds.wait(60)
    try:
        yield let_go
    finally:
        let_go()


def releasing(let_go: Callable[[], None]) -> Patience:
    """Whose first pause lasts until the others have let go."""
    return Patience(60, sleep=lambda seconds: let_go())


def post(client: Client, name: str, job_id: UUID, **body: Any) -> Any:
    return client.post(reverse(f"jobsaga_api:{name}", args=[job_id]), json.dumps(body), "application/json")


def test_the_api_leaves_it_to_the_saga_hosts(client: Client, world: World, impatient: None) -> None:
    job_id = world.submit()
    with held(job_id):
        answer = post(client, "cancel", job_id)
        said = {"jobId": str(job_id), "state": "WaitingForSlot", "refused": "", "remark": LEFT}
        assert (answer.status_code, answer.json()) == (202, said)
    world.lap()
    assert world.state(job_id) == "Canceled"
    assert world.history(job_id)[-1].actor == "ada"


def test_the_page_says_so_of_many_and_does_what_it_can(client: Client, world: World, impatient: None) -> None:
    one, two, free = jobs = world.submit_many(3)
    with held(one, two):
        chosen = {"verb": "cancel", "job": [str(each) for each in jobs], "sure": "yes"}
        page = client.post(reverse("jobsaga_live:do-many"), chosen, follow=True)
        said = " ".join(str(note) for note in page.context["notes"])
        assert said == f"The job was asked to stop. 2 not yet: {LEFT}."
        assert world.state(free) == "Canceled"
    world.lap()
    assert world.states(jobs) == ["Canceled"] * 3


def test_who_lets_go_in_time_is_waited_for(world: World) -> None:
    job_id = world.submit()
    with held(job_id) as let_go:
        outcome = perform(
            ACTIONS["cancel"], [job_id], by="ada", alias=settings.DATABASE, patience=releasing(let_go)
        )
        assert outcome.changed == [job_id]
    assert world.state(job_id) == "Canceled"


def test_the_version_is_compared_under_the_lock(world: World) -> None:
    job_id = world.submit()
    version = world.job(job_id).version
    with held(job_id, commit=True) as let_go:
        outcome = perform(
            ACTIONS["retry"], [job_id], by="ada", alias=settings.DATABASE, expected_version=version,
            patience=releasing(let_go),
        )  # fmt: skip
    assert list(outcome.left) == ["it has changed since you looked, and is Canceled now"]
    assert world.state(job_id) == "Canceled"


def test_with_a_version_nothing_is_left_to_others(client: Client, world: World, impatient: None) -> None:
    """They could not compare it."""
    job_id = world.submit()
    with held(job_id):
        answer = post(client, "cancel", job_id, expectedVersion=world.job(job_id).version)
        assert answer.status_code == 409
        assert "try again in a moment" in answer.json()["refused"]
    world.lap()
    assert world.state(job_id) == "WaitingForSlot"


def test_a_second_in_all_however_many_are_held(world: World) -> None:
    jobs, clock = world.submit_many(3), ManualClock()
    with held(*jobs):
        patience = Patience(1, clock, sleep=lambda seconds: clock.advance(seconds) and None)
        begin = clock.monotonic()
        outcome = perform(ACTIONS["cancel"], jobs, by="ada", alias=settings.DATABASE, patience=patience)
        assert clock.monotonic() - begin == pytest.approx(1)
        assert outcome.postponed == sorted(jobs)
    with translation.override("de"):
        assert "3 noch nicht: eine fremde Transaktion" in sentences(ACTIONS["cancel"], outcome)[0][1]
