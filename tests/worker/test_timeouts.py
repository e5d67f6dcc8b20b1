"""What a retry policy is asked about an attempt that took too long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from jobsaga import JobOptions, Retry
from jobsaga.messages import CancelKind, StartJob
from jobsaga.worker.limits import overstepped

START = StartJob(job_id=uuid4(), attempt_id=uuid4(), job_type="videos.Convert", instance_id=uuid4())


@pytest.mark.parametrize(
    ("retry", "delay"),
    [
        (Retry.interval(2, 7), 7),
        (Retry.interval(2, 7).only(TimeoutError), 7),
        (Retry.interval(2, 7).ignore(TimeoutError), None),
        (Retry.interval(2, 7).only(LookupError), None),
        (None, None),
    ],
    ids=["any", "only timeouts", "no timeouts", "other errors", "no policy"],
)
def test_a_timeout_is_a_timeout_error_to_the_policy(retry: Retry | None, delay: int | None) -> None:
    said: dict[str, Any] = {
        "job_id": START.job_id,
        "attempt_id": START.attempt_id,
        "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }
    end = overstepped(CancelKind.TIMEOUT, START, JobOptions(job_timeout=1, retry=retry), said)
    assert end.retry_delay == (None if delay is None else timedelta(seconds=delay))
