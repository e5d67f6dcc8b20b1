"""G01-G03 and G06 with a real worker and periods of a second or two: what the clock on the wall makes of schedules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from jobsaga import (
    Every,
    add_or_update_recurring_job,
    cancel_recurring_job,
    finalize_recurring_job,
    get_job_state,
    schedule_job,
)
from jobsaga.models import JobAttemptSaga
from tests.conformance.deployment import Deployment
from tests.conformance.surfaces import ALIAS, path
from tests.conformance.test_submission import HAPPY
from tests.jobsapp.jobs.conformance import OddJob

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True, databases="__all__")]

SECOND = timedelta(seconds=1)


@pytest.fixture
def _django_db_helper() -> None:
    """In the place of pytest-django's, which would take the rows from under the worker after each test."""


@contextmanager
def recurrence(site: Deployment, name: str, every: int, message: OddJob | None = None) -> Iterator[UUID]:
    """It ends with the block, and is removed, so that each test counts its own runs."""
    job_id = add_or_update_recurring_job(name, message or OddJob(), Every(seconds=every))
    yield job_id
    cancel_recurring_job(OddJob, name)
    site.wait_for(lambda: get_job_state(job_id).is_finished, what="the recurrence to end")
    assert finalize_recurring_job(OddJob, name).current_state == "NotFound"


def runs(site: Deployment, job_id: UUID, count: int) -> list[JobAttemptSaga]:
    """Wait for so many runs that have completed; these, in order."""
    completed = JobAttemptSaga.objects.using(ALIAS).filter(job_id=job_id, outcome="Completed").order_by("run")
    site.wait_for(lambda: completed.count() >= count, 10 + 3 * count, f"{count} runs")
    return list(completed)


def times(attempts: list[JobAttemptSaga]) -> list[datetime]:
    """For which they were planned. None was begun earlier."""
    assert all(each.scheduled_for <= each.created_at for each in attempts)
    return [each.scheduled_for for each in attempts]


def test_g01_one_shot_in_the_future(one_worker: Deployment) -> None:
    job_id = schedule_job(1.5 * SECOND, OddJob())
    assert get_job_state(job_id).current_state == "WaitingToStart"
    one_worker.reaches(job_id, "Completed")
    state = get_job_state(job_id)
    assert state.started is not None
    assert state.submitted is not None
    assert state.started - state.submitted >= 1.5 * SECOND
    assert path(job_id) == ["WaitingToStart", *HAPPY]


def test_g02_a_recurring_job_runs_repeatedly(one_worker: Deployment) -> None:
    with recurrence(one_worker, "g02", 1) as job_id:
        planned = times(runs(one_worker, job_id, 3))
        assert sorted(set(planned)) == planned
        assert {at.microsecond for at in planned} == {0}


def test_g03_update_to_another_schedule(one_worker: Deployment) -> None:
    with recurrence(one_worker, "g03", 1) as job_id:
        before = runs(one_worker, job_id, 1)
        assert add_or_update_recurring_job("g03", OddJob(), Every(seconds=2)) == job_id
        planned = times(runs(one_worker, job_id, len(before) + 3))
        assert [at.second % 2 for at in planned[-2:]] == [0, 0]


def test_g06_several_names_of_one_type_share_a_slot_and_none_starves(one_worker: Deployment) -> None:
    short = OddJob("sleep", {"seconds": 0.15})
    with (
        recurrence(one_worker, "g06 a", 1, short) as a,
        recurrence(one_worker, "g06 b", 2, short) as b,
        recurrence(one_worker, "g06 c", 2, short) as c,
        recurrence(one_worker, "g06 d", 3, short) as d,
    ):
        assert len({a, b, c, d}) == 4
        for job_id, count in ((a, 6), (b, 3), (c, 3), (d, 2)):
            planned = times(runs(one_worker, job_id, count))
            assert len(set(planned)) == len(planned)
        assert one_worker.diary.most_at_once([a, b, c, d]) == 1
