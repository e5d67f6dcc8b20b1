"""Concurrency keys at submission, and the commands to job types and workers as a site's code calls them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from jobsaga import (
    JobConsumer,
    JobContext,
    JobOptions,
    apause_job_type,
    drain_instance,
    override_job_limit,
    pause_job_type,
    submit_job,
)
from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.exceptions import InstanceNotFound, InvalidMessage, InvalidOptions, UnknownJobType
from jobsaga.ids import uuid7
from jobsaga.models import JobSaga, TransportMessage
from tests.jobsapp.jobs.acting import ActInProcess

pytestmark = pytest.mark.django_db


def key_of(job_id: Any) -> str:
    return JobSaga.objects.using(settings.DATABASE).get(pk=job_id).concurrency_key


def key_for(function: Any, *message: Any) -> str:
    """The key that a job gets whose type has this option."""
    with consumers.temporary():
        consumers.clear()

        class Consumer(JobConsumer[ActInProcess]):
            options = JobOptions(concurrency_key=function)

            def run(self, context: JobContext[ActInProcess]) -> None: ...

        return key_of(submit_job(*message or (ActInProcess("give"),)))


def test_the_key_is_made_of_the_message() -> None:
    assert key_for(lambda job: job.what) == "give"
    assert key_for(lambda job: f" {job.what} ", "jobsapp.ActInProcess", {"what": "give"}) == "give"
    assert [key_for(lambda job: None), key_for(lambda job: "")] == ["", ""]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda job: 5, "must be a string or None, not 5"),
        (lambda job: "x" * 201, "longer than 200"),
        (lambda job: job.tenant, "raised AttributeError"),
        (lambda job: "a\0b", "NUL"),
    ],
)
def test_a_key_that_cannot_be(function: Any, said: str) -> None:
    with pytest.raises(InvalidMessage, match=said):
        key_for(function)


def test_an_option_that_cannot_be() -> None:
    with pytest.raises(InvalidOptions, match="concurrency_key must be a function"):
        JobOptions(concurrency_key="tenant")  # type: ignore[arg-type]


def test_a_command_belongs_to_the_callers_transaction() -> None:
    rows = TransportMessage.objects.using(settings.DATABASE)
    with transaction.atomic(using=settings.DATABASE):
        pause_job_type(ActInProcess)
        assert rows.count() == 1
        transaction.set_rollback(True, using=settings.DATABASE)
    assert rows.count() == 0


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: pause_job_type("no.such"), UnknownJobType, "no.such"),
        (lambda: override_job_limit(ActInProcess), InvalidMessage, "is missing"),
        (lambda: pause_job_type("no\0such"), UnknownJobType, "such"),
        (lambda: override_job_limit(ActInProcess, -1), InvalidMessage, "at least 0"),
        (lambda: override_job_limit(ActInProcess, 2**31), InvalidMessage, "must be at most 2147483647"),
        (
            lambda: override_job_limit(ActInProcess, 1, duration=0),
            InvalidMessage,
            "duration must be more than zero",
        ),
        (lambda: override_job_limit(ActInProcess, 1, duration=timedelta(days=900)), InvalidMessage, "a year"),
        (lambda: pause_job_type(ActInProcess, by="x" * 201), InvalidMessage, "by"),
        (lambda: drain_instance(uuid7()), InstanceNotFound, "There is no worker"),
    ],
)
def test_what_cannot_be(call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()


def test_the_twin_is_the_same() -> None:
    assert asyncio.iscoroutinefunction(apause_job_type)
