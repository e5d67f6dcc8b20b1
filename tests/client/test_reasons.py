"""Who asked for what, and why: each command to a job is in its history with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobsaga import (
    add_or_update_recurring_job,
    cancel_job,
    cancel_recurring_job,
    finalize_job,
    finalize_recurring_job,
    retry_job,
    run_job,
    run_recurring_job,
    schedule_job,
    submit_job,
)
from jobsaga.client import JobState
from jobsaga.exceptions import InvalidMessage
from tests.client.acts import TYPE, act
from tests.client.conftest import Site

pytestmark = pytest.mark.django_db
WHY = "the disk\nwas full"


def told(world: Site, state: JobState, kind: str) -> tuple[str, str]:
    line = next(line for line in reversed(world.history(state.job_id)) if line.kind == kind)
    return line.actor, line.message


def test_each_command_is_written_down_with_its_reason(world: Site) -> None:
    job_id = submit_job(act())
    assert told(world, cancel_job(job_id, WHY, by="ada"), "CancelJob") == ("ada", WHY)
    assert told(world, retry_job(job_id, WHY, by="ada"), "RetryJob") == ("ada", WHY)
    cancel_job(job_id)
    assert told(world, retry_job(job_id), "RetryJob") == ("", "")
    cancel_job(job_id)
    finalize_job(job_id, WHY, by="ada")
    assert (world.history(job_id)[-1].actor, world.history(job_id)[-1].message) == ("ada", WHY)
    later = schedule_job(world.clock.now().replace(year=2099), act())
    assert told(world, run_job(later, WHY, by="ada"), "RunJob") == ("ada", WHY)


def test_so_is_each_command_to_a_recurring_job(world: Site) -> None:
    add_or_update_recurring_job("nightly", act(), "0 0 3 * * *")
    assert told(world, run_recurring_job(TYPE, "nightly", WHY, by="ada"), "RunJob") == ("ada", WHY)
    state = cancel_recurring_job(TYPE, "nightly", WHY, by="ada")
    assert told(world, state, "CancelRecurringJob") == ("ada", WHY)
    finalize_recurring_job(TYPE, "nightly", WHY, by="ada")
    assert (world.history(state.job_id)[-1].actor, world.history(state.job_id)[-1].message) == ("ada", WHY)


@pytest.mark.parametrize(
    "verb", [cancel_job, retry_job, run_job, finalize_job], ids=lambda verb: verb.__name__
)
@pytest.mark.parametrize("reason", [7, None, "nul \0"], ids=["number", "none", "unstorable"])
def test_a_reason_is_text(world: Site, verb: Callable[..., JobState], reason: Any) -> None:
    job_id = submit_job(act())
    with pytest.raises(InvalidMessage, match="reason"):
        verb(job_id, reason)
