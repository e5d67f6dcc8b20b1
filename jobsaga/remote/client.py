"""The client for services that have a broker in common with a site, and nothing else.

Each verb makes a request with an id of its own, sends it, and waits for the answer. The id is what makes a repeat
harmless: the line says a request again when its connection breaks, and a caller may after a timeout, with the
``request_id`` (or, for a new job, the ``job_id``) that the error tells.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from jobsaga.broker_url import Secret, parse, queue_name
from jobsaga.clock import SystemClock
from jobsaga.exceptions import InvalidMessage
from jobsaga.ids import uuid7
from jobsaga.remote import contract
from jobsaga.remote.contract import JobState, JobSubmissionAccepted, Request
from jobsaga.remote.errors import RemoteError, RemoteFault, RemoteTimeout
from jobsaga.remote.line import Line, Parcel, quiet, seconds_left

TIMEOUT = 30.0
R = TypeVar("R", bound=contract.Reply)


class JobClient:
    """Submits jobs to a site and steers them, by requests to its saga hosts over RabbitMQ.

    *amqp_url* is ``amqp://user@host:port/virtual-host``, or ``amqps://``; its options are those of
    JOBSAGA["TRANSPORT"], and ``queue_prefix`` must be the site's. *password* is used if the URL has none. *timeout*:
    so many seconds a verb waits for its answer, unless it is given another. *actor* is who the site's history says has
    asked, as "remote:<actor>".

    Connects when it is first used, and again when it must. Close it, or use it in a ``with``. It is made for one
    thread; used by two at the same time it raises RuntimeError: give each its own.

    Every verb raises RemoteFault when the site refuses, RemoteTimeout when it does not answer in time,
    RemoteUnavailable when the broker does not let us ask, and InvalidMessage for what is no request at all.
    """

    def __init__(
        self, amqp_url: str, *, password: str | None = None, timeout: float = TIMEOUT, actor: str = ""
    ) -> None:
        amqp_url = Secret(amqp_url)  # what follows may be shown in a traceback
        secret = password = None if password is None else Secret(password)
        try:
            url = parse(amqp_url)
            self._line = Line(url, secret, "jobsaga.remote")
        except ValueError as problem:
            raise ValueError(f"The URL of the broker {problem}") from None
        self.timeout, self.actor = timeout, actor
        self._queue, self._lock = queue_name(url.queue_prefix, contract.REQUESTS), Lock()
        quiet()

    def __repr__(self) -> str:
        return f"<JobClient {self._line.label} {self._queue}>" if hasattr(self, "_lock") else "<JobClient>"

    def __enter__(self) -> JobClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take leave of the broker. The client may be used again: then it connects again."""
        self._alone(self._line.close)

    # The verbs

    def submit_job(
        self,
        job_type: str,
        fields: Mapping[str, Any] | object | None = None,
        *,
        job_id: UUID | None = None,
        properties: Mapping[str, Any] | None = None,
        priority: int = 0,
        request_id: UUID | None = None,
        timeout: float | None = None,
    ) -> UUID:
        """Make a job of this type; its id. *fields* are its message's: a dict, or an object that msgspec can write.

        The id is made here unless it is given. With an id that a job has already nothing changes: so a submission may
        be repeated, with the ``job_id`` of the error, as often as it takes.
        """
        body = contract.SubmitJob(**self._job(job_type, fields, job_id, properties, priority))
        return self.ask(body, JobSubmissionAccepted, request_id=request_id, timeout=timeout).job_id

    def schedule_job(
        self,
        when: datetime | timedelta,
        job_type: str,
        fields: Mapping[str, Any] | object | None = None,
        *,
        job_id: UUID | None = None,
        properties: Mapping[str, Any] | None = None,
        priority: int = 0,
        request_id: UUID | None = None,
        timeout: float | None = None,
    ) -> UUID:
        """Make a job that starts at *when*, an aware datetime, or after that time by this machine's clock; its id.

        With the id of a job that still waits for its time, that job gets the new time and message.
        """
        job = self._job(job_type, fields, job_id, properties, priority)
        body = contract.ScheduleJob(**job, start=moment(when))
        return self.ask(body, JobSubmissionAccepted, request_id=request_id, timeout=timeout).job_id

    def cancel_job(
        self,
        job_id: UUID,
        reason: str = "",
        *,
        run: int | None = None,
        request_id: UUID | None = None,
        timeout: float | None = None,
    ) -> JobState:
        """End the job as Canceled unless it has completed; its state after that. One that runs is asked to stop."""
        body = contract.CancelJob(job_id=job_id, reason=reason, run=run, actor=self.actor)
        return self.ask(body, JobState, request_id=request_id, timeout=timeout)

    def retry_job(
        self, job_id: UUID, reason: str = "", *, request_id: UUID | None = None, timeout: float | None = None
    ) -> JobState:
        """Run a faulted or canceled job again, or a waiting retry at once. ``refused`` says why it changed nothing."""
        body = contract.RetryJob(job_id=job_id, reason=reason, actor=self.actor)
        return self.ask(body, JobState, request_id=request_id, timeout=timeout)

    def run_job(
        self,
        job_id: UUID,
        reason: str = "",
        *,
        run: int | None = None,
        request_id: UUID | None = None,
        timeout: float | None = None,
    ) -> JobState:
        """Run a job now that waits for its time; of a recurring one only this *run*, if it is given."""
        body = contract.RunJob(job_id=job_id, reason=reason, run=run, actor=self.actor)
        return self.ask(body, JobState, request_id=request_id, timeout=timeout)

    def finalize_job(
        self, job_id: UUID, reason: str = "", *, request_id: UUID | None = None, timeout: float | None = None
    ) -> JobState:
        """Remove an ended job; its history stays. ``refused``: it has not ended, or its last attempt may still run."""
        body = contract.FinalizeJob(job_id=job_id, reason=reason, actor=self.actor)
        return self.ask(body, JobState, request_id=request_id, timeout=timeout)

    def get_job_state(self, job_id: UUID, *, timeout: float | None = None) -> JobState:
        """The job as it is now; ``current_state`` is "NotFound" for an id that no job has."""
        wait = self.timeout if timeout is None else timeout
        return self.ask(contract.GetJobState(job_id=job_id), JobState, timeout=wait, expires=wait)

    # What they are made of

    def ask(
        self,
        request: Request,
        answer: type[R],
        *,
        request_id: UUID | None = None,
        timeout: float | None = None,
        expires: float | None = None,
    ) -> R:
        """Send a request of the contract and wait for an *answer* of this kind. After *expires* seconds the broker
        throws it away, if no saga host has taken it by then.
        """
        timeout = self.timeout if timeout is None else timeout
        parcel, said = self._parcel(request, request_id, expires), getattr(request, "job_id", None)
        body = self._exchange(parcel, timeout, said)
        try:
            reply = contract.decode_reply(body)
        except contract.Refused as refused:
            raise RemoteError(f"The answer is none: {refused.fault.message}", parcel.id, said) from None
        if isinstance(reply, contract.Fault):
            raise RemoteFault(reply.code, reply.message, reply.field, reply.near, parcel.id, said)
        if not isinstance(reply, answer):
            raise RemoteError(f"The answer is a {type(reply).__name__}", parcel.id, said)
        return reply

    def send(
        self,
        request: Request,
        *,
        request_id: UUID | None = None,
        timeout: float | None = None,
        expires: float | None = None,
    ) -> UUID:
        """Leave a request at the broker, without waiting for the site; its id. What the site refuses becomes one of its
        dead letters.
        """
        parcel = self._parcel(request, request_id, expires)
        parcel.answer = False
        self._exchange(parcel, self.timeout if timeout is None else timeout, getattr(request, "job_id", None))
        return parcel.id

    def _job(
        self,
        job_type: str,
        fields: Mapping[str, Any] | object | None,
        job_id: UUID | None,
        properties: Mapping[str, Any] | None,
        priority: int,
    ) -> dict[str, Any]:
        return {
            "job_type": job_type,
            "message": {} if fields is None else fields,
            "job_id": uuid7() if job_id is None else job_id,
            "properties": {} if properties is None else properties,
            "priority": priority,
            "actor": self.actor,
        }

    def _parcel(self, request: Request, request_id: UUID | None, expires: float | None) -> Parcel:
        known = uuid7() if request_id is None else request_id
        try:
            body = contract.encode(request, known)
            json.dumps(msgspec.to_builtins(request), allow_nan=False)  # which msgspec would write as null
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidMessage(type(request).__name__, f"cannot be written: {error}") from None
        try:
            contract.decode_request(body)
        except contract.Refused as refused:
            fault = refused.fault
            raise InvalidMessage(fault.field, fault.message.removeprefix(fault.field).strip()) from None
        return Parcel(self._queue, type(request).__name__, known, body, expires=expires)

    def _exchange(self, parcel: Parcel, timeout: float, job_id: UUID | None) -> bytes:
        end = time.monotonic() + timeout
        answer: bytes | None = self._alone(lambda: self._line.exchange(parcel, seconds_left(end)))
        if answer is None:
            raise RemoteTimeout(self._late(parcel, timeout), parcel.id, job_id, parcel.sent > 0)
        return answer

    def _late(self, parcel: Parcel, timeout: float) -> str:
        """What is known when there was no answer."""
        why = f" ({self._line.why_down})" if self._line.why_down else ""
        first = f"{parcel.kind} {parcel.id}: no answer within {timeout:g} s"
        if parcel.confirmed:
            known = "RabbitMQ has it, durably, and a saga host may still carry it out"
        elif parcel.sent:
            known = f"it was sent, and RabbitMQ has not confirmed it{why}; it may still be carried out"
        else:
            return f"{first}: RabbitMQ at {self._line.label} could not be reached{why}, nothing was sent."
        return f"{first}: {known}. Said again with the same request_id it is carried out at most once."

    def _alone(self, function: Callable[[], Any]) -> Any:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("This JobClient is in use by another thread: give each thread its own.")
        try:
            return function()
        finally:
            self._lock.release()


def moment(when: datetime | timedelta) -> datetime:
    """When that is, in UTC. Raises InvalidMessage for a datetime without a time zone."""
    if isinstance(when, timedelta):
        return SystemClock().now() + when
    if when.tzinfo is None:
        raise InvalidMessage("when", f"must have a time zone, not {when!r}")
    return when.astimezone(UTC)


def fields_of(text: str | bytes) -> dict[str, Any]:
    """A message's fields from JSON text. Raises InvalidMessage."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidMessage("JSON", f"cannot be read as an object: {error}") from None
