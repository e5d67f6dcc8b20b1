"""A worker that stops has said its last words before it leaves: they are heard before it is missed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobsaga import submit_job
from jobsaga.messages import CancelKind
from jobsaga.models import JobInstance, JobSaga
from tests.client.acts import act
from tests.client.conftest import Site
from tests.hours.hands import ALIAS


def lease_is_over(world: Site) -> None:
    JobInstance.objects.using(ALIAS).update(lease_expires_at=world.clock.now() - timedelta(minutes=1))


@pytest.mark.django_db
@pytest.mark.parametrize("left", [True, False], ids=["it has left", "its lease is over"])
def test_a_hand_over_that_waits_to_be_read_spends_no_retry(world: Site, left: bool) -> None:
    """A sweep comes between the two: the worker is gone, and its report is still in the queue."""
    job_id = submit_job(act("give", n=1))
    worker, start = world.start()
    worker.cancel(start, CancelKind.SHUTDOWN, "Job Service Shutdown")
    worker.stops() if left else lease_is_over(world)
    world.engine.sweep()
    world.engine.process()
    job = JobSaga.objects.using(ALIAS).get(id=job_id)
    assert (job.get_state_display(), job.suspect_retries) == ("WaitingForSlot", 0)
    assert [each.outcome for each in world.attempts(job_id)] == ["HandedOver"]


@pytest.mark.django_db
def test_one_that_left_without_a_word_is_missed_when_its_lease_is_over(world: Site) -> None:
    """Until then its word may be in the hands of another saga host, or held back for a moment."""
    job_id = submit_job(act("give", n=1))
    worker, _ = world.start()
    worker.stops()
    world.engine.sweep()
    assert [each.outcome for each in world.attempts(job_id)] == [""]
    lease_is_over(world)
    world.engine.sweep()
    assert [each.outcome for each in world.attempts(job_id)] == ["Suspect"]
