"""What a consumer may say about how its jobs are run.

Options are fixed when the class is defined, and wrong ones are refused there: the error names the option, the
traceback the line. They belong to the worker, not to the job, so a new release changes them for waiting jobs
too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal, TypeVar, get_args

from jobsaga.exceptions import InvalidMessage, InvalidOptions
from jobsaga.properties import Properties
from jobsaga.sagas.retry import Retry
from jobsaga.validation import Duration, as_count, as_duration

Isolation = Literal["process", "thread", "inline"]
"""Where a plain ``def run`` runs: a child process of its own, a thread of the shared child, or the worker
itself. An ``async def run`` is recognised, and runs on the event loop of the shared child."""

ISOLATIONS: tuple[str, ...] = get_args(Isolation)

TYPE_NAME_LENGTH = 200

T = TypeVar("T")


@dataclass(frozen=True)
class ProgressBuffer:
    """How progress is thinned out before it is stored.

    The last value wins. It is sent ``time_limit`` (timedelta or seconds) after the first that was not sent
    yet, or after ``update_limit`` of them, or when the run ends.
    """

    time_limit: timedelta
    update_limit: int

    def __init__(self, time_limit: Duration = 1, update_limit: int = 1000) -> None:
        _set(self, "time_limit", as_duration, time_limit)
        _set(self, "update_limit", as_count, update_limit)


@dataclass(frozen=True)
class JobOptions:
    """The options of a job consumer. Durations are timedeltas or seconds. Raises InvalidOptions.

    concurrent_job_limit: how many jobs of the type one worker instance runs at a time.
    global_concurrent_job_limit: how many run at a time on all instances together; None: no such limit.
    job_timeout: a run that takes longer is ended and counts as a fault; None: it may take as long as it
    likes. job_cancellation_timeout: how long a job that has to end may clean up; None:
    JOBSAGA["JOB_CANCELLATION_TIMEOUT"]. retry: what happens after a fault; None: no retry. job_type_name: the
    name of the type; None: "app_label.MessageClass". progress_buffer: how progress is thinned out.
    job_type_properties, instance_properties: told to the distribution strategy about the type, and about this
    worker. isolation: where a plain ``def run`` runs; None: JOBSAGA["ISOLATION"].
    """

    concurrent_job_limit: int
    global_concurrent_job_limit: int | None
    job_timeout: timedelta | None
    job_cancellation_timeout: timedelta | None
    retry: Retry | None
    job_type_name: str | None
    progress_buffer: ProgressBuffer
    job_type_properties: Properties
    instance_properties: Properties
    isolation: Isolation | None

    def __init__(
        self,
        *,
        concurrent_job_limit: int = 1,
        global_concurrent_job_limit: int | None = None,
        job_timeout: Duration | None = None,
        job_cancellation_timeout: Duration | None = None,
        retry: Retry | None = None,
        job_type_name: str | None = None,
        progress_buffer: ProgressBuffer | None = None,
        job_type_properties: Mapping[str, Any] | None = None,
        instance_properties: Mapping[str, Any] | None = None,
        isolation: Isolation | None = None,
    ) -> None:
        _set(self, "concurrent_job_limit", as_count, concurrent_job_limit)
        _set(self, "global_concurrent_job_limit", _or_none(as_count), global_concurrent_job_limit)
        _set(self, "job_timeout", _or_none(as_duration), job_timeout)
        _set(self, "job_cancellation_timeout", _or_none(as_duration), job_cancellation_timeout)
        _set(self, "retry", _or_none(partial(_as_instance, Retry)), retry)
        _set(self, "job_type_name", _or_none(_as_type_name), job_type_name)
        _set(
            self,
            "progress_buffer",
            partial(_as_instance, ProgressBuffer),
            progress_buffer or ProgressBuffer(),
        )
        _set(self, "job_type_properties", _as_properties, job_type_properties)
        _set(self, "instance_properties", _as_properties, instance_properties)
        _set(self, "isolation", _or_none(as_isolation), isolation)


def as_isolation(value: object) -> str:
    """``value`` as the name of an isolation."""
    if value not in ISOLATIONS:
        raise ValueError(f"must be {', '.join(map(repr, ISOLATIONS))} or None, not {value!r}")
    return str(value)


def _as_type_name(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        raise ValueError(f"must be a name, not {value!r}")
    if len(value) > TYPE_NAME_LENGTH:
        raise ValueError(f"must not be longer than {TYPE_NAME_LENGTH} characters, not {value!r}")
    return value


def _as_instance(expected: type[T], value: object) -> T:
    if not isinstance(value, expected):
        raise ValueError(f"must be a {expected.__name__}, not {value!r}")
    return value


def _as_properties(value: object) -> Properties:
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping, not {value!r}")
    try:
        return Properties(value)
    except InvalidMessage as error:
        raise ValueError(error.problem) from None


def _or_none(check: Callable[[object], T]) -> Callable[[object], T | None]:
    return lambda value: None if value is None else check(value)


def _set(options: object, name: str, check: Callable[[object], Any], value: object) -> None:
    try:
        object.__setattr__(options, name, check(value))
    except ValueError as problem:
        raise InvalidOptions(f"{type(options).__name__}: {name} {problem}.") from None
