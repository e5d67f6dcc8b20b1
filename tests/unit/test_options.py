"""The options of consumers: their defaults, and what is refused (K34)."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from jobsaga.exceptions import InvalidOptions
from jobsaga.options import JobOptions, ProgressBuffer
from jobsaga.sagas.retry import Retry


def test_the_defaults_suit_long_jobs() -> None:
    assert dataclasses.asdict(JobOptions()) == {
        "concurrent_job_limit": 1,
        "global_concurrent_job_limit": None,
        "concurrency_key": None,
        "concurrency_per_key": 1,
        "job_timeout": None,
        "stall_timeout": None,
        "job_cancellation_timeout": None,
        "retry": None,
        "job_type_name": None,
        "progress_buffer": {"time_limit": timedelta(seconds=1), "update_limit": 1000},
        "job_type_properties": {},
        "instance_properties": {},
        "isolation": None,
        "max_memory": None,
        "log_level": None,
        "capture_output": None,
    }


def test_durations_are_seconds_or_timedeltas() -> None:
    options = JobOptions(job_timeout=1.5, job_cancellation_timeout=timedelta(minutes=1))
    assert options.job_timeout == timedelta(seconds=1.5)
    assert options.job_cancellation_timeout == timedelta(minutes=1)
    assert ProgressBuffer(0.25, 10).time_limit == timedelta(milliseconds=250)


def test_options_never_change_but_can_be_copied() -> None:
    options = JobOptions(concurrent_job_limit=3, job_timeout=5, instance_properties={"Zone": "a"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.concurrent_job_limit = 4  # type: ignore[misc]
    copy = dataclasses.replace(options, concurrent_job_limit=4)
    assert (copy.concurrent_job_limit, copy.job_timeout) == (4, timedelta(seconds=5))
    assert copy.instance_properties["zone"] == "a"
    assert JobOptions(job_timeout=5) == JobOptions(job_timeout=timedelta(seconds=5))
    assert hash(JobOptions()) == hash(JobOptions())


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("concurrent_job_limit", 0, "must be at least 1, not 0"),
        ("concurrent_job_limit", -1, "must be at least 1"),
        ("concurrent_job_limit", 1.0, "must be a whole number"),
        ("concurrent_job_limit", True, "must be a whole number"),
        ("concurrent_job_limit", None, "must be a whole number"),
        ("global_concurrent_job_limit", 0, "must be at least 1"),
        ("job_timeout", 0, "must be more than zero"),
        ("stall_timeout", 0, "must be more than zero"),
        ("log_level", "LOUD", "must be a level of logging, like \"INFO\", not 'LOUD'"),
        ("log_level", True, "must be a level of logging"),
        ("capture_output", "yes", "must be True or False"),
        ("job_timeout", timedelta(0), "must be more than zero"),
        ("job_timeout", timedelta(seconds=-1), "must be more than zero"),
        ("job_timeout", "5", "must be a timedelta or a number of seconds"),
        ("job_timeout", float("nan"), "must be a finite number of seconds"),
        ("job_timeout", float("inf"), "must be a finite number of seconds"),
        ("job_timeout", timedelta.max, "must be less than a hundred years"),
        ("job_cancellation_timeout", 0, "must be more than zero"),
        ("retry", 3, "must be a Retry"),
        ("job_type_name", "", "must be a name"),
        ("job_type_name", " ", "must be a name"),
        ("job_type_name", "a\0b", "must be a name"),
        ("job_type_name", "x" * 201, "must not be longer than 200 characters"),
        ("job_type_name", 5, "must be a name"),
        ("progress_buffer", 5, "must be a ProgressBuffer"),
        ("job_type_properties", "a", "must be a mapping"),
        ("instance_properties", {1: 2}, "names that are strings"),
        ("isolation", "fibre", "must be 'process', 'thread', 'inline' or None"),
    ],
)
def test_wrong_options_are_refused_by_name(option: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidOptions, match=f"^JobOptions: {option} .*{said}"):
        JobOptions(**{option: value})


@pytest.mark.parametrize(
    ("buffer", "said"),
    [
        ({"time_limit": 0}, "time_limit must be more than zero"),
        ({"update_limit": 0}, "update_limit must be at least 1"),
    ],
)
def test_a_progress_buffer_has_limits(buffer: Any, said: str) -> None:
    with pytest.raises(InvalidOptions, match=f"^ProgressBuffer: {said}"):
        ProgressBuffer(**buffer)


def test_a_retry_policy_and_a_name_are_taken() -> None:
    options = JobOptions(retry=Retry.immediate(2), job_type_name="reports", isolation="thread")
    assert (options.retry, options.job_type_name, options.isolation) == (
        Retry.immediate(2),
        "reports",
        "thread",
    )
