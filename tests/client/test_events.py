"""What a client decides at once it tells the world too: as rows of its own transaction, without the broker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.test import override_settings

from jobsaga import add_or_update_recurring_job, cancel_job, retry_job, schedule_job, submit_job, submit_jobs
from jobsaga.clock import SystemClock
from jobsaga.conf import settings
from jobsaga.models import EventOutbox
from tests.engine.test_statements import counted
from tests.jobsapp.jobs.acting import ActInProcess

pytestmark = pytest.mark.django_db(transaction=True)


def configured(**jobsaga: Any) -> Any:
    return override_settings(JOBSAGA={**django_settings.JOBSAGA, **jobsaga})


@pytest.fixture(autouse=True)
def publishing() -> Iterator[None]:
    """A broker at which nobody listens."""
    with configured(TRANSPORT="amqp://127.0.0.1:1/", PUBLISH_EVENTS=True):
        yield
    assert "jobsaga-rabbitmq" not in {thread.name for thread in threading.enumerate()}


def told() -> list[tuple[str, str]]:
    """Event and job of all that waits."""
    bodies = EventOutbox.objects.using(settings.DATABASE).order_by("id").values_list("body", flat=True)
    return [(each["type"], each["body"]["job_id"]) for each in map(json.loads, bodies)]


def test_a_job_that_is_submitted() -> None:
    job_id = submit_job(ActInProcess("give"), properties={"tenant": "acme"})
    assert told() == [("JobSubmitted", str(job_id))]
    row = EventOutbox.objects.using(settings.DATABASE).get()
    body = json.loads(row.body)["body"]
    assert (row.job_type, row.kind) == ("jobsapp.ActInProcess", "JobSubmitted")
    assert body["properties"] == {"tenant": "acme"}
    assert body["message"]["what"] == "give"


def test_an_id_that_is_taken_is_no_event() -> None:
    job_id = submit_job(ActInProcess("give"))
    submit_job(ActInProcess("give"), job_id=job_id)
    assert len(told()) == 1


def test_a_transaction_that_is_rolled_back_tells_nothing() -> None:
    with transaction.atomic(using=settings.DATABASE):
        submit_job(ActInProcess("give"))
        transaction.set_rollback(True, using=settings.DATABASE)
    assert told() == []


def test_the_other_verbs() -> None:
    job_id = schedule_job(SystemClock().now() + timedelta(hours=1), ActInProcess("give"))
    cancel_job(job_id)
    retry_job(job_id)
    cancel_job(job_id)
    recurring = add_or_update_recurring_job("nightly", ActInProcess("give"), "0 0 3 * * *")
    assert told() == [
        ("JobSubmitted", str(job_id)), ("JobCanceled", str(job_id)), ("JobCanceled", str(job_id)),
        ("JobSubmitted", str(recurring)),
    ]  # fmt: skip


@pytest.mark.parametrize("without", [{"PUBLISH_EVENTS": False}, {"TRANSPORT": "database://"}])
def test_it_must_be_asked_for_and_needs_a_broker(without: dict[str, Any]) -> None:
    with configured(**{"TRANSPORT": "amqp://127.0.0.1:1/", "PUBLISH_EVENTS": True, **without}):
        cancel_job(submit_job(ActInProcess("give")))
    assert told() == []


def test_they_cost_one_statement_for_all() -> None:
    with configured(PUBLISH_EVENTS=False), counted() as plain:
        submit_jobs([ActInProcess("give")] * 10)
    with counted() as statements:
        submit_jobs([ActInProcess("give")] * 1000)
    assert len(statements) == len(plain) + 1
    assert len(told()) == 1000
