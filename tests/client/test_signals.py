"""The signals: after the commit, with what they promise, whoever else raises."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from jobsaga import cancel_job, get_job_state, signals, submit_job, submit_jobs
from jobsaga.conf import settings
from jobsaga.engine.options import EngineOptions
from jobsaga.properties import Properties
from tests.client.acts import TYPE, act
from tests.client.conftest import Site
from tests.client.situations import SITUATIONS
from tests.jobsapp.jobs.acting import ActInThread

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = ["job_submitted", "job_started", "job_completed", "job_faulted", "job_canceled"]
SECOND = timedelta(seconds=1)

Heard = list[tuple[str, dict[str, Any]]]


@contextmanager
def listening(*names: str, sender: str | None = None) -> Iterator[Heard]:
    """What the signals of these names carry, in the order in which they are sent."""
    heard: Heard = []

    def listener(name: str) -> Any:
        def receive(signal: object, **content: Any) -> None:
            heard.append((name, content))

        return receive

    receivers = {name: listener(name) for name in names or NAMES}
    for name, receive in receivers.items():
        getattr(signals, name).connect(receive, sender=sender)
    try:
        yield heard
    finally:
        for name, receive in receivers.items():
            getattr(signals, name).disconnect(receive, sender=sender)


def names(heard: Heard) -> list[str]:
    return [name for name, _ in heard]


def test_the_life_of_a_job(world: Site) -> None:
    worker = world.worker(properties={"Zone": "a"})
    with listening() as heard:
        job_id = submit_job(act("give", n=1), properties={"Tenant": "acme"})
        world.lap()
        (start,) = worker.receive()
        worker.started(start)
        worker.complete(start, result={"n": 1}, duration=2 * SECOND)
        world.lap()
    common = {
        "sender": TYPE, "job_id": job_id, "message": {"what": "give", "args": {"n": 1}},
        "properties": Properties({"tenant": "acme"}),
    }  # fmt: skip
    there = {"attempt_id": start.attempt_id, "instance_properties": Properties({"zone": "a"})}
    assert heard == [
        ("job_submitted", common),
        ("job_started", {**common, **there, "retry_attempt": 0}),
        ("job_completed", {**common, **there, "result": {"n": 1}, "duration": 2 * SECOND}),
    ]
    assert heard[0][1]["properties"]["TENANT"] == "acme"
    assert heard[1][1]["instance_properties"]["ZONE"] == "a"


def test_a_fault(world: Site) -> None:
    submit_job(act())
    worker, start = world.start()
    with listening() as heard:
        worker.fault(start, "out of paper", duration=SECOND)
        world.lap()
    ((name, content),) = heard
    assert name == "job_faulted"
    assert content["fault"] == {"type": "ValueError", "message": "out of paper", "traceback": ""}
    assert (content["duration"], content["attempt_id"]) == (SECOND, start.attempt_id)


def test_a_fault_that_is_retried_is_no_news(world: Site) -> None:
    submit_job(act())
    worker, start = world.start()
    with listening() as heard:
        worker.fault(start, retry_delay=0)
        world.lap()
        (again,) = worker.receive()
        worker.started(again)
        world.lap()
    assert names(heard) == ["job_started"]
    assert heard[0][1]["retry_attempt"] == 1


def test_a_cancel_of_a_job_that_waits(world: Site) -> None:
    job_id = submit_job(act())
    with listening() as heard:
        cancel_job(job_id, "enough")
    ((name, content),) = heard
    assert (name, content["reason"], content["attempt_id"]) == ("job_canceled", "enough", None)
    assert (content["duration"], content["instance_properties"]) == (None, Properties())


def test_a_cancel_of_a_job_that_runs(world: Site) -> None:
    job_id = submit_job(act())
    worker, start = world.start()
    with listening() as heard:
        cancel_job(job_id, "enough")
        world.lap()
        assert heard == []
        worker.cancel(start)
        world.lap()
    ((name, content),) = heard
    assert (name, content["reason"], content["attempt_id"]) == ("job_canceled", "enough", start.attempt_id)


def test_a_job_that_is_removed_when_it_completes(world: Site) -> None:
    world.engine.options = EngineOptions(finalize_completed=True)
    job_id = submit_job(act())
    worker = world.worker(properties={"Zone": "a"})
    (start,) = worker.receive()
    with listening() as heard:
        worker.complete(start, result=1)
        world.lap()
    assert get_job_state(job_id).current_state == "NotFound"
    assert names(heard) == ["job_started", "job_completed"]
    assert heard[1][1]["instance_properties"]["zone"] == "a"


class TestAfterTheCommit:
    class Oops(Exception):
        pass

    def test_not_before(self) -> None:
        with listening() as heard:
            with transaction.atomic(using=settings.DATABASE):
                job_id = submit_job(act())
                cancel_job(job_id)
                assert heard == []
            assert names(heard) == ["job_submitted", "job_canceled"]

    def test_never_after_a_rollback(self) -> None:
        with listening() as heard, suppress(self.Oops), transaction.atomic(using=settings.DATABASE):
            submit_job(act())
            raise self.Oops
        assert heard == []

    def test_the_receiver_finds_what_it_is_told(self, world: Site) -> None:
        seen: list[str] = []

        def receive(job_id: Any, **content: Any) -> None:
            seen.append(get_job_state(job_id).current_state)

        signals.job_completed.connect(receive)
        try:
            SITUATIONS["Completed"](world)
        finally:
            signals.job_completed.disconnect(receive)
        assert seen == ["Completed"]

    def test_a_receiver_may_submit_the_next_job(self, world: Site) -> None:
        def receive(**content: Any) -> None:
            submit_job(ActInThread("give"))

        signals.job_completed.connect(receive)
        try:
            SITUATIONS["Completed"](world)
        finally:
            signals.job_completed.disconnect(receive)
        worker = world.worker(types=["jobsapp.ActInThread"])
        assert len(worker.receive()) == 1


class TestReceiversThatFail:
    @pytest.mark.parametrize("name", NAMES)
    def test_it_is_logged_and_changes_nothing(
        self, world: Site, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(**content: Any) -> None:
            raise ZeroDivisionError("a receiver's bug")

        signal = getattr(signals, name)
        signal.connect(broken)
        try:
            with listening(name) as heard, caplog.at_level(logging.ERROR):
                for situation in ("Completed", "Faulted", "Canceled"):
                    assert get_job_state(SITUATIONS[situation](world)).current_state == situation
        finally:
            signal.disconnect(broken)
        assert len(heard) >= 1, "the others hear it all the same"
        assert "a receiver's bug" in caplog.text
        assert world.dead() == []

    def test_in_the_callers_transaction_too(self, caplog: pytest.LogCaptureFixture) -> None:
        def broken(**content: Any) -> None:
            raise ZeroDivisionError("a receiver's bug")

        signals.job_submitted.connect(broken)
        done: list[bool] = []
        try:
            with caplog.at_level(logging.ERROR), transaction.atomic(using=settings.DATABASE):
                job_id = submit_job(act())
                transaction.on_commit(lambda: done.append(True), using=settings.DATABASE)
        finally:
            signals.job_submitted.disconnect(broken)
        assert done == [True]
        assert get_job_state(job_id).current_state == "WaitingForSlot"


def test_one_may_listen_to_one_type(world: Site) -> None:
    with listening("job_submitted", sender=TYPE) as heard:
        submit_jobs([act(), ActInThread("give"), act()])
        submit_job("".join(["jobsapp.", "ActInProcess"]), {"what": "give"})
    assert [content["sender"] for _, content in heard] == [TYPE] * 3


def test_many_jobs_are_told_one_by_one_in_order() -> None:
    with listening("job_submitted") as heard:
        ids = submit_jobs([act()] * 20)
    assert [content["job_id"] for _, content in heard] == ids


def test_a_second_submit_of_the_same_id_is_no_news() -> None:
    job_id = submit_job(act())
    with listening() as heard:
        submit_job(act(), job_id=job_id)
    assert heard == []
