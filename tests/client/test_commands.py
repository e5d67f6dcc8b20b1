"""Every command in every state: what it does, or why not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from jobsaga import JobState, cancel_job, finalize_job, get_job_state, retry_job, run_job, submit_job
from jobsaga.conf import settings
from jobsaga.messages import CancelJob, CancelKind, FinalizeJob, RetryJob, RunJob
from jobsaga.models import JobHistory, TransportMessage
from jobsaga.sagas.job import JOB
from jobsaga.sagas.states import TRANSIENT_JOB_STATES, JobStates
from tests.client.acts import act
from tests.client.conftest import Site
from tests.client.situations import SITUATIONS
from tests.threads import in_thread

pytestmark = pytest.mark.django_db
COMMANDS = {"cancel": cancel_job, "retry": retry_job, "run": run_job, "finalize": finalize_job}

#: What each command answers in each state: the state after it, and why it did nothing ("": it did something).
NO_RUN = "run-now is for a job that waits for its time"
NOT_ENDED = "only an ended job can be finalized: cancel it first"
ENDED = "the job has ended already"
ANSWERS: dict[str, dict[str, tuple[str, str]]] = {
    "WaitingToStart": {
        "cancel": ("Canceled", ""),
        "retry": ("WaitingToStart", "it waits for its time: use run-now"),
        "run": ("WaitingForSlot", ""),
        "finalize": ("WaitingToStart", NOT_ENDED),
    },
    "WaitingForSlot": {
        "cancel": ("Canceled", ""),
        "retry": ("WaitingForSlot", "it is runnable already"),
        "run": ("WaitingForSlot", "it is runnable already"),
        "finalize": ("WaitingForSlot", NOT_ENDED),
    },
    "StartingJobAttempt": {
        "cancel": ("StartingJobAttempt", ""),
        "retry": ("StartingJobAttempt", "it runs already"),
        "run": ("StartingJobAttempt", NO_RUN),
        "finalize": ("StartingJobAttempt", NOT_ENDED),
    },
    "Started": {
        "cancel": ("Started", ""),
        "retry": ("Started", "it runs already"),
        "run": ("Started", NO_RUN),
        "finalize": ("Started", NOT_ENDED),
    },
    "WaitingToRetry": {
        "cancel": ("Canceled", ""),
        "retry": ("WaitingForSlot", ""),
        "run": ("WaitingToRetry", "use retry, which does not wait for the delay"),
        "finalize": ("WaitingToRetry", NOT_ENDED),
    },
    "CancellationPending": {
        "cancel": ("CancellationPending", "a cancel is under way: the first reason stands"),
        "retry": ("CancellationPending", "refused until the cancel has ended it"),
        "run": ("CancellationPending", NO_RUN),
        "finalize": ("CancellationPending", NOT_ENDED),
    },
    "Completed": {
        "cancel": ("Completed", ENDED),
        "retry": ("Completed", "it completed: submit it again"),
        "run": ("Completed", NO_RUN),
        "finalize": ("NotFound", ""),
    },
    "Faulted": {
        "cancel": ("Faulted", ENDED),
        "retry": ("WaitingForSlot", ""),
        "run": ("Faulted", NO_RUN),
        "finalize": ("NotFound", ""),
    },
    "Canceled": {
        "cancel": ("Canceled", ENDED),
        "retry": ("WaitingForSlot", ""),
        "run": ("Canceled", NO_RUN),
        "finalize": ("NotFound", ""),
    },
}
CASES = [(state, command) for state in ANSWERS for command in COMMANDS]


def lines(job_id: UUID) -> int:
    return JobHistory.objects.using(settings.DATABASE).filter(job_id=job_id).count()


def test_all_states_that_are_stored_are_here() -> None:
    stored = set(JobStates) - TRANSIENT_JOB_STATES - {JobStates.FINAL}
    assert {state.label for state in stored} == set(ANSWERS) == set(SITUATIONS)


@pytest.mark.parametrize(("state", "command"), CASES, ids=lambda value: value)
def test_a_command_does_something_or_says_why_not(world: Site, state: str, command: str) -> None:
    job_id = SITUATIONS[state](world)
    assert get_job_state(job_id).current_state == state
    before, known = get_job_state(job_id), lines(job_id)
    answer = COMMANDS[command](job_id)
    assert (answer.current_state, answer.refused) == ANSWERS[state][command]
    if answer.refused:
        assert _without_refusal(answer) == before
        assert lines(job_id) == known
    elif answer.current_state != state:
        assert lines(job_id) == known + 1


def _without_refusal(state: JobState) -> JobState:
    return replace(state, refused="")


@pytest.mark.parametrize(("state", "command"), CASES, ids=lambda value: value)
def test_the_table_of_the_rules_agrees(state: str, command: str) -> None:
    """What the admin offers is what the client does."""
    message = {"cancel": CancelJob, "retry": RetryJob, "run": RunJob, "finalize": FinalizeJob}[command]
    accepted = message in JOB.accepts(next(each for each in JobStates if each.label == state))
    assert accepted == (ANSWERS[state][command][1] == "")


@pytest.mark.parametrize("state", ["StartingJobAttempt", "Started"])
def test_the_cancel_of_a_running_job_is_left_to_the_sagas(world: Site, state: str) -> None:
    """The client locks nothing that the sagas need; the request is as durable as the caller's transaction."""
    job_id = SITUATIONS[state](world)
    with transaction.atomic(using=settings.DATABASE):
        assert cancel_job(job_id, "enough", by="ops").cancel_requested is None
        assert TransportMessage.objects.using(settings.DATABASE).filter(endpoint="saga").count() == 1
    world.lap()
    answer = get_job_state(job_id)
    assert (answer.current_state, answer.cancel_requested) == ("CancellationPending", world.clock.now())
    assert _last_line(job_id) == ("CancelJob", "enough", "ops")


def test_the_cancel_of_a_waiting_job_says_why_and_by_whom() -> None:
    job_id = submit_job(act())
    answer = cancel_job(job_id, "no longer needed", by="ops")
    assert (answer.reason, answer.is_finished) == ("no longer needed", True)
    assert _last_line(job_id) == ("CancelJob", "no longer needed", "ops")


@pytest.mark.parametrize("command", ["retry", "finalize"])
def test_who_did_it_is_in_the_history(world: Site, command: str) -> None:
    job_id = SITUATIONS["Faulted"](world)
    COMMANDS[command](job_id, by="Zoë")  # type: ignore[call-arg]
    kind = {"retry": "RetryJob", "finalize": "FinalizeJob"}[command]
    assert _last_line(job_id) == (kind, "", "Zoë")


def _last_line(job_id: UUID) -> Any:
    rows = JobHistory.objects.using(settings.DATABASE).filter(job_id=job_id).order_by("-id")
    return rows.values_list("kind", "message", "actor").first()


def test_a_retried_job_runs_again_with_progress_and_state(world: Site) -> None:
    job_id = submit_job(act())
    worker, start = world.start()
    worker.progress(start, 3.0, limit=10.0)
    worker.save(start, {"page": 3})
    worker.fault(start)
    world.lap()
    answer = retry_job(job_id)
    assert (answer.reason, answer.fault, answer.faulted, answer.finished) == ("", None, None, None)
    assert (answer.progress_value, answer.job_state, answer.last_retry_attempt) == (3.0, {"page": 3}, 1)
    world.lap()
    (again,) = worker.receive()
    assert (again.job_state, again.progress_value, again.retry_attempt) == ({"page": 3}, 3.0, 1)


def test_a_finalized_job_leaves_its_history_only(world: Site) -> None:
    job_id = SITUATIONS["Completed"](world)
    known = lines(job_id)
    assert finalize_job(job_id).current_state == "NotFound"
    assert get_job_state(job_id).current_state == "NotFound"
    assert (world.attempts(job_id), world.checkpoint(job_id)) == ([], None)
    assert lines(job_id) == known + 1


class TestInTheCallersTransaction:
    """Like everything the client does."""

    pytestmark = pytest.mark.django_db(transaction=True)

    class Oops(Exception):
        pass

    @pytest.mark.parametrize(
        ("state", "command"),
        [case for case in CASES if not ANSWERS[case[0]][case[1]][1]],
        ids=lambda value: value,
    )
    def test_a_rollback_undoes_it(self, world: Site, state: str, command: str) -> None:
        job_id = SITUATIONS[state](world)
        before, known = get_job_state(job_id), lines(job_id)
        with suppress(self.Oops), transaction.atomic(using=settings.DATABASE):
            COMMANDS[command](job_id)
            raise self.Oops
        world.lap()
        assert (get_job_state(job_id), lines(job_id)) == (before, known)

    def test_a_submitted_job_can_be_canceled_in_the_same(self, world: Site) -> None:
        with transaction.atomic(using=settings.DATABASE):
            job_id = submit_job(act())
            assert cancel_job(job_id).current_state == "Canceled"
        worker = world.worker()
        assert worker.receive() == []
        assert get_job_state(job_id).current_state == "Canceled"

    @pytest.mark.postgresql
    @pytest.mark.mariadb
    def test_two_commands_at_once_come_one_after_the_other(self, world: Site) -> None:
        job_id = submit_job(act())
        answers: list[JobState] = []
        with transaction.atomic(using=settings.DATABASE):
            cancel_job(job_id, "first")
            second = in_thread(lambda: answers.append(cancel_job(job_id, "second")))
            second.join(0.3)
            assert second.is_alive()
        second.join(20)
        assert [(each.current_state, each.reason, each.refused) for each in answers] == [
            ("Canceled", "first", "the job has ended already")
        ]

    @pytest.mark.postgresql
    @pytest.mark.mariadb
    def test_a_command_waits_for_no_worker(self, world: Site) -> None:
        """Its job's own transaction is open; the sagas finalize it when that has ended."""
        job_id = SITUATIONS["Completed"](world)
        with world.hold_checkpoint(job_id):
            assert finalize_job(job_id).current_state == "Completed"
        world.clock.advance(0.05)
        world.lap()
        assert get_job_state(job_id).current_state == "NotFound"


def test_promise_4_an_accepted_cancel_ends_the_run_in_canceled_unless_it_had_completed_already(
    world: Site,
) -> None:
    """Whatever the worker says after it: that it failed, was asked to stop, is shutting down, or nothing."""
    worker = world.worker(limit=5)
    ids = [submit_job(act()) for _ in range(5)]
    world.lap()
    starts = worker.receive()
    for start in starts:
        worker.started(start)
    world.lap()
    for job_id in ids:
        cancel_job(job_id, "enough")
    world.lap()
    worker.fault(starts[0], retry_delay=0)
    worker.cancel(starts[1])
    worker.cancel(starts[2], CancelKind.SHUTDOWN)
    worker.complete(starts[3])
    world.pass_time(45, step=5)
    assert [get_job_state(each).current_state for each in ids] == ["Canceled"] * 3 + ["Completed", "Canceled"]
