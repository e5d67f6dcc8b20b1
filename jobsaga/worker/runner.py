"""One attempt, from its start message to its last word: here user code is called, and here alone.

Whatever it does becomes exactly one message. Which one, is decided in ``Attempt.ended_by``:

    it returned                                 JobAttemptCompleted; JobAttemptFaulted if that cannot be stored
    it was asked to stop, and did               JobAttemptCanceled by the kind of the request; where it overstepped
                                                a limit JobAttemptFaulted, under the retry policy
    any exception after it was forced to stop   the same: its queries were canceled, it may say so in its own way
    JobCancellation that nobody asked for       JobAttemptCanceled, "Consumer Initiated"
    AttemptSuperseded                           JobAttemptFaulted as suspect: not the job's own fault
    any exception while the worker shuts down   JobAttemptCanceled: the stop may well be its cause
    any other, SystemExit included              JobAttemptFaulted, under the retry policy
"""

from __future__ import annotations

import math
from asyncio import CancelledError, Task, current_task, get_running_loop
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from jobsaga import payload
from jobsaga.conf import settings
from jobsaga.consumers import JobConsumerDefinition, consumers
from jobsaga.exceptions import AttemptSuperseded, JobCancellation, UnknownJobType
from jobsaga.messages import (
    CancelKind,
    Ended,
    JobAttemptCanceled,
    JobAttemptCompleted,
    JobAttemptFaulted,
    JobAttemptStarted,
    Progress,
    SetJobProgress,
    StartJob,
)
from jobsaga.options import JobOptions
from jobsaga.payload.versions import upgraded
from jobsaga.worker.context import Host, JobContext
from jobsaga.worker.faults import describe
from jobsaga.worker.job_log import JobLog, captured
from jobsaga.worker.limits import NEWS_SHARE, OVERSTEPPED, Limits, overstepped
from jobsaga.worker.progress import ProgressTracker
from jobsaga.worker.saved_state import SavedState
from jobsaga.worker.token import CancellationToken

CONSUMER_INITIATED = "Consumer Initiated"
REASON_LENGTH = 1000


class Attempt:
    """One attempt in the process that runs it. ``has_process``: nothing else runs there."""

    has_process = False

    def __init__(self, start: StartJob, host: Host, token: CancellationToken | None = None) -> None:
        self.start = start
        self.token = token or CancellationToken()
        self._host = host
        self._begun = host.monotonic()
        self._definition = definition_of(start)
        self.options = self._definition.options if self._definition else JobOptions()
        self.progress = ProgressTracker(
            self.options.progress_buffer, host.monotonic, host.progress_due, self._send_progress
        )
        self.saved = SavedState(start, host.save_checkpoint)
        self.log = JobLog(start, host.say, host.now)
        self.limits = Limits(self.options, self._begun)
        self._stirred_at = -math.inf
        self.progress.changed = self.saved.changed = self._stir
        self._forced = False
        self._interrupt: Callable[[], object] | None = None

    @property
    def is_async(self) -> bool:
        """Does it have to be awaited?"""
        return self._definition is not None and self._definition.is_async

    def cancel(self, kind: CancelKind, reason: str) -> None:
        """Ask it to end. May be called by any thread."""
        if self.token.cancel(kind, reason) and self._interrupt:
            self._interrupt()

    def force(self) -> None:
        """It had time to end. Cancel the task of an async job once more: it swallowed the first time."""
        self._forced = True
        if self._interrupt:
            self._interrupt()

    def run(self) -> Ended:
        """Run it to its end, whatever that is."""
        self._announce()
        try:
            context = self._context()
        except BaseException as error:  # noqa: BLE001 - decoding runs user code too (validators)
            return self._faulted(error, retry=False)
        try:
            with captured(self.log, self.options.log_level, whole_process=self.has_process):
                result = self.call(context)
            context.finish()
        except BaseException as error:  # noqa: BLE001 - every end of user code is reported
            return self.ended_by(error)
        return self._returned(result)

    def call(self, context: JobContext[Any]) -> Any:
        """Make a consumer and run it: user code."""
        return self._known().factory().run(context)

    async def arun(self) -> Ended:
        """Run an async job to its end, in the current task."""
        self._announce()
        try:
            context = self._context()
        except BaseException as error:  # noqa: BLE001 - as above
            return self._faulted(error, retry=False)
        try:
            self._interrupt = _interrupter(self)
            self.token.raise_if_cancellation_requested()
            with captured(self.log, self.options.log_level):
                result = await self.call(context)
            context.finish()
        except BaseException as error:  # noqa: BLE001 - as above; SystemExit would end the loop
            return self.ended_by(error)
        finally:
            self._interrupt = None
        return self._returned(result)

    def ended_by(self, error: BaseException) -> Ended:
        """The last word on an attempt that ended with this exception."""
        asked = self.token.kind
        if isinstance(error, AttemptSuperseded):
            return self._faulted(error, retry=False, suspect=True)
        if asked and (self._forced or isinstance(error, JobCancellation | CancelledError)):
            return self._stopped(asked, error)
        if isinstance(error, JobCancellation):
            reason = payload.safe_text(str(error.reason), REASON_LENGTH)
            return self._canceled(CancelKind.CONSUMER, reason or CONSUMER_INITIATED)
        if asked is CancelKind.SHUTDOWN:
            return self._canceled(asked, payload.safe_text(str(describe(error)), REASON_LENGTH))
        if isinstance(error, MemoryError) and self.options.max_memory:
            return self._overstepped(CancelKind.MEMORY, error)
        return self._faulted(error)

    # inside

    def _stir(self) -> None:
        """It got on. Whoever watches over it is not told each time."""
        now, stall = self._host.monotonic(), self.options.stall_timeout
        self.limits.stir(now)
        if stall is not None and now - self._stirred_at >= stall.total_seconds() / NEWS_SHARE:
            self._stirred_at = now
            self._host.stirred(self.start.attempt_id)

    def _announce(self) -> None:
        self._host.say(
            JobAttemptStarted(
                job_id=self.start.job_id,
                attempt_id=self.start.attempt_id,
                timestamp=self._host.now(),
                job_timeout=_seconds(self.options.job_timeout),
                job_cancellation_timeout=cancellation_timeout(self.options),
            )
        )

    def _context(self) -> JobContext[Any]:
        message_type = self._known().message_type
        message = upgraded(message_type, self.start.message, self.start.message_version)
        job = payload.decode(message_type, message)
        return JobContext(
            self.start, job, self.options, self._host, self.token, self.progress, self.saved, self.log
        )

    def _known(self) -> JobConsumerDefinition:
        return self._definition or consumers.for_type_name(self.start.job_type)

    def _send_progress(self, progress: Progress) -> None:
        self._host.say(SetJobProgress(progress=progress, **self._said()))

    def _returned(self, value: object) -> Ended:
        try:
            result = payload.encode_value(value, "result", max_bytes=settings.MAX_MESSAGE_BYTES)
        except BaseException as error:  # noqa: BLE001 - a result may be an object with code of its own
            return self._faulted(error, retry=False)
        return JobAttemptCompleted(result=result, **self._last_word())

    def _stopped(self, kind: CancelKind, error: BaseException) -> Ended:
        if kind in OVERSTEPPED:
            return self._overstepped(kind, error)
        return self._canceled(kind, self.token.reason)

    def _overstepped(self, kind: CancelKind, error: BaseException) -> Ended:
        return overstepped(kind, self.start, self.options, self._last_word(), describe(error).traceback)

    def _canceled(self, kind: CancelKind, reason: str) -> Ended:
        return JobAttemptCanceled(kind=kind, reason=reason, **self._last_word())

    def _faulted(self, error: BaseException, *, retry: bool = True, suspect: bool = False) -> Ended:
        policy = self.options.retry if retry else None
        delay = policy.delay(self.start.policy_retries, error) if policy else None
        return JobAttemptFaulted(
            fault=describe(error), retry_delay=delay, suspect=suspect, **self._last_word()
        )

    def _last_word(self) -> dict[str, Any]:
        self.progress.stop()
        self.log.close()
        duration = timedelta(seconds=self._host.monotonic() - self._begun)
        return {**self._said(), "duration": duration, "progress": self.progress.latest}

    def _said(self) -> dict[str, Any]:
        return {
            "job_id": self.start.job_id,
            "attempt_id": self.start.attempt_id,
            "timestamp": self._host.now(),
        }


def definition_of(start: StartJob) -> JobConsumerDefinition | None:
    """The consumer that runs this job, or None: this process does not know it."""
    try:
        return consumers.for_type_name(start.job_type)
    except UnknownJobType:
        return None


def cancellation_timeout(options: JobOptions) -> float:
    """How many seconds a job of these options may clean up."""
    return (options.job_cancellation_timeout or settings.JOB_CANCELLATION_TIMEOUT).total_seconds()


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _interrupter(attempt: Attempt) -> Callable[[], object]:
    """What cancels the current task while user code runs in it, from any thread."""
    loop, task = get_running_loop(), current_task()

    def cancel() -> None:
        if attempt._interrupt and isinstance(task, Task):
            task.cancel()

    return lambda: loop.call_soon_threadsafe(cancel)
