"""How fast a job is and when it will be done, as it is stored and told."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobsaga import get_job_state, submit_job
from jobsaga.models import JobSaga
from jobsaga.sagas.samples import MOST
from tests.client.acts import act
from tests.client.conftest import Site
from tests.hours.hands import ALIAS

pytestmark = pytest.mark.django_db


def test_a_job_that_runs_has_a_rate_and_an_end(world: Site) -> None:
    job_id = submit_job(act("give", n=1))
    worker, start = world.start()
    state = get_job_state(job_id)
    assert (state.rate, state.eta) == (None, None)
    for step in range(40):
        worker.progress(start, 10.0 * step, limit=1000.0)
        world.lap()
        world.clock.advance(2)
    state = get_job_state(job_id)
    assert state.rate == pytest.approx(5)
    assert state.eta == world.clock.now() - timedelta(seconds=2) + timedelta(seconds=(1000 - 390) / 5)
    assert len(stored(job_id)) <= MOST
    worker.complete(start, result=None, duration=timedelta(seconds=80))
    world.lap()
    state = get_job_state(job_id)
    assert (state.rate, state.eta, state.current_state) == (None, None, "Completed")


def test_the_pause_between_two_attempts_is_no_slowness(world: Site) -> None:
    job_id = submit_job(act("give", n=1))
    worker, start = world.start()
    for step in range(3):
        worker.progress(start, step, limit=100.0)
        world.lap()
        world.clock.advance(1)
    worker.fault(start, retry_delay=5)
    world.lap()
    world.pass_time(5)
    (again,) = worker.receive()
    worker.started(again)
    world.lap()
    assert get_job_state(job_id).rate is None
    world.clock.advance(1)
    worker.progress(again, 3, limit=100.0)
    world.clock.advance(1)
    world.lap()
    assert len(stored(job_id)) == 1


def stored(job_id: Any) -> list[list[float]]:
    return list(JobSaga.objects.using(ALIAS).get(id=job_id).progress_samples)


def test_before_there_is_progress_earlier_jobs_of_the_type_tell(world: Site) -> None:
    for seconds in (10, 20, 60):
        submit_job(act("give", n=1))
        worker, start = world.start()
        worker.complete(start, result=None, duration=timedelta(seconds=seconds))
        world.lap()
    job_id = submit_job(act("give", n=2))
    _, start = world.start()
    began = get_job_state(job_id).started
    assert began
    assert get_job_state(job_id).eta == began + timedelta(seconds=20)
    world.clock.advance(21)
    assert get_job_state(job_id).eta is None  # it takes longer than usual: nobody knows


def test_show_and_watch_tell_it(world: Site) -> None:
    job_id = submit_job(act("give", n=1))
    worker, start = world.start()
    for step in range(5):
        worker.progress(start, 10.0 * step, limit=1000.0)
        world.lap()
        world.clock.advance(2)
    JobSaga.objects.using(ALIAS).filter(id=job_id).update(
        progress_samples=[[timezone.now().timestamp() - 10, 0], [timezone.now().timestamp(), 50]]
    )
    out = io.StringIO()
    call_command("jobsaga", "show", str(job_id), stdout=out)
    assert "Pace" in out.getvalue()
    assert "5/s, done in about" in out.getvalue()
