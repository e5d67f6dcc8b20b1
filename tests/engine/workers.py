"""Workers that do as a test tells them: they say what real ones say, and never anything by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobsaga.ids import uuid7
from jobsaga.messages import (
    AttemptStatus,
    CancelJobAttempt,
    CancelKind,
    Fault,
    JobAttemptCanceled,
    JobAttemptCompleted,
    JobAttemptFaulted,
    JobAttemptStarted,
    JobAttemptStatus,
    LimitKind,
    Message,
    Progress,
    SetConcurrentJobLimit,
    SetJobProgress,
    StartJob,
    WriteJobLog,
    decode,
)
from jobsaga.transport.base import instance_endpoint

if TYPE_CHECKING:
    from tests.engine.world import World


class ScriptedWorker:
    """One instance. What it says is on its way to the sagas; ``world.lap()`` lets them hear it."""

    def __init__(self, world: World) -> None:
        self.world, self.id = world, uuid7()
        self.endpoint = instance_endpoint(self.id)
        self.alive = True
        #: Its lease was refused: another has its jobs.
        self.lost = False
        self.canceled: list[CancelJobAttempt] = []
        self._lines = 0
        self._sequence = 0
        world.place.register(self.id)

    def announce(
        self,
        types: Sequence[str],
        limit: int,
        global_limit: int | None = None,
        properties: dict[str, Any] | None = None,
        kind: LimitKind = LimitKind.CONFIGURED,
        per_key: int | None = None,
    ) -> None:
        """Say which types it runs, or runs no more."""
        self._send(
            *(
                SetConcurrentJobLimit(
                    job_type=name,
                    kind=kind,
                    instance_id=self.id,
                    concurrent_job_limit=limit,
                    global_concurrent_job_limit=global_limit,
                    concurrency_per_key=per_key,
                    instance_properties=properties or {},
                )
                for name in types
            )
        )

    # Its life

    def beat(self) -> None:
        """Renew the lease, unless it is dead; after a refusal it knows that it is lost."""
        if self.alive and not self.lost:
            self.lost = not self.world.place.renew(self.id)

    def dies(self) -> None:
        """No word from it any more: no heartbeat, no report."""
        self.alive = False

    def stops(self) -> None:
        """It has left in good order."""
        self.alive = False
        self.world.place.stop(self.id)

    # What it takes

    def receive(self) -> list[StartJob]:
        """Take what waits for it. Starts are claimed first: an attempt that was given up is dropped."""
        return self.claim(self.take())

    def take(self) -> list[StartJob]:
        """Take what waits for it, and claim nothing yet. Cancels go to ``canceled``."""
        taken: list[Message] = []
        while deliveries := self.world.transport.take(self.endpoint, 1000):
            taken += [decode(each.body, "instance") for each in deliveries]
        self.canceled += [each for each in taken if isinstance(each, CancelJobAttempt)]
        return [each for each in taken if isinstance(each, StartJob)]

    def claim(self, starts: list[StartJob]) -> list[StartJob]:
        """Those of *starts* that are still its own, marked as received."""
        ours = self.world.place.claim(self.id, [each.attempt_id for each in starts])
        return [each for each in starts if each.attempt_id in ours]

    # What it says

    def started(self, start: StartJob, **fields: Any) -> None:
        """User code is about to run."""
        self._report(JobAttemptStarted, start, **fields)

    def complete(self, start: StartJob, result: Any = None, **fields: Any) -> None:
        """``run`` has returned."""
        self._report(JobAttemptCompleted, start, result=result, **_with_duration(fields))

    def fault(
        self, start: StartJob, text: str = "broken", retry_delay: float | None = None, **fields: Any
    ) -> None:
        """``run`` has raised; with *retry_delay* (seconds) its retry policy grants another try."""
        delay = None if retry_delay is None else timedelta(seconds=retry_delay)
        fault = Fault(type="ValueError", message=text)
        self._report(JobAttemptFaulted, start, fault=fault, retry_delay=delay, **_with_duration(fields))

    def cancel(
        self, start: StartJob, kind: CancelKind = CancelKind.USER, reason: str = "", **fields: Any
    ) -> None:
        """The attempt has stopped because it was asked to."""
        self._report(JobAttemptCanceled, start, kind=kind, reason=reason, **_with_duration(fields))

    def progress(self, start: StartJob, value: float, sequence: int | None = None, **fields: Any) -> None:
        """How far it is; the sequence number goes up by itself."""
        self._sequence += 1
        progress = Progress(sequence=sequence or self._sequence, value=value, **fields)
        self._report(SetJobProgress, start, progress=progress)

    def log(self, start: StartJob, text: str, sequence: int | None = None, **fields: Any) -> None:
        """A line of the job's own log."""
        self._lines += 1
        sequence = self._lines if sequence is None else sequence
        self._report(WriteJobLog, start, message=text, sequence=sequence, **fields)

    def does_not_know(self, start: StartJob) -> None:
        """It lives, and does not run this attempt."""
        status = JobAttemptStatus(
            job_id=start.job_id, attempt_id=start.attempt_id, status=AttemptStatus.UNKNOWN
        )
        self._send(status)

    def save(self, start: StartJob, state: Any) -> bool:
        """The job saves its state; False if its attempt was given up."""
        return self.world.place.save(start.job_id, start.attempt_id, state, advanced=state != start.job_state)

    def now(self) -> datetime:
        return self.world.place.now()

    def _report(self, message: type[Message], start: StartJob, /, **fields: Any) -> None:
        said = {"job_id": start.job_id, "attempt_id": start.attempt_id, "timestamp": self.now(), **fields}
        self._send(message(**said))

    def _send(self, *messages: Message) -> None:
        assert self.alive, "a dead worker says nothing"
        self.world.send(*messages)


def _with_duration(fields: dict[str, Any]) -> dict[str, Any]:
    return {"duration": timedelta(seconds=1), **fields}


def attempt_ids(starts: Sequence[StartJob]) -> list[UUID]:
    return [start.attempt_id for start in starts]
