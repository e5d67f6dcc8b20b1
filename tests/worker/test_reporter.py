"""What the log of a worker says of its jobs' faults."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jobsaga.messages import Fault, JobAttemptFaulted
from jobsaga.transport.memory import MemoryTransport
from jobsaga.worker.reporter import Reporter


@pytest.mark.parametrize(
    ("delay", "suspect", "level", "then"),
    [
        (None, False, logging.ERROR, "faulted: "),
        (timedelta(seconds=30), False, logging.WARNING, "faulted, tried again in 30 s: "),
        (None, True, logging.WARNING, "faulted: "),
    ],
)
def test_a_fault_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture, delay: timedelta | None, suspect: bool, level: int, then: str
) -> None:
    fault = Fault(type="ValueError", message="no", traceback="Traceback ...\nValueError: no\n")
    faulted = JobAttemptFaulted(
        job_id=UUID(int=1), attempt_id=UUID(int=2), timestamp=datetime.now(UTC), fault=fault, retry_delay=delay,
        suspect=suspect,
    )  # fmt: skip
    Reporter(MemoryTransport()).say([faulted])
    ((name, logged, text),) = caplog.record_tuples
    assert (name, logged) == ("jobsaga.worker", level)
    assert text == f"Job {UUID(int=1)} {then}Traceback ...\nValueError: no"
