"""The twins for async code do the same, on the connections of the caller's thread."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from asgiref.sync import async_to_sync

import jobsaga
from jobsaga import (
    acancel_job,
    afinalize_job,
    aget_job_state,
    aretry_job,
    arun_job,
    asubmit_job,
    asubmit_jobs,
    get_job_state,
)
from jobsaga.exceptions import InvalidMessage, JobNotFound
from jobsaga.ids import uuid7
from tests.client.acts import act

pytestmark = pytest.mark.django_db


def test_a_whole_life() -> None:
    async def live() -> list[str]:
        job_id = await asubmit_job(act(), priority=1)
        states = [(await aget_job_state(job_id)).current_state]
        states.append((await arun_job(job_id)).current_state)
        states.append((await acancel_job(job_id, "enough", by="ops")).current_state)
        states.append((await aretry_job(job_id)).current_state)
        await acancel_job(job_id)
        states.append((await afinalize_job(job_id)).current_state)
        return states

    assert async_to_sync(live)() == [
        "WaitingForSlot", "WaitingForSlot", "Canceled", "WaitingForSlot", "NotFound",
    ]  # fmt: skip


def test_many_at_once() -> None:
    ids = async_to_sync(asubmit_jobs)([act()] * 3)
    assert [get_job_state(each).current_state for each in ids] == ["WaitingForSlot"] * 3


def test_the_same_errors() -> None:
    with pytest.raises(InvalidMessage):
        async_to_sync(asubmit_job)(act(value="a\0b"))
    with pytest.raises(JobNotFound):
        async_to_sync(acancel_job)(uuid7())


@pytest.mark.parametrize("name", [name for name in jobsaga.__all__ if f"a{name}" in jobsaga.__all__])
def test_each_takes_what_its_twin_takes(name: str) -> None:
    twin: Any = getattr(jobsaga, f"a{name}")
    assert inspect.signature(twin.func) == inspect.signature(getattr(jobsaga, name))


def test_each_command_has_a_twin() -> None:
    commands = {
        "submit_job",
        "submit_jobs",
        "cancel_job",
        "retry_job",
        "run_job",
        "finalize_job",
        "get_job_state",
    }
    assert {f"a{name}" for name in commands} <= set(jobsaga.__all__)
