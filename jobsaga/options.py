"""What a consumer may say about how its jobs are run.

Options are fixed when the class is defined, and wrong ones are refused there: the error names the option, the
traceback the line. They belong to the worker, not to the job, so a new release changes them for waiting jobs
too.
"""

from __future__ import annotations

import logging
import re
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
    concurrency_key: gives for a message what its job belongs to, as text of at most 200 characters, for example its
    tenant; None or "": to nothing. concurrency_per_key: how many jobs of one key run at a time on all instances.
    job_timeout: a run that takes longer is ended and counts as a fault; None: it may take as long as it
    likes. stall_timeout: one whose progress and saved state have not changed for so long is, too; None: it may
    stand still. job_cancellation_timeout: how long a job that has to end may clean up; None:
    JOBSAGA["JOB_CANCELLATION_TIMEOUT"]. retry: what happens after a fault; None: no retry. job_type_name: the
    name of the type; None: "app_label.MessageClass". progress_buffer: how progress is thinned out.
    job_type_properties, instance_properties: told to the distribution strategy about the type, and about this
    worker. isolation: where a plain ``def run`` runs; None: JOBSAGA["ISOLATION"]. max_memory: a job whose
    process uses more than so many bytes (or "512M", "2G") is ended, which counts as a fault; None: no limit.
    log_level: what the attempt logs with Python's logging, from this level on, goes into the job's history too;
    None: nothing does. capture_output: whether the end of what its process prints does; None: if it ends as a
    fault.
    """

    concurrent_job_limit: int
    global_concurrent_job_limit: int | None
    concurrency_key: Callable[[Any], str | None] | None
    concurrency_per_key: int
    job_timeout: timedelta | None
    stall_timeout: timedelta | None
    job_cancellation_timeout: timedelta | None
    retry: Retry | None
    job_type_name: str | None
    progress_buffer: ProgressBuffer
    job_type_properties: Properties
    instance_properties: Properties
    isolation: Isolation | None
    max_memory: int | None
    log_level: int | None
    capture_output: bool | None

    def __init__(
        self,
        *,
        concurrent_job_limit: int = 1,
        global_concurrent_job_limit: int | None = None,
        concurrency_key: Callable[[Any], str | None] | None = None,
        concurrency_per_key: int = 1,
        job_timeout: Duration | None = None,
        stall_timeout: Duration | None = None,
        job_cancellation_timeout: Duration | None = None,
        retry: Retry | None = None,
        job_type_name: str | None = None,
        progress_buffer: ProgressBuffer | None = None,
        job_type_properties: Mapping[str, Any] | None = None,
        instance_properties: Mapping[str, Any] | None = None,
        isolation: Isolation | None = None,
        max_memory: int | str | None = None,
        log_level: int | str | None = None,
        capture_output: bool | None = None,
    ) -> None:
        given = locals()
        for name, check in _CHECKS.items():
            _set(self, name, check, given[name])


def as_isolation(value: object) -> str:
    """``value`` as the name of an isolation."""
    if value not in ISOLATIONS:
        raise ValueError(f"must be {', '.join(map(repr, ISOLATIONS))} or None, not {value!r}")
    return str(value)


def _or_none(check: Callable[[object], T]) -> Callable[[object], T | None]:
    return lambda value: None if value is None else check(value)


def _as_type_name(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        raise ValueError(f"must be a name, not {value!r}")
    if len(value) > TYPE_NAME_LENGTH:
        raise ValueError(f"must not be longer than {TYPE_NAME_LENGTH} characters, not {value!r}")
    return value


def _as_function(value: object) -> Callable[..., Any]:
    if not callable(value):
        raise ValueError(f"must be a function of a message, not {value!r}")
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


def _as_buffer(value: object) -> ProgressBuffer:
    return ProgressBuffer() if value is None else _as_instance(ProgressBuffer, value)


def _as_bytes(value: object) -> int:
    """A size: a number of bytes, or a text like "512M"."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    number = int(found[1]) * 1024 ** "KMGT".index(found[2]) * 1024 if found else value
    try:
        return as_count(number)
    except ValueError:
        raise ValueError(f'must be a number of bytes, or a text like "512M" or "2G", not {value!r}') from None


def _as_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be True or False, not {value!r}")
    return value


def _as_level(value: object) -> int:
    levels = logging.getLevelNamesMapping()
    if isinstance(value, str) and value in levels:
        return levels[value]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f'must be a level of logging, like "INFO", not {value!r}')
    return value


_SIZE = re.compile(r"(\d+) ?([KMGT])i?B?")

#: What each option must be.
_CHECKS: dict[str, Callable[[object], Any]] = {
    "concurrent_job_limit": as_count,
    "global_concurrent_job_limit": _or_none(as_count),
    "concurrency_key": _or_none(_as_function),
    "concurrency_per_key": as_count,
    "job_timeout": _or_none(as_duration),
    "stall_timeout": _or_none(as_duration),
    "job_cancellation_timeout": _or_none(as_duration),
    "retry": _or_none(partial(_as_instance, Retry)),
    "job_type_name": _or_none(_as_type_name),
    "progress_buffer": _as_buffer,
    "job_type_properties": _as_properties,
    "instance_properties": _as_properties,
    "isolation": _or_none(as_isolation),
    "max_memory": _or_none(_as_bytes),
    "log_level": _or_none(_as_level),
    "capture_output": _or_none(_as_flag),
}


def _set(options: object, name: str, check: Callable[[object], Any], value: object) -> None:
    try:
        object.__setattr__(options, name, check(value))
    except ValueError as problem:
        raise InvalidOptions(f"{type(options).__name__}: {name} {problem}.") from None
