"""The benchmark runs, and fails when something is wrong. How fast anything is, is not tested here."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from benchmarks import __main__ as bench
from benchmarks.checks import LINES_PER_JOB, bad_lines, problems, rows
from jobsaga.models import DeadLetter, JobAttemptSaga, JobHistory, JobSaga, TransportMessage
from jobsaga.sagas.states import AttemptStates, JobStates
from tests.processes import ROOT

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TINY = [
    "--database",
    "sqlite",
    "--isolation",
    "thread",
    "--concurrency",
    "10",
    "--jobs",
    "50",
    "--probes",
    "3",
]


@pytest.mark.process
def test_a_tiny_run(tmp_path: Path) -> None:
    found = tmp_path / "numbers.json"
    command = [sys.executable, "-m", "benchmarks", *TINY, "--json", str(found)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All jobs Completed" in done.stdout
    (numbers,) = json.loads(found.read_text())
    assert numbers["problems"] == []
    measured = {name: value for name, value in numbers.items() if isinstance(value, float)}
    assert {"submit_per_s", "bulk_per_s", "drain_per_s", "both_per_s", "latency_p50_ms"} <= measured.keys()
    assert all(value > 0 for name, value in measured.items() if name != "others_cores")


def test_a_problem_in_one_run_is_said_and_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        bench, "_once", lambda run, *_: {"drain_per_s": 1.0, "problems": ["3 slots are held"]}
    )
    assert bench.main(TINY) == 1
    assert "SQLite, thread, 10 at once: 3 slots are held" in capsys.readouterr().out


def test_a_run_that_breaks_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert bench.main(TINY) == 1
    assert "ended with exit code 1" in capsys.readouterr().out


@pytest.mark.django_db
class TestRows:
    """``problems`` finds each thing that should not be."""

    def test_all_is_well(self) -> None:
        completed_job()
        assert list(problems(1)) == []

    def test_a_job_that_is_missing(self) -> None:
        completed_job()
        assert "1 of 2 jobs are Completed" in problems(2)

    def test_a_job_that_faulted(self) -> None:
        rows(JobSaga).filter(id=completed_job()).update(state=JobStates.FAULTED.value)
        assert list(problems(1)) == ["0 of 1 jobs are Completed"]

    def test_a_slot_that_is_held(self) -> None:
        completed_job()
        rows(JobAttemptSaga).update(holds_slot=True)
        assert list(problems(1)) == ["1 slots are held"]

    def test_an_attempt_that_is_open(self) -> None:
        completed_job()
        rows(JobAttemptSaga).update(state=AttemptStates.RUNNING.value)
        assert list(problems(1)) == ["1 attempts are open"]

    def test_a_job_that_ran_twice(self) -> None:
        attempt_of(completed_job())
        assert list(problems(1)) == ["2 attempts for 1 jobs"]

    def test_a_dead_letter(self) -> None:
        completed_job()
        rows(DeadLetter).create(at=NOW, endpoint="saga", body="{}", reason="broken")
        assert list(problems(1)) == ["1 dead letters"]

    def test_a_message_nobody_took(self) -> None:
        completed_job()
        rows(TransportMessage).create(endpoint="saga", body="{}")
        assert list(problems(1)) == ["1 messages were left behind"]

    def test_history_with_a_gap(self) -> None:
        completed_job()
        rows(JobHistory).first().delete()
        assert list(problems(1)) == [f"{LINES_PER_JOB - 1} lines of history for 1 jobs"]


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01 00:00:00,000 WARNING jobsaga.worker: The lease could not be renewed",
        "2026-01-01 00:00:00,000 ERROR jobsaga.engine: A batch could not be handled",
        "Traceback (most recent call last):",
        "django.db.utils.OperationalError: database is locked",
    ],
)
def test_what_is_bad_in_a_log(line: str) -> None:
    assert list(bad_lines(f"2026-01-01 00:00:00,000 INFO jobsaga: all is well\n{line}\n")) == [
        f"in the log: {line}"
    ]


def test_a_long_log_is_cut() -> None:
    assert list(bad_lines("an ERROR here\n" * 10))[-1] == "in the log: 7 more"


def completed_job() -> UUID:
    job = rows(JobSaga).create(
        id=uuid4(), job_type="a.Job", state=JobStates.COMPLETED.value, submitted_at=NOW, finished_at=NOW
    )
    attempt_of(job.id)
    for _ in range(LINES_PER_JOB):
        rows(JobHistory).create(job_id=job.id, at=NOW, kind="Something")
    return job.id


def attempt_of(job_id: UUID) -> None:
    rows(JobAttemptSaga).create(
        id=uuid4(), job_id=job_id, job_type="a.Job", state=AttemptStates.FINAL.value, created_at=NOW
    )
