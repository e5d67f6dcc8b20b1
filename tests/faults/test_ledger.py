"""The checker of the other tests: it must see each thing that must not be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobsaga import submit_job
from jobsaga.models import JobAttemptSaga, JobHistory, JobSaga
from jobsaga.models.records import DeadLetter
from jobsaga.sagas.states import AttemptStates, JobStates
from jobsaga.testing import InlineWorker
from tests.faults.ledger import ALIAS, Ledger, overlaps, problems
from tests.jobsapp.jobs.faults import LEDGER, Deed

ONE, TWO = uuid4(), uuid4()


def write(path: Path, *lines: tuple[str, UUID, UUID, float]) -> Ledger:
    """A ledger with these lines: event, job, attempt, time."""
    told: list[dict[str, Any]] = [
        {"event": event, "job": str(job), "attempt": str(attempt), "at": at, "pid": 1, "type": "Deed"}
        for event, job, attempt, at in lines
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in told))
    return Ledger(path)


def test_attempts_that_overlap_are_seen(tmp_path: Path) -> None:
    job = uuid4()
    ledger = write(
        tmp_path / "ledger",
        ("start", job, ONE, 1.0),
        ("start", job, TWO, 2.0),
        ("step", job, ONE, 3.0),  # killed later: it has no stop
        ("stop", job, TWO, 4.0),
    )
    assert [(one.attempt, two.attempt) for one, two in overlaps(ledger.stays())] == [(ONE, TWO)]
    assert ledger.most_at_once(ledger.stays()) == 2


def test_attempts_that_follow_one_another_and_other_jobs_do_not_overlap(tmp_path: Path) -> None:
    job = uuid4()
    ledger = write(
        tmp_path / "ledger",
        ("start", job, ONE, 1.0),
        ("step", job, ONE, 2.0),
        ("start", uuid4(), uuid4(), 1.5),
        ("start", job, TWO, 2.5),
    )
    assert overlaps(ledger.stays()) == []
    assert ledger.most_at_once(ledger.stays(job)) == 1


@pytest.fixture
def completed(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[UUID, Ledger]:
    """A job that has run, and its ledger."""
    path = tmp_path / "ledger"
    path.touch()
    monkeypatch.setenv(LEDGER, str(path))
    job_id = submit_job(Deed())
    with InlineWorker() as worker:
        worker.run_until_quiet()
    return job_id, Ledger(path)


def test_a_job_that_ran_has_no_problem(completed: tuple[UUID, Ledger]) -> None:
    job_id, ledger = completed
    assert problems(ledger, [job_id]) == []


def test_what_is_lost_is_seen(completed: tuple[UUID, Ledger]) -> None:
    job_id, ledger = completed
    missing = uuid4()
    assert f"lost: job {missing} has no row" in problems(ledger, [job_id, missing])
    nobody = ledger.path.with_name("another")
    nobody.touch()
    ledger = Ledger(nobody)
    assert f"lost: job {job_id} counts as completed, but never came to its end" in problems(ledger, [job_id])


def test_what_ran_without_a_row_is_seen(completed: tuple[UUID, Ledger]) -> None:
    job_id, ledger = completed
    JobAttemptSaga.objects.using(ALIAS).all().update(id=ONE)
    assert any("unexplained" in each for each in problems(ledger, [job_id]))


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"state": JobStates.STARTED.value}, "stuck"),
        ({"slot": ONE}, "slot leak"),
    ],
    ids=["stuck", "slot"],
)
def test_a_job_that_has_not_ended_is_seen(
    completed: tuple[UUID, Ledger], change: dict[str, Any], seen: str
) -> None:
    job_id, ledger = completed
    JobSaga.objects.using(ALIAS).filter(id=job_id).update(**change)
    assert any(each.startswith(seen) for each in problems(ledger, [job_id]))


def test_slots_and_repeats_are_seen(completed: tuple[UUID, Ledger]) -> None:
    job_id, ledger = completed
    attempt = JobAttemptSaga.objects.using(ALIAS).get()
    attempt.pk, attempt.holds_slot, attempt.state = TWO, True, AttemptStates.RUNNING.value
    attempt.created_at = attempt.ended_at
    attempt.save(using=ALIAS)
    found = problems(ledger, [job_id])
    assert any(each.startswith("slot leak") for each in found)
    assert any(each.startswith("unexplained repeat") for each in found)


def test_what_is_odd_in_the_history_is_seen(completed: tuple[UUID, Ledger]) -> None:
    job_id, ledger = completed
    rows = JobHistory.objects.using(ALIAS).filter(job_id=job_id)
    rows.filter(to_state=JobStates.COMPLETED.value).update(from_state=JobStates.FAULTED.value)
    assert f"a gap in the history of job {job_id}" in problems(ledger, [job_id])
    rows.filter(to_state=JobStates.COMPLETED.value).delete()
    assert f"ended 0 times: job {job_id}" in problems(ledger, [job_id])


def test_dead_letters_are_seen(completed: tuple[UUID, Ledger]) -> None:
    job_id, ledger = completed
    row = JobSaga.objects.using(ALIAS).get()
    DeadLetter.objects.using(ALIAS).create(at=row.submitted_at, endpoint="saga", body="{}", reason="broken")
    assert any(each.startswith("dead letter") for each in problems(ledger, [job_id]))
