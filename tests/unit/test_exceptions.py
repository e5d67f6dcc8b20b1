"""Errors say what to do, and survive the way between processes."""

from __future__ import annotations

import pickle
from uuid import UUID

import pytest

from jobsaga.exceptions import (
    AttemptSuperseded,
    InvalidMessage,
    JobCancellation,
    JobNotFound,
    JobSagaError,
    UnknownJobType,
    near_matches,
)

WHERE = "Consumers are found in the jobs modules of installed apps."
JOB = UUID("98cfd366-56c2-4828-9af8-9ca9322630d2")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidMessage("message.size", "is missing"), "message.size is missing"),
        (
            UnknownJobType("videos.ConvertVido", ["videos.ConvertVideo", "reports.Send"]),
            "No job consumer is registered for 'videos.ConvertVido'. Did you mean 'videos.ConvertVideo'? "
            + WHERE,
        ),
        (
            UnknownJobType("zzz", ["reports.Send", "a.B"]),
            "No job consumer is registered for 'zzz'. Registered are: a.B, reports.Send. " + WHERE,
        ),
        (
            UnknownJobType("zzz"),
            "No job consumer is registered for 'zzz'. None is registered at all. " + WHERE,
        ),
        (
            JobNotFound(JOB),
            f"There is no job {JOB}: it was never submitted, or it was finalized, or is gone since.",
        ),
        (JobCancellation("not needed"), "The job was canceled: not needed"),
        (JobCancellation(kind="timeout"), "The job ran into its timeout"),
        (JobCancellation("deploy", "shutdown"), "The worker is shutting down: deploy"),
        (AttemptSuperseded(), "This attempt was given up; another attempt owns the job now."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_explain_themselves_and_can_be_pickled(error: BaseException, text: str) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert str(error) == str(copy) == text
    assert vars(error) == vars(copy)
    assert type(error) is type(copy)


def test_only_errors_are_caught_as_exceptions() -> None:
    assert not issubclass(JobCancellation, Exception)
    assert not issubclass(AttemptSuperseded, Exception)
    assert issubclass(UnknownJobType, JobSagaError)


def test_near_matches_ignore_case() -> None:
    assert near_matches("heartbeat_interval", ["HEARTBEAT_INTERVAL", "DATABASE"]) == ["HEARTBEAT_INTERVAL"]
    assert near_matches("zzz", ["HEARTBEAT_INTERVAL"]) == []
