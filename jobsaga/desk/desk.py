"""One request: read, carried out once, answered.

What a request does and the memory of its id are written in one transaction, so it is carried out at most once,
however often it comes: after a crash between the commit and the acknowledgement, after a client's timeout, out of
order. One that is refused has done nothing and is not remembered. The memory lasts REMEMBERED.

Whatever cannot be carried out is answered with a fault. If nobody waits for an answer it becomes a dead letter, so
that it does not vanish without a word.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, connections

from jobsaga.conf import settings
from jobsaga.desk import verbs
from jobsaga.exceptions import (
    InvalidMessage,
    JobBusy,
    JobHasStarted,
    JobNotFound,
    JobSagaError,
    UnknownJobType,
)
from jobsaga.ids import uuid7
from jobsaga.models import DeadLetter, RemoteRequest, sql
from jobsaga.payload import safe_text
from jobsaga.remote import contract
from jobsaga.remote.contract import Fault, GetJobState, Refused, Reply
from jobsaga.store.base import Transaction
from jobsaga.store.django import DjangoStore
from jobsaga.transport.rabbitmq.letters import KEPT, text
from jobsaga.transport.rabbitmq.requests import Answer, Asked, Hopeless, Later

logger = logging.getLogger("jobsaga.remote")

#: So long a request that comes again is known.
REMEMBERED = timedelta(days=7)
#: How often what is older is removed, and how much at once.
FORGET_EVERY, FORGET_AT_ONCE = timedelta(minutes=5), 1000
#: No request has more bytes than so many of the largest payloads.
LARGEST = 4
#: So often a request is put off that meets a job which somebody holds, or that fails at once: a quarter of a minute.
PATIENCE = 12
#: Seconds to wait for a lock that another transaction holds; on SQLite the site's own timeout holds.
LOCK_TIMEOUT = 3


class Desk:
    """Belongs to one thread. *is_ours* says which queues no answer may go to."""

    def __init__(self, is_ours: Callable[[str], bool] = lambda queue: False) -> None:
        self.store, self._is_ours = DjangoStore(), is_ours
        self._forgot_at: datetime | None = None

    def handle(self, asked: Asked) -> Answer | None:
        """Carry it out; the answer, if anybody waits for it. Raises Later or Hopeless, and nothing else."""
        try:
            self.store.refresh()
            return self._handle(asked)
        except Exception as error:
            if self.store.is_transient(error) or isinstance(error, JobBusy):
                raise Later(str(error)) from error
            logger.exception("A request could not even be refused")
            if asked.tries >= PATIENCE:
                raise Hopeless from error
            raise Later("the site failed") from error

    def _handle(self, asked: Asked) -> Answer | None:
        trace, reply = "", None
        try:
            reply = self._reply(asked.body)
        except Refused as refused:
            reply = refused.fault
        except JobSagaError as error:
            if isinstance(error, JobBusy) and asked.tries < PATIENCE:
                raise
            reply = _fault(error, _id_of(asked.body))
        except Exception as error:
            if self.store.is_transient(error):
                raise
            logger.exception("A request could not be carried out")
            trace = "".join(traceback.format_exception(error))
            said = "the site failed while it carried this out; its log says how"
            reply = Fault(code="InternalError", message=said, faulted_message_id=_id_of(asked.body))
        nobody_waits = not asked.reply_to or self._is_ours(asked.reply_to)
        if isinstance(reply, Fault) and (trace or nobody_waits):
            self._bury(asked.body, reply, trace)
        return None if nobody_waits else _answer(asked, reply)

    def _reply(self, body: bytes) -> Reply:
        largest = LARGEST * settings.MAX_MESSAGE_BYTES
        if len(body) > largest:
            said = f"it has {len(body)} bytes, and no request has more than {largest}"
            raise Refused(Fault(code="TooLarge", message=said, faulted_message_id=_id_of(body)))
        request_id, request = contract.decode_request(body)
        if isinstance(request, GetJobState):
            return verbs.state_of(request)
        with self.store.transaction() as tx:
            self._be_impatient()
            if self._is_known(tx, request_id):
                return verbs.say_again(request, request_id)
            reply = verbs.carry_out(request, request_id)
            if isinstance(reply, contract.JobState) and reply.refused:
                self._forget(request_id)
            return reply

    def _is_known(self, tx: Transaction, request_id: UUID) -> bool:
        """Whether it was carried out before; from now on it was, if this transaction commits."""
        rows, now = RemoteRequest.objects.using(self.store.alias), tx.now()
        if rows.filter(id=request_id).exists():
            return True
        try:
            with tx.savepoint():
                rows.create(id=request_id, at=now)
        except IntegrityError:
            return True  # another host has carried it out just now
        if self._forgot_at is None or now - self._forgot_at > FORGET_EVERY:
            old = rows.filter(at__lt=now - REMEMBERED).order_by("at").values_list("id", flat=True)
            found = list(old[:FORGET_AT_ONCE])
            rows.filter(id__in=found).delete()
            may_be_more = len(found) == FORGET_AT_ONCE
            self._forgot_at = None if may_be_more else now
        return False

    def _forget(self, request_id: UUID) -> None:
        """It has done nothing: said again, it is tried again, and told again why not."""
        RemoteRequest.objects.using(self.store.alias).filter(id=request_id).delete()

    def _be_impatient(self) -> None:
        """The rows of jobs are never waited for; a job or a request that another transaction is about to insert is,
        and not for long.
        """
        connection = connections[self.store.alias]
        if connection.vendor == "sqlite":
            return
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'")
            else:
                cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT}")

    def _bury(self, body: bytes, fault: Fault, trace: str) -> None:
        """Where people can read it: the beginning, if it is long."""
        shown = text(body[:KEPT])
        DeadLetter.objects.using(self.store.alias).create(
            at=sql.now(connections[self.store.alias]),
            endpoint=contract.REQUESTS,
            body=safe_text(shown, len(shown)),
            reason=safe_text(f"{fault.code}: {fault.message}"),
            traceback=safe_text(trace),
        )


def _answer(asked: Asked, reply: Reply) -> Answer:
    answer_id = uuid7()
    body = contract.encode(reply, answer_id)
    return Answer(
        type(reply).__name__, str(answer_id), body, asked.correlation_id or str(_id_of(asked.body) or "")
    )


def _id_of(body: bytes) -> UUID | None:
    """The request's id, if that can be read at all."""
    try:
        return contract.decode_request(body)[0]
    except Refused as refused:
        return refused.fault.faulted_message_id


def _fault(error: JobSagaError, request_id: UUID | None) -> Fault:
    """What was refused on purpose, in the contract's words."""
    code, field, near = "InvalidMessage", "", list[str]()
    if isinstance(error, InvalidMessage):
        field = error.path
    elif isinstance(error, UnknownJobType):
        code, field, near = "UnknownJobType", "job_type", error.near
    elif isinstance(error, JobNotFound):
        code, field = "JobNotFound", "job_id"
    elif isinstance(error, JobHasStarted):
        code, field = "JobHasStarted", "job_id"
    elif isinstance(error, JobBusy):
        code, field = "JobBusy", "job_id"
    return Fault(
        code=code,
        message=safe_text(str(error), 2000),
        field=field[:500],
        near=near,
        faulted_message_id=request_id,
    )
