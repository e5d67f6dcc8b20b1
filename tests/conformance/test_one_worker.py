"""Scenarios with a real worker that they share, as jobs of a site do: in processes, threads and tasks."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from jobsaga import cancel_job, get_job_state, retry_job, submit_job, submit_jobs
from jobsaga.ids import uuid7
from tests.conformance.deployment import Deployment
from tests.conformance.surfaces import history, kinds, path, state
from tests.conformance.test_submission import ALL_SIGNALS, HAPPY
from tests.jobsapp.jobs.conformance import (
    BusyJob,
    EvenJob,
    OddJob,
    RareJob,
    RetriedJob,
    SlowlyTellingJob,
    TaskJob,
    ThreadJob,
    TimedJob,
    TimedRetriedJob,
    TimedTaskJob,
    TimedThreadJob,
    TrioJob,
)

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True, databases="__all__")]

#: In a process of its own, which is the default; in a thread; and as a task.
KINDS = pytest.mark.parametrize("kind", [BusyJob, ThreadJob, TaskJob])


@pytest.fixture
def _django_db_helper() -> None:
    """In the place of pytest-django's, which would take the rows from under the worker after each test."""


def start(site: Deployment, message: OddJob, **given: Any) -> UUID:
    """Submit it, and wait until its handler has begun."""
    job_id = submit_job(message, **given)
    site.begins(job_id)
    site.reaches(job_id, "Started")
    return job_id


def test_a01_explicit_id_with_a_real_worker(one_worker: Deployment) -> None:
    job_id = uuid7()
    assert submit_job(OddJob("quick"), job_id=job_id) == job_id
    one_worker.reaches(job_id, "Completed")
    assert path(job_id) == HAPPY


def test_a10_submitted_started_completed_in_this_order_for_each_id(one_worker: Deployment) -> None:
    jobs = [submit_job(BusyJob("quick", {"value": number})) for number in range(5)]
    for number, job_id in enumerate(jobs):
        signals = lambda job_id=job_id: one_worker.diary.signals(job_id) == ALL_SIGNALS  # noqa: E731
        one_worker.wait_for(signals, what="the signals in order")
        assert one_worker.diary.signal(job_id, "job_completed")["result"] == number


def test_a13_properties_of_job_and_worker_in_completed(one_worker: Deployment) -> None:
    job_id = submit_job(BusyJob("describe"), properties={"region": "East"})
    one_worker.wait_for(lambda: one_worker.diary.lines(job_id, "job_completed"), what="job_completed")
    completed = one_worker.diary.signal(job_id, "job_completed")
    assert completed["properties"] == {"region": "East"}
    assert completed["instance"] == {"Region": "East", "Rack": "4"}
    assert completed["result"]["instance"] == completed["instance"]


@KINDS
def test_b02_b03_b04_status_and_reason_of_a_canceled_job(one_worker: Deployment, kind: type[OddJob]) -> None:
    job_id = start(one_worker, kind("wait"))
    assert state(job_id) == "Started"
    cancel_job(job_id, "Custom Reason")
    one_worker.reaches(job_id, "Canceled")
    assert get_job_state(job_id).reason == "Custom Reason"


@KINDS
def test_c01_c02_cancel_a_running_job_with_a_reason(one_worker: Deployment, kind: type[OddJob]) -> None:
    job_id = start(one_worker, kind("wait"))
    assert cancel_job(job_id, "I give up").current_state == "Started"
    one_worker.reaches(job_id, "Canceled", timeout=10)
    assert path(job_id) == [*HAPPY[:3], "CancellationPending", "Canceled"]
    one_worker.wait_for(lambda: one_worker.diary.lines(job_id, "job_canceled"), what="job_canceled")
    assert one_worker.diary.signals(job_id) == ["job_submitted", "job_started", "job_canceled"]
    assert one_worker.diary.signal(job_id, "job_canceled")["reason"] == "I give up"


def test_c01_cancel_wins_over_handlers_that_do_not_listen(one_worker: Deployment) -> None:
    """Better: at the end of its cancellation timeout the process is ended, with the shared one of threads and tasks
    when nothing else runs there; in the original the job stays Started.
    """
    messages = [BusyJob("sleep"), BusyJob("deaf"), ThreadJob("deaf"), TaskJob("deaf")]
    jobs = [start(one_worker, message) for message in messages]
    for job_id in jobs:
        cancel_job(job_id)
    for job_id in jobs:
        one_worker.reaches(job_id, "Canceled", timeout=10)
        assert get_job_state(job_id).reason == "Cancellation Requested"
    assert [len(one_worker.diary.begins(job_id)) for job_id in jobs] == [1] * 4


@KINDS
def test_c01_a_handler_that_swallows_its_cancel_has_completed(
    one_worker: Deployment, kind: type[OddJob]
) -> None:
    """As in the original: the work was done, so the job is Completed, and whoever asked can see it."""
    job_id = start(one_worker, kind("swallow"))
    cancel_job(job_id)
    one_worker.reaches(job_id, "Completed")
    assert get_job_state(job_id).result == "swallowed"
    assert path(job_id) == [*HAPPY[:3], "CancellationPending", "Completed"]


def test_c03_cancel_releases_the_slot(one_worker: Deployment) -> None:
    """One at a time: the next begins when the canceled one has ended, without any wait for a slot."""
    holder, following = start(one_worker, OddJob("wait")), submit_job(OddJob("quick"))
    assert state(following) == "WaitingForSlot"
    cancel_job(holder)
    one_worker.reaches(holder, "Canceled")
    one_worker.reaches(following, "Completed", timeout=10)
    assert one_worker.diary.most_at_once([holder, following]) == 1


def test_c04_cancel_while_waiting_for_a_slot(one_worker: Deployment) -> None:
    """Better: Canceled when the call returns; in the original this is ignored in some states (its issue 3536)."""
    running, waiting = start(one_worker, OddJob("wait")), submit_job(OddJob("quick"))
    assert cancel_job(waiting, "no need").current_state == "Canceled"
    assert path(waiting) == ["WaitingForSlot", "Canceled"]
    assert one_worker.diary.signals(waiting) == ["job_submitted", "job_canceled"]
    cancel_job(running)
    one_worker.reaches(running, "Canceled")
    assert one_worker.diary.begins(waiting) == []


@KINDS
def test_c05_c06_c07_c08_canceled_then_retried(one_worker: Deployment, kind: type[OddJob]) -> None:
    """The original's odd job: its second attempt needs the progress of the first, sent before it was canceled, and
    does not wait, since it knows that it is the second. Better: the saved state is asserted too.
    """
    job_id = start(one_worker, kind("odd"))
    cancel_job(job_id, "later")
    one_worker.reaches(job_id, "Canceled")
    assert retry_job(job_id).current_state in ("WaitingForSlot", "StartingJobAttempt", "Started", "Completed")
    one_worker.reaches(job_id, "Completed", timeout=10)
    _, again = one_worker.diary.begins(job_id)
    assert (again["retry_attempt"], again["progress"]) == (1, 0.0)
    assert again["state"] == {"canceled because": "later"}
    known = get_job_state(job_id)
    assert (known.progress_value, known.progress_limit, known.reason) == (99.0, 100.0, "")
    one_worker.wait_for(lambda: one_worker.diary.lines(job_id, "job_completed"), what="job_completed")


@KINDS
def test_d01_d04_exception_in_a_real_worker(one_worker: Deployment, kind: type[OddJob]) -> None:
    job_id = (
        submit_job(kind("step", {"then": "fail"})) if kind is not TaskJob else submit_job(TaskJob("fail"))
    )
    one_worker.reaches(job_id, "Faulted")
    assert path(job_id) == [*HAPPY[:3], "Faulted"]
    one_worker.wait_for(lambda: one_worker.diary.lines(job_id, "job_faulted"), what="job_faulted")
    assert one_worker.diary.signals(job_id) == ["job_submitted", "job_started", "job_faulted"]


def test_d05_d07_retry_by_policy_in_a_real_worker(one_worker: Deployment) -> None:
    job_id = submit_job(RetriedJob("fail", {"times": 2}))
    one_worker.reaches(job_id, "Completed")
    one_worker.wait_for(lambda: one_worker.diary.lines(job_id, "job_completed"), what="job_completed")
    assert one_worker.diary.signals(job_id) == ["job_submitted", *["job_started"] * 3, "job_completed"]
    assert get_job_state(job_id).result == "mended"


def test_e01_a_job_that_outlasts_many_leases(one_worker: Deployment) -> None:
    """A lease lasts 3 s here, and this handler never looks up for longer than that."""
    job_id = submit_job(BusyJob("sleep", {"seconds": 4}))
    one_worker.reaches(job_id, "Completed")
    assert path(job_id) == HAPPY


def test_f01_ten_jobs_limit_three(one_worker: Deployment) -> None:
    """Better: no slot wait. Each slot that becomes free is handed on at once."""
    go_on = one_worker.sign()
    jobs = [submit_job(TrioJob("wait", {"until": str(go_on)})) for _ in range(10)]
    for job_id in jobs[:3]:
        one_worker.begins(job_id)
    assert [state(job_id) for job_id in jobs[3:]] == ["WaitingForSlot"] * 7
    go_on.touch()
    for job_id in jobs:
        one_worker.wait_for(
            lambda job_id=job_id: one_worker.diary.signals(job_id) == ALL_SIGNALS, what="ten jobs"
        )
        assert path(job_id) == HAPPY
    assert one_worker.diary.most_at_once(jobs) == 3


def test_f02_default_limit_is_one(one_worker: Deployment) -> None:
    go_on = one_worker.sign()
    first, second = (submit_job(OddJob("wait", {"until": str(go_on)})) for _ in range(2))
    one_worker.begins(first)
    assert state(second) == "WaitingForSlot"
    go_on.touch()
    one_worker.reaches(second, "Completed")
    assert one_worker.diary.most_at_once([first, second]) == 1


@pytest.mark.parametrize("kind", [TimedJob, TimedThreadJob, TimedTaskJob])
def test_k07_job_timeout(one_worker: Deployment, kind: type[OddJob]) -> None:
    """Ours is right: a timeout is a fault with its own reason; in the original the job ends as Canceled,
    "Consumer Initiated", and is never retried.
    """
    job_id = submit_job(kind("wait"))
    one_worker.reaches(job_id, "Faulted", timeout=10)
    known = get_job_state(job_id)
    assert known.fault is not None
    assert (known.fault["type"], known.last_retry_attempt) == ("JobTimeout", 0)
    assert "longer than its job_timeout of 0.5 s" in known.reason


def test_k07_job_timeout_under_the_retry_policy(one_worker: Deployment) -> None:
    job_id = submit_job(TimedRetriedJob("wait"))
    one_worker.reaches(job_id, "Faulted", timeout=10)
    assert [line["retry_attempt"] for line in one_worker.diary.begins(job_id)] == [0, 1]


def test_k08_handlers_that_ignore_their_timeout(one_worker: Deployment) -> None:
    """Ours is right: their processes are ended, and the jobs are faults. In the original they run on, and then count
    as completed.
    """
    neighbour = start(one_worker, BusyJob("wait"))
    jobs = [start(one_worker, kind("deaf")) for kind in (TimedJob, TimedThreadJob, TimedTaskJob)]
    for job_id in jobs:
        one_worker.reaches(job_id, "Faulted", timeout=10)
        assert "job_timeout" in get_job_state(job_id).reason
        assert one_worker.diary.lines(job_id, "end") == []
    assert state(neighbour) == "Started"
    cancel_job(neighbour)
    one_worker.reaches(neighbour, "Canceled")


def test_k14_global_limit_with_a_real_worker(one_worker: Deployment) -> None:
    """Three at a time on each worker, two in all."""
    jobs = submit_jobs([RareJob("sleep", {"seconds": 0.3}) for _ in range(6)])
    for job_id in jobs:
        one_worker.reaches(job_id, "Completed")
    assert one_worker.diary.most_at_once(jobs) == 2


def told(site: Deployment, job_id: UUID) -> None:
    """Wait until the job has said that it has reported all its progress."""
    site.wait_for(lambda: "JobLog" in kinds(job_id), what="the job's own line")


def test_k28_progress_is_stored_after_so_many_updates(one_worker: Deployment) -> None:
    """A buffer of 600 s and 1000 updates: 999 are not stored, one more is, and the last value wins."""
    few = submit_job(SlowlyTellingJob("tell", {"updates": 999, "then": "wait"}))
    many = submit_job(SlowlyTellingJob("tell", {"updates": 1000, "then": "wait"}))
    told(one_worker, few)
    progress = lambda: get_job_state(many).progress_value  # noqa: E731
    one_worker.wait_for(lambda: progress() == 1000, what="progress")
    assert get_job_state(many).progress_message == "number 1000"
    assert get_job_state(few).progress_value is None
    for job_id in (few, many):
        cancel_job(job_id)
        one_worker.reaches(job_id, "Canceled")
    assert get_job_state(few).progress_value == 999  # flushed with the cancel


def test_k28_progress_is_stored_after_some_time(one_worker: Deployment) -> None:
    job_id = submit_job(BusyJob("tell", {"updates": 2, "then": "wait"}))
    one_worker.wait_for(lambda: get_job_state(job_id).progress_value == 2, what="progress")
    assert state(job_id) == "Started"
    cancel_job(job_id)
    one_worker.reaches(job_id, "Canceled")


@pytest.mark.parametrize(
    ("then", "end"), [("quick", "Completed"), ("fail", "Faulted"), ("give_up", "Canceled")]
)
def test_k28_progress_is_flushed_at_the_end(one_worker: Deployment, then: str, end: str) -> None:
    job_id = submit_job(SlowlyTellingJob("tell", {"updates": 7, "then": then}))
    one_worker.reaches(job_id, end)
    known = get_job_state(job_id)
    assert (known.progress_value, known.progress_limit, known.progress_message) == (7, 10_000, "number 7")


def test_k33_types_on_one_worker_do_not_interfere(one_worker: Deployment) -> None:
    """Each type has a limit of one, and both run at the same time."""
    go_on = one_worker.sign()
    jobs = [submit_job(kind("wait", {"until": str(go_on)})) for kind in (OddJob, EvenJob)]
    for job_id in jobs:
        one_worker.begins(job_id)
    assert one_worker.diary.most_at_once(jobs) == 2
    go_on.touch()
    for job_id in jobs:
        one_worker.reaches(job_id, "Completed")


def test_k36_cancel_at_every_moment_of_the_start(one_worker: Deployment) -> None:
    """Submitted and canceled at once: whichever comes first, the job ends as Canceled and its slot is given back."""
    jobs = []
    for _ in range(20):
        jobs.append(submit_job(BusyJob("wait")))
        cancel_job(jobs[-1], "never mind")
    for job_id in jobs:
        one_worker.reaches(job_id, "Canceled")
        assert get_job_state(job_id).reason == "never mind"
        assert [row.actor for row in history(job_id)] == [""] * len(history(job_id))
    done = submit_job(BusyJob("quick"))
    one_worker.reaches(done, "Completed")
