"""Everything jobsaga raises on purpose.

Two kinds. Errors derive from :class:`JobSagaError`: they say what is wrong, where, and what to do. Signals
derive from ``BaseException``, as asyncio's ``CancelledError`` does: they end the running job from the inside,
and an ``except Exception`` in its code must not swallow them.

Each exception keeps its facts in ``args``, so that it survives pickling on its way between processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal
from uuid import UUID

CancellationKind = Literal["user", "timeout", "stalled", "memory", "shutdown"]


class JobSagaError(Exception):
    """The base of all errors of jobsaga."""


class InvalidMessage(JobSagaError, ValueError):
    """A value that cannot be stored or read: ``path`` says which field, ``problem`` what is wrong with it."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path} {self.problem}"


class InvalidOptions(JobSagaError, ValueError):
    """An option of a consumer, a retry policy or a call that makes no sense. The text names it."""


class InvalidSchedule(JobSagaError, ValueError):
    """A schedule, a time zone, or a time that cannot be used. The text says what is wrong with it, where, and
    what to write instead.
    """


class UnknownJobType(JobSagaError, LookupError):
    """No consumer is registered under this name, or for this message class."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        super().__init__(name, tuple(sorted(known)))
        self.name = name

    def __str__(self) -> str:
        return (
            f"No job consumer is registered for {self.name!r}. {self._suggestion()} "
            "Consumers are found in the jobs modules of installed apps."
        )

    @property
    def near(self) -> list[str]:
        """What may have been meant."""
        return near_matches(self.name, self.args[1])

    def _suggestion(self) -> str:
        known: tuple[str, ...] = self.args[1]
        near = self.near
        if near:
            return f"Did you mean {' or '.join(map(repr, near))}?"
        if known:
            return f"Registered are: {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}."
        return "None is registered at all."


class DuplicateConsumer(JobSagaError):
    """Two consumers ask for the same message class or the same type name."""


class UnresolvedMessageType(JobSagaError):
    """A consumer whose message class or type name cannot be found out, or whose message class cannot be
    encoded.
    """


class InvalidConsumer(JobSagaError):
    """A consumer that could be registered, and could never run."""


class JobNotFound(JobSagaError, LookupError):
    """There is no job with this id (never submitted, rolled back, finalized, or removed by JOB_RETENTION)."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return (
            f"There is no job {self.job_id}: it was never submitted, or it was finalized, or is gone since."
        )


class RecurringJobNotFound(JobNotFound):
    """No recurring job of this type has this name."""

    def __init__(self, job_id: UUID, job_type: str, name: str) -> None:
        super().__init__(job_id)
        self.args = (job_id, job_type, name)
        self.job_type, self.name = job_type, name

    def __str__(self) -> str:
        return (
            f"There is no recurring job {self.name!r} of {self.job_type}: add it with "
            "add_or_update_recurring_job(), or look at the names with: manage.py jobsaga recurring"
        )


class JobHasStarted(JobSagaError):
    """A job cannot be given another time any more: its time has come, or it has none."""

    def __init__(self, job_id: UUID, state: str) -> None:
        super().__init__(job_id, state)
        self.job_id, self.state = job_id, state

    def __str__(self) -> str:
        return (
            f"Job {self.job_id} is {self.state}: only one that waits for its time can be scheduled anew. "
            "Leave job_id out to schedule another."
        )


class JobBusy(JobSagaError):
    """Somebody else's transaction holds the job's row, and nobody wanted to wait for it."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"Job {self.job_id} is held by another transaction."


class InstanceNotFound(JobSagaError, LookupError):
    """There is no worker instance with this id, or it has stopped."""

    def __init__(self, instance_id: UUID) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id

    def __str__(self) -> str:
        return f"There is no worker {self.instance_id}, or it has stopped: manage.py jobsaga instances shows who works."


class TransportError(JobSagaError):
    """The transport could not carry a message. Nothing is lost: the database has the truth, the sweep finds
    it.
    """


class WrongTransaction(JobSagaError):
    """A job's state was saved within a transaction of another database than JOBSAGA's. The text says what to do."""


class IterationError(JobSagaError):
    """``context.iterate`` cannot do what it was asked to, or its loop was left in the middle of a chunk."""


class JobTimeout(JobSagaError, TimeoutError):
    """What a retry policy is told about an attempt that ran longer than its ``job_timeout``."""


class JobStalled(JobSagaError, TimeoutError):
    """What a retry policy is told about an attempt that did not get on for its ``stall_timeout``."""


class JobMemoryExceeded(JobSagaError, MemoryError):
    """What a retry policy is told about an attempt that used more than its ``max_memory``."""


class NotReady(JobSagaError):
    """jobsaga was used before Django was set up."""


class JobCancellation(BaseException):
    """Raised inside a job that has to end. ``kind`` says why: a user wants it, a limit was overstepped (timeout,
    stalled, memory), or the worker shuts down.

    Clean up, save the state if it is worth it, and let it pass.
    """

    def __init__(self, reason: str = "", kind: CancellationKind = "user") -> None:
        super().__init__(reason, kind)
        self.reason = reason
        self.kind = kind

    def __str__(self) -> str:
        return f"{_CAUSES[self.kind]}: {self.reason}" if self.reason else _CAUSES[self.kind]


class AttemptSuperseded(BaseException):
    """Raised inside a job whose attempt was given up: another attempt owns the job now.

    Nothing this attempt still does counts. Its transaction is set to roll back.
    """

    def __str__(self) -> str:
        return super().__str__() or "This attempt was given up; another attempt owns the job now."


_CAUSES: dict[str, str] = {
    "user": "The job was canceled",
    "timeout": "The job ran into its timeout",
    "stalled": "The job did not get on",
    "memory": "The job used too much memory",
    "shutdown": "The worker is shutting down",
}


def near_matches(name: str, known: Iterable[str]) -> list[str]:
    """The names of ``known`` that ``name`` may be a misspelling of, the likeliest first, whatever the
    case.
    """
    by_folded = {each.casefold(): each for each in known}
    return [by_folded[each] for each in get_close_matches(name.casefold(), by_folded, n=3)]
