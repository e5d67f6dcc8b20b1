"""Exceptions as text that can be stored, whatever they are made of."""

from __future__ import annotations

import os
import traceback
from types import TracebackType

from jobsaga.messages import Fault
from jobsaga.payload import safe_text

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
