"""What happens when nothing is said: deadlines, lost workers, abstaining, and what is kept for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from jobsaga.engine.options import EngineOptions
from jobsaga.messages import CancelJob, CancelKind, FinalizeJob, RunJob, StartJob, SubmitJob
from jobsaga.sagas.states import AttemptStates
from tests.engine.workers import ScriptedWorker
from tests.engine.world import TYPE, World
from tests.engine.worlds import EVERYWHERE, WITH_ROW_LOCKS, make_world
from tests.threads import in_thread

HOUR = timedelta(hours=1)


class TestDeadlinesOfJobs:
    def test_a_scheduled_job_starts_when_its_time_has_come(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit(start_at=world.clock.now() + HOUR)
        world.pass_time(3599, step=600)
        assert (world.state(job_id), worker.receive()) == ("WaitingToStart", [])
        world.pass_time(1)
        (start,) = worker.receive()
        assert start.scheduled_for == world.job(job_id).scheduled_for

    def test_a_scheduled_job_can_be_run_now(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit(start_at=world.clock.now() + HOUR)
        world.command(RunJob(job_id=job_id))
        assert len(worker.receive()) == 1

    def test_a_cancel_that_is_not_answered_is_decided_by_the_saga(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.say(CancelJob(job_id=job_id, reason="enough"))
        assert [each.reason for each in world.told(worker)] == ["enough"]  # type: ignore[attr-defined]
        world.pass_time(39)
        assert world.state(job_id) == "CancellationPending"
        world.pass_time(1)
        assert (world.state(job_id), world.job(job_id).reason) == ("Canceled", "enough")
        assert [each.id for each in world.slots()] == [start.attempt_id], (
            "its worker has not said that it ended"
        )

    def test_a_job_may_have_a_longer_time_to_clean_up(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start, job_cancellation_timeout=100.0)
        world.say(CancelJob(job_id=job_id))
        world.pass_time(109, step=9)
        assert world.state(job_id) == "CancellationPending"
        world.pass_time(3)
        assert world.state(job_id) == "Canceled"


class TestDeadlinesOfAttempts:
    def test_a_start_that_is_not_taken_goes_elsewhere_and_costs_nothing(self, world: World) -> None:
        deaf, other = world.worker(), world.worker()
        job_id = world.submit()
        deaf, other = (deaf, other) if world.told(deaf) else (other, deaf)
        world.pass_time(14)
        assert other.receive() == []
        world.pass_time(1)
        (start,) = other.receive()
        job = world.job(job_id)
        assert (job.policy_retries, job.suspect_retries, job.retry_attempt) == (0, 0, 0)
        assert [each.outcome for each in world.attempts(job_id)] == ["NotStarted", ""]
        assert start.retry_attempt == 0

    def test_a_late_worker_cannot_take_what_was_given_to_another(self, world: World) -> None:
        worker = world.worker()
        world.submit()
        late = worker.take()
        world.pass_time(15)
        assert worker.claim(late) == []
        assert len(worker.receive()) == 1

    def test_one_that_was_taken_has_no_start_deadline(self, world: World) -> None:
        """It may wait in its worker for a free child, as long as the worker lives."""
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        world.pass_time(270, step=9)
        assert world.attempt(start.attempt_id).state is AttemptStates.STARTING
        worker.started(start)
        world.lap()
        assert world.state(job_id) == "Started"

    def test_long_is_not_dead(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.pass_time(450, step=9)
        assert world.state(job_id) == "Started"
        assert world.attempt(start.attempt_id).state is AttemptStates.RUNNING
        assert len(world.history(job_id)) == 3

    def test_a_worker_that_does_not_end_its_job_in_time_loses_it(self, world: World) -> None:
        """Timeout, cancellation timeout, and ten seconds more: the worker should have ended it long ago."""
        worker = world.worker(limit=2)
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start, job_timeout=60.0, job_cancellation_timeout=5.0)
        world.pass_time(74)
        assert world.state(job_id) == "Started"
        world.pass_time(3)
        job = world.job(job_id)
        assert job.fault is not None
        assert (job.fault["type"], job.suspect_retries) == ("JobTimeout", 1)
        assert [each.id for each in world.slots()] == [start.attempt_id]
        assert world.state(job_id) == "WaitingForSlot", "its old attempt may be running yet"
        worker.cancel(start)
        world.lap()
        assert world.state(job_id) == "StartingJobAttempt"


class TestLostWorkers:
    def test_its_jobs_go_on_elsewhere_with_their_state_and_progress(self, world: World) -> None:
        lost, other = world.worker(), world.worker()
        job_id = world.submit(message={"path": "a"})
        lost, other = (lost, other) if world.told(lost) else (other, lost)
        (start,) = lost.receive()
        lost.started(start)
        lost.progress(start, 0.4, limit=1.0)
        world.lap()
        assert lost.save(start, {"frame": 40})
        lost.dies()
        world.pass_time(18)
        (again,) = other.receive()
        assert (again.job_id, again.message) == (job_id, {"path": "a"})
        assert (again.job_state, again.progress_value, again.progress_limit) == ({"frame": 40}, 0.4, 1.0)
        assert again.attempt_id != start.attempt_id
        job = world.job(job_id)
        assert (job.retry_attempt, job.suspect_retries, job.policy_retries) == (1, 1, 0)

    def test_how_soon(self, world: World) -> None:
        """CheckingStatus at two missed heartbeats, Suspect and Faulted at the end of the lease."""
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.lap()
        worker.dies()
        states = {}
        for second in range(1, 17):
            world.pass_time(1)
            states[second] = (world.attempt(start.attempt_id).state.label, world.state(job_id))
        assert states[9] == ("Running", "Started")
        assert states[10] == states[14] == ("CheckingStatus", "Started")
        assert states[15] == ("Faulted", "WaitingToRetry")
        assert states[16] == ("Faulted", "WaitingForSlot")

    def test_a_worker_that_is_heard_again_in_time_keeps_its_jobs(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.lap()
        worker.alive = False
        world.pass_time(12)
        assert world.attempt(start.attempt_id).state is AttemptStates.CHECKING_STATUS
        worker.alive = True
        world.pass_time(20)
        assert world.attempt(start.attempt_id).state is AttemptStates.RUNNING
        assert world.state(job_id) == "Started"
        notes = [row.kind for row in world.history(job_id)]
        assert notes[-2:] == ["JobAttemptLate", "JobAttemptBack"]

    def test_what_a_worker_that_left_said_last_counts_also_when_it_comes_late(self, world: World) -> None:
        """It may be held back in the queue, or be in the hands of another saga host."""
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.lap()
        worker.stops()
        world.pass_time(5)
        worker.alive = True  # its words come only now
        worker.cancel(start, kind=CancelKind.SHUTDOWN)
        world.pass_time(1)
        job = world.job(job_id)
        assert world.state(job_id) == "WaitingForSlot"
        assert (job.retry_attempt, job.suspect_retries) == (0, 0)

    def test_a_worker_that_left_without_a_last_word_is_lost_when_its_lease_is_over(
        self, world: World
    ) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.lap()
        worker.stops()
        world.pass_time(1)
        assert world.state(job_id) == "Started"
        world.pass_time(15)
        assert world.job(job_id).suspect_retries == 1

    def test_what_it_says_afterwards_changes_nothing(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        worker.dies()
        world.pass_time(16)
        before = world.job(job_id)
        worker.alive = True
        worker.progress(start, 0.9)
        worker.complete(start, result="too late")
        world.lap()
        assert world.job(job_id) == before
        assert not worker.save(start, {"too": "late"})
        assert world.history(job_id)[-1].kind == "JobAttemptCompletedTooLate"
        assert world.dead() == []

    def test_its_waiting_messages_are_thrown_away(self, world: World) -> None:
        worker = world.worker()
        world.submit()
        assert len(world.told(worker)) == 1
        worker.dies()
        world.pass_time(15)
        assert world.told(worker) == []

    def test_one_that_had_not_taken_its_start_costs_no_retry(self, world: World) -> None:
        worker, other = world.worker(), world.worker()
        job_id = world.submit()
        lost, other = (worker, other) if world.told(worker) else (other, worker)
        world.clock.advance(10)
        lost.dies()
        other.beat()
        world.pass_time(5)
        (start,) = other.receive()
        assert (start.job_id, world.job(job_id).suspect_retries) == (job_id, 0)

    def test_a_worker_that_lives_and_does_not_know_its_attempt(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.lap()
        worker.does_not_know(start)
        world.lap()
        assert world.state(job_id) == "WaitingToRetry"
        world.pass_time(1)
        assert len(worker.receive()) == 1

    def test_the_suspect_budget(self, world: World) -> None:
        """Three retries, so four runs; then the job is faulted."""
        job_id = world.submit()
        for lost in range(4):
            worker = world.worker()
            (start,) = worker.receive()
            assert start.retry_attempt == lost
            worker.started(start)
            world.lap()
            worker.dies()
            world.pass_time(16)
        job = world.job(job_id)
        assert (job.state.label, job.suspect_retries) == ("Faulted", 3)
        assert job.fault is not None
        assert job.fault["type"] == "JobAttemptLost"
        assert world.slots() == []

    def test_the_suspect_budget_starts_anew_when_the_job_got_on(self, world: World) -> None:
        job_id = world.submit()
        for lost in range(8):
            worker = world.worker()
            (start,) = worker.receive()
            worker.started(start)
            world.lap()
            if lost % 3 == 2:
                assert worker.save(start, {"step": lost})
            worker.dies()
            world.pass_time(16)
        assert world.state(job_id) == "WaitingForSlot"
        assert world.job(job_id).suspect_retries == 3

    def test_to_save_the_same_state_again_is_not_to_get_on(self, world: World) -> None:
        job_id = world.submit()
        for _ in range(4):
            worker = world.worker()
            (start,) = worker.receive()
            worker.started(start)
            world.lap()
            assert worker.save(start, start.job_state)
            worker.dies()
            world.pass_time(16)
        assert world.state(job_id) == "Faulted"


class TestAbstaining:
    """A host that was away itself holds nobody's silence against him."""

    def test_nobody_is_lost(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.lap()
        worker.dies()
        world.pass_time(60, judge=False)
        assert world.state(job_id) == "Started"
        assert world.attempt(start.attempt_id).state is AttemptStates.RUNNING
        assert len(world.history(job_id)) == 3
        world.pass_time(1)
        assert world.state(job_id) == "WaitingToRetry"

    def test_an_instance_is_not_expired(self, world: World) -> None:
        """It comes back as what it was."""
        worker = world.worker()
        worker.alive = False
        world.pass_time(30, judge=False)
        worker.alive = True
        worker.beat()
        assert not worker.lost
        world.submit()
        assert len(worker.receive()) == 1

    def test_the_jobs_own_deadlines_are_kept(self, world: World) -> None:
        worker = world.worker()
        world.submit(start_at=world.clock.now() + timedelta(seconds=5))
        world.pass_time(5, judge=False)
        assert len(worker.receive()) == 1


class TestRetention:
    @pytest.fixture(params=EVERYWHERE)
    def world(self, request: pytest.FixtureRequest) -> World:
        day = timedelta(days=1)
        options = EngineOptions(job_retention=day, log_retention=day, history_retention=2 * day)
        return make_world(request.param, options=options)

    def test_ended_jobs_go_and_their_history_stays_longer(self, world: World) -> None:
        worker = world.worker(limit=2)
        done, running = world.submit_many(2)
        first, second = worker.receive()
        worker.log(first, "a line")
        worker.complete(first)
        worker.started(second)
        world.lap()
        world.clock.advance(timedelta(days=1) - timedelta(seconds=1))
        assert world.engine.prune() == 0
        world.clock.advance(1)
        assert world.engine.prune() == 2
        assert not world.exists(done)
        assert world.attempts(done) == []
        assert world.exists(running)
        assert [row.kind for row in world.history(done)] == [
            "JobSubmitted", "JobSlotAllocated", "JobAttemptStarted", "JobAttemptCompleted",
        ]  # fmt: skip
        world.clock.advance(timedelta(days=1))
        world.engine.prune()
        assert world.history(done) == []

    @pytest.mark.parametrize("world", WITH_ROW_LOCKS, indirect=True)
    def test_a_job_that_a_client_has_in_hand_is_left_and_not_waited_for(self, world: World) -> None:
        """It may be about to be retried."""
        worker = world.worker()
        done = world.submit()
        (start,) = worker.receive()
        worker.fault(start)
        world.lap()
        world.clock.advance(timedelta(days=1))
        with world.hold_job(done):
            pruned = in_thread(world.engine.prune)
            pruned.join(5)
            assert not pruned.is_alive()
        assert world.exists(done)
        assert world.engine.prune() == 1

    def test_for_ever(self, world: World) -> None:
        worker = world.worker()
        done = world.submit()
        (start,) = worker.receive()
        worker.complete(start)
        world.lap()
        options = EngineOptions(job_retention=None, log_retention=None, history_retention=None)
        world.clock.advance(timedelta(days=30_000))
        assert world.another_engine(options=options).prune() == 0
        assert world.exists(done)


class TestFinalization:
    def test_a_finalized_job_is_gone(self, world: World) -> None:
        worker = world.worker()
        job_id = world.submit()
        (start,) = worker.receive()
        worker.complete(start)
        world.say(FinalizeJob(job_id=job_id))
        assert not world.exists(job_id)
        assert (world.attempts(job_id), world.checkpoint(job_id)) == ([], None)
        assert [row.kind for row in world.history(job_id)][-2:] == ["JobAttemptCompleted", "FinalizeJob"]

    def test_a_job_whose_attempt_may_still_run_stays_until_that_has_ended(self, world: World) -> None:
        """If it were gone, a job of the same id could be submitted, and would run beside it."""
        worker = world.worker(limit=2)
        job_id, start = self._given_up(world, worker)
        world.say(FinalizeJob(job_id=job_id))
        world.command(SubmitJob(job_id=job_id, job_type=TYPE))
        assert world.state(job_id) == "Canceled"
        assert [each.job_id for each in world.slots()] == [job_id]
        worker.cancel(start)
        world.say(FinalizeJob(job_id=job_id))
        assert not world.exists(job_id)
        assert world.attempts(job_id) == []

    def test_or_until_its_worker_is_lost(self, world: World) -> None:
        worker = world.worker()
        job_id, _ = self._given_up(world, worker)
        worker.dies()
        world.pass_time(16)
        world.say(FinalizeJob(job_id=job_id))
        assert not world.exists(job_id)
        assert world.attempts() == []

    def _given_up(self, world: World, worker: ScriptedWorker) -> tuple[UUID, StartJob]:
        """A job that was canceled, and that its worker did not end in time."""
        job_id = world.submit()
        (start,) = worker.receive()
        worker.started(start)
        world.say(CancelJob(job_id=job_id))
        world.pass_time(40)
        assert world.state(job_id) == "Canceled"
        return job_id, start

    def test_completed_jobs_can_go_by_themselves(self, world: World) -> None:
        world.engine.options = EngineOptions(finalize_completed=True)
        worker = world.worker(limit=2)
        done, faulted = world.submit_many(2)
        first, second = worker.receive()
        worker.started(first)
        worker.complete(first, result=1)
        worker.fault(second)
        world.lap()
        assert not world.exists(done)
        assert world.state(faulted) == "Faulted"
        assert [event.result for event in world.heard("JobCompleted")] == [1]
        assert world.slots() == []


def test_a_sweep_that_finds_nothing_changes_nothing(world: World) -> None:
    worker = world.worker(limit=1)
    ids = world.submit_many(3)
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    before: list[Any] = [[world.job(each) for each in ids], world.attempts()]
    for _ in range(3):
        assert world.engine.sweep() == 0
        assert world.engine.process() == 0
    assert [[world.job(each) for each in ids], world.attempts()] == before
