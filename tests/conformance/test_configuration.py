"""K34: what makes no sense is refused where it is written, and named."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from jobsaga import JobOptions, ProgressBuffer, Retry
from jobsaga.exceptions import InvalidOptions


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("concurrent_job_limit", 0),
        ("concurrent_job_limit", -1),
        ("global_concurrent_job_limit", 0),
        ("job_timeout", 0),
        ("job_timeout", timedelta(seconds=-1)),
        ("job_cancellation_timeout", 0),
        ("retry", 3),
        ("isolation", "greenlet"),
    ],
)
def test_k34_wrong_options(option: str, value: Any) -> None:
    with pytest.raises(InvalidOptions, match=option):
        JobOptions(**{option: value})


@pytest.mark.parametrize("buffer", [{"time_limit": 0}, {"update_limit": 0}])
def test_k34_wrong_progress_buffer(buffer: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions, match=next(iter(buffer))):
        ProgressBuffer(**buffer)


def test_k34_wrong_retry() -> None:
    with pytest.raises(InvalidOptions):
        Retry.interval(-1, 5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HEARTBEAT_INTERVAL", 0),
        ("HEARTBEAT_TIMEOUT", -1),
        ("JOB_CANCELLATION_TIMEOUT", 0),
        ("CONCURRENT_MESSAGE_LIMIT", 0),
        ("SUSPECT_JOB_RETRY_COUNT", -1),
        ("SUSPECT_JOB_RETRY_DELAY", -1),
        ("HEARTBEAT_TIMEOUT", 7),  # with a heartbeat of 5 s
        ("HEARTBEAT_INTERVALL", 5),
    ],
)
def test_k34_wrong_settings(key: str, value: Any) -> None:
    """Better: found by ``manage.py check``, all at once. A slot wait and a status interval do not exist here."""
    with override_settings(JOBSAGA={key: value}):
        found = [error for error in run_checks(tags=["jobsaga"]) if key in error.msg]
    assert [error.is_serious() for error in found] == [True]
