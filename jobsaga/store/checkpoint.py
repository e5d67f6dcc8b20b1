"""The job's own write: its saved state, in the transaction of whoever calls.

One UPDATE that names the job and the attempt. It matches exactly one row while the attempt is the job's
current one, and none ever after: that is the fence. (Django asks MariaDB for the rows that matched, not
for those that changed, so saving the same state twice is no different there.)

Who swallows the news that the fence has moved must not commit what it wrote besides: the whole transaction is
set to roll back, with all the blocks it is nested in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from jobsaga.conf import settings
from jobsaga.exceptions import WrongTransaction
from jobsaga.models import JobCheckpoint
from jobsaga.store import sessions

#: What says that a row was changed by another since this transaction began: by the SQL standard, and MariaDB's.
SERIALIZATION_FAILURE, RECORD_HAS_CHANGED = "40001", 1020


def save(job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool) -> bool:
    """Save *state* (JSON-able, or None) for the job; False if the attempt was superseded.

    *advanced*: the state differs from the one that the attempt was started with. Outside of a transaction a
    connection that was dropped while the job did something else is made anew. Raises WrongTransaction.
    """
    connection = connections[settings.DATABASE]
    _check_transaction(connection)
    try:
        saved = _save(connection, job_id, attempt_id, state, advanced=advanced)
    except (OperationalError, InterfaceError) as error:
        if _was_changed_by_another(error):
            saved = False
        elif connection.in_atomic_block or connection.is_usable():
            raise
        else:
            connection.close()
            saved = _save(connection, job_id, attempt_id, state, advanced=advanced)
    if not saved:
        _forbid_commit(connection)
    return saved


def load(job_id: UUID) -> Any:
    """What is stored for the job; None if there is nothing."""
    rows = JobCheckpoint.objects.using(settings.DATABASE).filter(job_id=job_id)
    return rows.values_list("state", flat=True).first()


@contextmanager
def locked(job_id: UUID) -> Iterator[Any]:
    """What is stored for the job, which nobody changes until the end of the block (or of the transaction)."""
    connection = connections[settings.DATABASE]
    _check_transaction(connection)
    reconnect_if_broken(connection)
    with transaction.atomic(using=settings.DATABASE):
        rows = JobCheckpoint.objects.using(settings.DATABASE).select_for_update().filter(job_id=job_id)
        yield rows.values_list("state", flat=True).first()


def reconnect_if_broken(connection: BaseDatabaseWrapper) -> None:
    """Before a transaction begins: give up a connection that was dropped while the job did something else."""
    if connection.connection is not None and not connection.in_atomic_block and not connection.is_usable():
        connection.close()


def in_own_block(connection: BaseDatabaseWrapper) -> bool:
    """Whether the job has begun a transaction here. Those of a test case do not count."""
    return bool(_own_blocks(connection))


def _save(
    connection: BaseDatabaseWrapper, job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool
) -> bool:
    sessions.mark(connection, attempt_id)
    changes: dict[str, Any] = {"state": state}
    if advanced:
        changes["advanced_by"] = attempt_id
    rows = JobCheckpoint.objects.using(settings.DATABASE).filter(job_id=job_id, attempt_id=attempt_id)
    return rows.update(**changes) == 1


def _check_transaction(connection: BaseDatabaseWrapper) -> None:
    """A save within a transaction of another database only would be committed without it: nobody means that."""
    if connection.in_atomic_block and in_own_block(connection):
        return
    for other in connections.all(initialized_only=True):
        if other is not connection and in_own_block(other):
            ours = connection.alias
            raise WrongTransaction(
                f"The state of a job is saved in the database {ours!r}, but this transaction is one of "
                f"{other.alias!r}: they would not be committed together. Use transaction.atomic(using={ours!r}) "
                "around both (inside or outside the other one), or save the state after the block."
            )


def _was_changed_by_another(error: Exception) -> bool:
    """Above READ COMMITTED a database refuses the UPDATE of a row that was changed in the meantime."""
    cause = error.__cause__
    codes = {getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None), *error.args[:1]}
    return bool(codes & {SERIALIZATION_FAILURE, RECORD_HAS_CHANGED})


def _forbid_commit(connection: BaseDatabaseWrapper) -> None:
    if not connection.in_atomic_block:
        if not connection.get_autocommit():
            connection.rollback()
        return
    own = _own_blocks(connection)
    if not own:
        return  # only a test case's, which stands for none
    # A block that has a savepoint would go back to that, and leave the outer blocks to commit. So none has one
    # any more but the outermost of the job's own.
    for number in range(1, len(own)):
        connection.savepoint_ids[-number] = None  # type: ignore[call-overload]
    connection.set_rollback(True)


def _own_blocks(connection: BaseDatabaseWrapper) -> list[Any]:
    blocks: list[Any] = connection.atomic_blocks
    return [block for block in blocks if not block._from_testcase]
