"""D, and K02-K04: faults, retries by policy and by hand, and the end of a job's row."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from jobsaga import JobState, cancel_job, finalize_job, get_job_state, retry_job, submit_job
from jobsaga.clock import ManualClock
from jobsaga.exceptions import JobNotFound
from jobsaga.testing import manual_clock, run_until_quiet
from tests.conformance.surfaces import Diary, history, kinds, path, state
from tests.conformance.test_submission import HAPPY
from tests.engine.world import World
from tests.jobsapp.jobs.conformance import OddJob, PatientJob, RetriedJob

pytestmark = pytest.mark.django_db

AGAIN = ["WaitingToRetry", *HAPPY]


def test_d01_exception_without_retry_policy(diary: Diary) -> None:
    job_id = submit_job(OddJob("fail"))
    run_until_quiet()
    known = get_job_state(job_id)
    assert (known.current_state, known.reason) == ("Faulted", "ValueError: broken 0")
    assert known.faulted is not None
    assert path(job_id) == ["WaitingForSlot", "StartingJobAttempt", "Started", "Faulted"]
    assert len(diary.begins(job_id)) == 1


def test_d02_repeated_messages_do_not_hide_the_fault(world: World, diary: Diary) -> None:
    """The transport may deliver a report again and again: it stays one fault, and spends one retry."""
    worker = world.worker(types=["jobsapp.OddJob"])
    job_id = submit_job(OddJob())
    world.lap()
    (start,) = worker.receive()
    worker.started(start)
    worker.started(start)
    for _ in range(3):
        worker.fault(start, "broken", retry_delay=5)
    world.lap()
    assert path(job_id)[-1] == "WaitingToRetry"
    world.pass_time(5)
    (again,) = worker.receive()
    assert again.policy_retries == 1
    worker.started(again)
    for _ in range(3):
        worker.fault(again, "broken again")
    world.lap()
    assert (state(job_id), get_job_state(job_id).reason) == ("Faulted", "ValueError: broken again")
    assert diary.signals(job_id) == ["job_started", "job_started", "job_faulted"]


def test_d03_fault_carries_the_payload(diary: Diary) -> None:
    job_id = submit_job(OddJob("fail", {"times": 1000}), properties={"Region": "East"})
    run_until_quiet()
    faulted = diary.signal(job_id, "job_faulted")
    assert faulted["message"] == {"does": "fail", "args": {"times": 1000}}
    assert faulted["properties"] == {"Region": "East"}
    assert (faulted["fault"]["type"], faulted["fault"]["message"]) == ("ValueError", "broken 0")
    assert "in fail" in faulted["fault"]["traceback"]


@pytest.mark.django_db(transaction=True)
def test_d04_started_precedes_faulted(diary: Diary) -> None:
    job_id = submit_job(OddJob("fail"))
    run_until_quiet()
    assert diary.signals(job_id) == ["job_submitted", "job_started", "job_faulted"]


def test_d05_immediate_retry(diary: Diary) -> None:
    job_id = submit_job(RetriedJob("fail", {"times": 1}))
    run_until_quiet()
    assert get_job_state(job_id).result == "mended"
    assert diary.signal(job_id, "job_completed")["message"] == {"does": "fail", "args": {"times": 1}}
    assert [line["retry_attempt"] for line in diary.begins(job_id)] == [0, 1]


def test_d05_two_retries_are_three_runs(diary: Diary) -> None:
    job_id = submit_job(RetriedJob("fail"))
    run_until_quiet()
    assert [line["retry_attempt"] for line in diary.begins(job_id)] == [0, 1, 2]
    assert get_job_state(job_id).reason == "ValueError: broken 2"


def test_d06_interval_retry(diary: Diary) -> None:
    with manual_clock() as clock:
        job_id = submit_job(PatientJob("fail", {"times": 1}))
        run_until_quiet()
        assert state(job_id) == "WaitingToRetry"
        due = get_job_state(job_id).next_start_date
        assert due is not None
        assert (due - clock.now()).total_seconds() == 2
        clock.advance(1.9)
        run_until_quiet()
        assert len(diary.begins(job_id)) == 1
        clock.advance(0.1)
        run_until_quiet()
    assert path(job_id) == [*HAPPY[:3], *AGAIN]


@pytest.mark.django_db(transaction=True)
def test_d07_no_faulted_event_for_a_retried_fault(diary: Diary) -> None:
    with manual_clock() as clock:
        job_id = submit_job(PatientJob("fail", {"times": 1}))
        other = submit_job(RetriedJob("fail", {"times": 1}))
        run_until_quiet()
        clock.advance(2)
        run_until_quiet()
    expected = ["job_submitted", "job_started", "job_started", "job_completed"]
    assert diary.signals(other) == expected
    assert state(job_id) == "Completed"
    assert "Faulted" not in path(job_id) + path(other)


def test_d08_somebody_elses_cancellation_is_a_fault() -> None:
    """As the original has it since its issue 4981; before, the attempt went quiet. (The other half of D08, a worker
    that vanishes, is in ``test_lost_workers``.)
    """
    job_id = submit_job(OddJob("cancel_foreign"))
    run_until_quiet()
    known = get_job_state(job_id)
    assert (known.current_state, path(job_id)[-1]) == ("Faulted", "Faulted")
    assert known.fault is not None
    assert "CancelledError" in known.fault["type"]


def test_d08_giving_up_by_oneself_is_no_fault() -> None:
    """A handler that raises the job's own cancellation, though nobody asked: Canceled, and no retry."""
    silent, telling = (
        submit_job(RetriedJob("give_up")),
        submit_job(RetriedJob("give_up", {"reason": "no use"})),
    )
    run_until_quiet()
    assert [state(silent), state(telling)] == ["Canceled", "Canceled"]
    assert get_job_state(silent).reason == "Consumer Initiated"
    assert get_job_state(telling).reason == "no use"


def test_d09_somebody_elses_cancellation_is_retried_by_policy(diary: Diary) -> None:
    job_id = submit_job(RetriedJob("cancel_foreign", {"times": 1}))
    run_until_quiet()
    assert get_job_state(job_id).result == "mended"
    assert len(diary.begins(job_id)) == 2


# -- what a person may do, and when


def waiting(world: World) -> UUID:
    return submit_job(PatientJob())


def starting(world: World) -> UUID:
    job_id = submit_job(PatientJob())
    world.worker(types=["jobsapp.PatientJob"])
    return job_id


def started(world: World) -> UUID:
    job_id = starting(world)
    (start,) = world.workers[-1].receive()
    world.workers[-1].started(start)
    world.lap()
    return job_id


def pending(world: World) -> UUID:
    job_id = started(world)
    cancel_job(job_id)
    world.lap()
    return job_id


def ended(world: World, how: str, **fields: float) -> UUID:
    job_id = starting(world)
    (start,) = world.workers[-1].receive()
    getattr(world.workers[-1], how)(start, **fields)
    world.lap()
    return job_id


SITUATIONS: dict[str, Callable[[World], UUID]] = {
    "WaitingForSlot": waiting,
    "StartingJobAttempt": starting,
    "Started": started,
    "CancellationPending": pending,
    "WaitingToRetry": lambda world: ended(world, "fault", retry_delay=60),
    "Completed": lambda world: ended(world, "complete"),
    "Faulted": lambda world: ended(world, "fault"),
    "Canceled": lambda world: ended(world, "cancel"),
}


def bring_to_an_end(world: World, job_id: UUID) -> None:
    """Cancel it, with whatever worker it has doing as it is told."""
    if state(job_id) != "NotFound":
        cancel_job(job_id)
        world.lap()
    for worker in world.workers:
        for start in worker.receive():
            worker.started(start)
        for ask in worker.canceled:
            worker.cancel(ask)  # type: ignore[arg-type]
        world.lap()


@pytest.mark.parametrize("situation", SITUATIONS)
def test_k02_when_a_manual_retry_is_taken(world: World, situation: str) -> None:
    """Taken in WaitingToRetry, Faulted and Canceled. In WaitingForSlot there is nothing to do: a waiting job is
    runnable, no slot is asked for again. Better: whoever is refused is told why.
    """
    job_id = SITUATIONS[situation](world)
    assert state(job_id) == situation
    answer = retry_job(job_id)
    taken = situation in ("WaitingToRetry", "Faulted", "Canceled")
    assert (answer.refused == "") is taken
    assert answer.current_state == ("WaitingForSlot" if taken else situation)
    bring_to_an_end(world, job_id)


def test_k03_manual_retry_is_a_new_attempt_that_keeps_progress_and_state(diary: Diary) -> None:
    job_id = submit_job(OddJob("step", {"steps": 2, "then": "fail"}))
    run_until_quiet()
    assert retry_job(job_id).current_state == "WaitingForSlot"
    run_until_quiet()
    one, two = diary.begins(job_id)
    assert (one["retry_attempt"], one["state"], one["progress"]) == (0, None, None)
    assert (two["retry_attempt"], two["state"], two["progress"]) == (1, {"step": 2}, 2.0)
    assert one["attempt"] != two["attempt"]
    assert get_job_state(job_id).last_retry_attempt == 1
    assert len(diary.lines(job_id, "step")) == 2


def test_k03_a_manual_retry_has_its_own_budget(diary: Diary) -> None:
    """Better: the policy's retries start afresh; in the original a retry by hand eats one of them."""
    job_id = submit_job(RetriedJob("fail"))
    run_until_quiet()
    retry_job(job_id)
    run_until_quiet()
    assert [line["retry_attempt"] for line in diary.begins(job_id)] == [0, 1, 2, 3, 4, 5]
    assert path(job_id).count("Faulted") == 2


@pytest.mark.parametrize("situation", SITUATIONS)
def test_k04_when_a_job_can_be_finalized(world: World, situation: str) -> None:
    """Better: a completed job too. Refused, with the reason, while it has not ended. History stays."""
    job_id = SITUATIONS[situation](world)
    answer: JobState = finalize_job(job_id)
    taken = situation in ("Completed", "Faulted", "Canceled")
    assert (answer.refused == "") is taken
    assert answer.current_state == ("NotFound" if taken else situation)
    if taken:
        with pytest.raises(JobNotFound):
            finalize_job(job_id)
        assert kinds(job_id)[-1] == "FinalizeJob"
        assert history(job_id)[-1].job_id == job_id
    bring_to_an_end(world, job_id)


def test_k04_not_while_its_last_attempt_may_still_run(world: World) -> None:
    """Better: another job of the same id would run beside it."""
    job_id = SITUATIONS["CancellationPending"](world)
    world.pass_time(41)
    answer = finalize_job(job_id)
    assert (answer.current_state, answer.refused) == ("Canceled", "its last attempt may still run")
    for worker in world.workers:
        worker.dies()
    world.pass_time(16)
    assert finalize_job(job_id).current_state == "NotFound"


def test_the_clock_of_the_world_is_the_clients(world: World) -> None:
    """What the scenarios above stand on."""
    assert isinstance(world.clock, ManualClock)
    job_id = submit_job(OddJob())
    assert get_job_state(job_id).submitted == world.clock.now()
    cancel_job(job_id)
