"""Why a job has no slot whose last attempt may still run."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from jobsaga import cancel_job, explain_job, retry_job
from jobsaga.ids import uuid7
from tests.client.acts import TYPE
from tests.client.conftest import Site
from tests.client.explained import busy
from tests.engine.workers import ScriptedWorker

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


class TestItsOldAttempt:
    """Canceled by force, and retried by hand while its worker has not said that it has ended."""

    def left_behind(self, site: Site) -> tuple[UUID, ScriptedWorker]:
        (job_id,) = busy(site)
        cancel_job(job_id)
        site.lap()
        site.pass_time(41)
        assert site.state(job_id) == "Canceled"
        retry_job(job_id)
        site.lap()
        return job_id, site.workers[0]

    def test_on_a_worker_that_lives(self, world: Site) -> None:
        job_id, _ = self.left_behind(world)
        world.worker()
        why = explain_job(job_id)
        assert why.sentence == (
            "Its last attempt still holds its slot, until test:1 says that it has ended or counts as lost."
        )
        assert (why.code, why.worker, why.until, why.also) == ("old-attempt", "test:1", None, ())
        assert why.since == world.attempts(job_id)[0].created_at

    def test_on_a_worker_that_is_lost(self, world: Site) -> None:
        job_id, worker = self.left_behind(world)
        worker.dies()
        world.clock.advance(17)
        why = explain_job(job_id)
        assert why.sentence == (
            "Its last attempt still holds its slot: test:1 is lost, its lease was over 2 s ago, "
            "and a saga host ends it once nothing holds the job's row."
        )
        assert why.until == world.clock.now() + SECOND
        assert why.also[0].startswith(f"No live worker runs {TYPE}: test:1 was seen last at 00:00:41")

    def test_on_a_worker_that_nobody_knows(self, world: Site) -> None:
        job_id, worker = self.left_behind(world)
        world.place.rows("JobInstance").filter(pk=worker.id).delete()
        assert explain_job(job_id).sentence == "Its last attempt still holds its slot."

    def test_of_which_the_row_is_gone(self, world: Site) -> None:
        job_id, _ = self.left_behind(world)
        world.place.rows("JobSaga").filter(pk=job_id).update(slot=uuid7())
        assert explain_job(job_id).sentence == "Its last attempt still holds its slot."
