"""An executor in the hands of a test: starts attempts, polls it as an instance would, keeps what it says."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

from jobsaga.messages import (
    CancelKind,
    Ended,
    JobAttemptStarted,
    Message,
    SetJobProgress,
    StartJob,
    WriteJobLog,
)
from jobsaga.worker.executor import Executor
from tests.jobsapp.jobs import acting

TYPES = {
    "inline": "jobsapp.ActInProcess",
    "inline task": "jobsapp.ActInTask",
    "process": "jobsapp.ActInProcess",
    "thread": "jobsapp.ActInThread",
    "task": "jobsapp.ActInTask",
}
IN_TIME = {
    "inline": "jobsapp.ActInTime",
    "inline task": "jobsapp.ActInTimeInTask",
    "process": "jobsapp.ActInTime",
    "thread": "jobsapp.ActInTimeInThread",
    "task": "jobsapp.ActInTimeInTask",
}


def start_job(
    job_type: str, what: str = "give", *, fields: dict[str, Any] | None = None, **args: Any
) -> StartJob:
    return StartJob(
        **{
            "job_id": uuid4(),
            "attempt_id": uuid4(),
            "job_type": job_type,
            "instance_id": uuid4(),
            "message": {"what": what, "args": args},
            **(fields or {}),
        }
    )


class Driver:
    def __init__(self, executor: Executor, kind: str = "process") -> None:
        self.executor, self.kind = executor, kind
        self.said: list[Message] = []

    def start(self, what: str = "give", *, fields: dict[str, Any] | None = None, **args: Any) -> UUID:
        """Start an attempt that does ``what``; its id."""
        start = start_job(TYPES[self.kind], what, fields=fields, **args)
        self.executor.start(start)
        return start.attempt_id

    def start_in_time(self, what: str, **args: Any) -> UUID:
        """The same, of a type with a short timeout."""
        start = start_job(IN_TIME[self.kind], what, **args)
        self.executor.start(start)
        return start.attempt_id

    def poll_until(self, seen: Callable[[], Any], timeout: float = 15) -> Any:
        deadline = time.monotonic() + timeout
        while not (found := seen()):
            assert time.monotonic() < deadline, f"not seen within {timeout} s; said was {self.said}"
            self.said += self.executor.poll(0.1)
        return found

    def end_of(self, attempt_id: UUID, timeout: float = 15) -> Any:
        """The last word on an attempt, once it is said."""
        return self.poll_until(lambda: next(iter(self.ends(attempt_id)), None), timeout)

    def log_of(self, attempt_id: UUID, line: str, timeout: float = 15) -> WriteJobLog:
        """A line of its log, once it is there: the job has got so far."""
        return self.poll_until(
            lambda: next((each for each in self.lines(attempt_id) if each.message == line), None), timeout
        )

    def cancel_once_it_waits(self, attempt_id: UUID, kind: CancelKind, reason: str) -> Any:
        """Cancel a job when it has got so far that it waits for that; its last word."""
        if self.kind.startswith("inline"):
            acting.WAITING.clear()
            canceler = Thread(target=self._cancel_when_waiting, args=(attempt_id, kind, reason))
            canceler.start()
            end = self.end_of(attempt_id)
            canceler.join()
            return end
        self.log_of(attempt_id, "waiting")
        self.executor.cancel(attempt_id, kind, reason)
        return self.end_of(attempt_id)

    def _cancel_when_waiting(self, attempt_id: UUID, kind: CancelKind, reason: str) -> None:
        acting.WAITING.wait(10)
        self.executor.cancel(attempt_id, kind, reason)

    def run(self, what: str = "give", **args: Any) -> Any:
        return self.end_of(self.start(what, **args))

    def ends(self, attempt_id: UUID) -> list[Ended]:
        return [each for each in self.of(attempt_id) if isinstance(each, Ended)]

    def lines(self, attempt_id: UUID) -> list[WriteJobLog]:
        return [each for each in self.of(attempt_id) if isinstance(each, WriteJobLog)]

    def progress(self, attempt_id: UUID) -> list[SetJobProgress]:
        return [each for each in self.of(attempt_id) if isinstance(each, SetJobProgress)]

    def started(self, attempt_id: UUID) -> list[JobAttemptStarted]:
        return [each for each in self.of(attempt_id) if isinstance(each, JobAttemptStarted)]

    def of(self, attempt_id: UUID) -> list[Any]:
        return [each for each in self.said if getattr(each, "attempt_id", None) == attempt_id]
