"""Exceptions as text that can be stored, whatever they are made of; and what the worker's log says of them."""

from __future__ import annotations

import logging
import os
import traceback
from types import TracebackType

from jobsaga.messages import Fault, JobAttemptFaulted
from jobsaga.payload import safe_text

logger = logging.getLogger("jobsaga.worker")

TYPE_LENGTH = 200
MESSAGE_LENGTH = 8_192
TRACEBACK_LENGTH = 16_384

_OURS = os.path.dirname(__file__) + os.sep


def describe(error: BaseException) -> Fault:
    """The fault to store for an exception. Never raises, also when the exception's own methods do."""
    return Fault(
        type=safe_text(_type(error), TYPE_LENGTH),
        message=safe_text(_text(error), MESSAGE_LENGTH),
        traceback=safe_text(_traceback(error), TRACEBACK_LENGTH),
    )


def log(faulted: JobAttemptFaulted) -> None:
    """Tell whoever reads the log, or is told by it: a warning, if the job is tried again by what is known here."""
    goes_on, delay = faulted.suspect or faulted.retry_delay is not None, faulted.retry_delay
    level = logging.WARNING if goes_on else logging.ERROR
    then = f", tried again in {delay.total_seconds():g} s" if delay is not None else ""
    fault = faulted.fault
    logger.log(level, "Job %s faulted%s: %s", faulted.job_id, then, fault.traceback.rstrip() or fault)


def _type(error: BaseException) -> str:
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as flaw:  # noqa: BLE001 - user code, of an object that is broken already
        return f"(its text cannot be read: {type(flaw).__name__})"


def _traceback(error: BaseException) -> str:
    try:
        trace = _from_user_code(error.__traceback__)
        return "".join(traceback.format_exception(type(error), error, trace))
    except BaseException as flaw:  # noqa: BLE001 - as above
        return f"(its traceback cannot be written: {type(flaw).__name__})"


def _from_user_code(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the worker's own frames at its beginning."""
    inner = trace
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(_OURS):
        inner = inner.tb_next
    return inner or trace
