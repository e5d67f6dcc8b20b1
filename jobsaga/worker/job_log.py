"""The log of an attempt, which is kept with the job's history: its own lines, and what it logs with Python's logging.

It is bounded: after ``JOBSAGA["JOB_LOG_LINES"]`` lines, or fewer if attempts before it have written some
(``store.job_logs``), it is full, and only the number of those that followed is kept. A line is bounded too: of a long
message, or long data, the middle is left out. Lines leave the process as they are written, and go to the database in
the worker's batches.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any, Literal

import msgspec

from jobsaga import payload
from jobsaga.conf import settings
from jobsaga.messages import StartJob, WriteJobLog

STATUS_LENGTH = 100
#: How long the data of a line may be, as JSON.
DATA_LENGTH = 8192
FULL = "The log is full: what follows is left out"


class JobLog:
    """Writes the lines of one attempt. Any thread may write."""

    def __init__(self, start: StartJob, say: Callable[[WriteJobLog], None], now: Callable[[], Any]) -> None:
        self._start, self._say, self._now = start, say, now
        self._numbers, self._most = (
            count(1),
            settings.JOB_LOG_LINES if start.log_lines is None else start.log_lines,
        )
        self._last = 0
        #: Which records of Python's logging belong in it; None: none do.
        self.level: int | None = None

    def write(self, message: str, status: str = "", data: Any = None) -> None:
        """Write a line; *data* is plain JSON."""
        number = self._last = next(self._numbers)
        if number <= self._most:
            self._line(number, message, status, _bounded(data))
        elif number == self._most + 1:
            self._line(number, FULL)

    def artifact(self, name: str, reference: dict[str, Any]) -> None:
        """Note what the job has left: that is no line, and the log may be full."""
        self._line(None, name, data=reference, kind="JobArtifact")

    def close(self) -> None:
        """Say how much was left out."""
        left_out = self._last - self._most
        if left_out > 0:
            self._line(self._most + 2, f"{left_out} lines were left out")

    def _line(
        self,
        number: int | None,
        message: str,
        status: str = "",
        data: Any = None,
        kind: Literal["JobLog", "JobArtifact"] = "JobLog",
    ) -> None:
        self._say(
            WriteJobLog(
                job_id=self._start.job_id,
                attempt_id=self._start.attempt_id,
                timestamp=self._now(),
                sequence=number,
                kind=kind,
                message=payload.safe_text(message),
                status=payload.safe_text(status, STATUS_LENGTH),
                data=data,
            )
        )


def _bounded(data: Any) -> Any:
    """Long data loses its middle, and with that its form: what is left of it is a text."""
    if data is None:
        return None
    text = msgspec.json.encode(data).decode()
    return data if len(text) <= DATA_LENGTH else {"cut": payload.safe_text(text, DATA_LENGTH)}


_of_context: ContextVar[JobLog | None] = ContextVar("jobsaga_log", default=None)
_of_process: JobLog | None = None


@contextmanager
def captured(log: JobLog, level: int | None, *, whole_process: bool = False) -> Iterator[None]:
    """Within the block, records of Python's logging from this level on are lines of *log*; None: they are not.

    *whole_process*: also those of threads that the job starts, which know no context.
    """
    global _of_process  # noqa: PLW0603 - a process child has one attempt at a time
    if level is None:
        yield
        return
    root = logging.getLogger()
    if _handler not in root.handlers:
        root.addHandler(_handler)
    log.level = level
    token = _of_context.set(log)
    _of_process = log if whole_process else _of_process
    try:
        yield
    finally:
        log.level = None
        _of_process = None if whole_process else _of_process
        _of_context.reset(token)


class _Handler(logging.Handler):
    """Stays where it is once it is there: without an attempt it does nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it into the log of the attempt in whose context it was made."""
        log = _of_context.get() or _of_process
        if log is None or log.level is None or record.levelno < log.level:
            return
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                text += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
            log.write(text, record.levelname, {"logger": payload.safe_text(record.name, 200)})
        except Exception:  # noqa: BLE001 - as the logging module does it: told on standard error
            self.handleError(record)


_handler = _Handler()
