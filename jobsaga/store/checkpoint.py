"""The job's own write: its saved state, in the transaction of whoever calls.

One UPDATE that names the job and the attempt. It matches exactly one row while the attempt is the job's
current one, and none ever after: that is the fence. (Django asks MariaDB for the rows that matched, not
for those that changed, so saving the same state twice is no different there.)
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jobsaga.conf import settings
from jobsaga.models import JobCheckpoint
from jobsaga.store import sessions


def save(job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool) -> bool:
    """Save *state* (JSON-able, or None) for the job; False if the attempt was superseded.

    *advanced*: the state differs from the one that the attempt was started with. Outside of a transaction a
    connection that was dropped while the job did something else is made anew.
    """
    connection = connections[settings.DATABASE]
    try:
        return _save(connection, job_id, attempt_id, state, advanced=advanced)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or connection.is_usable():
            raise
        connection.close()
        return _save(connection, job_id, attempt_id, state, advanced=advanced)


def _save(
    connection: BaseDatabaseWrapper, job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool
) -> bool:
    sessions.mark(connection, attempt_id)
    changes: dict[str, Any] = {"state": state}
    if advanced:
        changes["advanced_by"] = attempt_id
    rows = JobCheckpoint.objects.using(settings.DATABASE).filter(job_id=job_id, attempt_id=attempt_id)
    return rows.update(**changes) == 1
