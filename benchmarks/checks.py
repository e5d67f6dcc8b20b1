"""What must be true after a run, however fast it was. Each answer is a list of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.models import QuerySet

from jobsaga.conf import settings
from jobsaga.models import DeadLetter, JobAttemptSaga, JobHistory, JobSaga, TransportMessage
from jobsaga.sagas.states import OPEN_ATTEMPT_STATES, JobStates

#: Of each job: it waits, has a slot, has started, has completed.
LINES_PER_JOB = 4
BAD_LINE = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|^Traceback|^\w+(\.\w+)*Error\b", re.MULTILINE)


def problems(jobs: int) -> Iterator[str]:
    """In the rows: *jobs* were submitted, and all of them should have ended well."""
    completed = rows(JobSaga).filter(state=JobStates.COMPLETED.value).count()
    if completed != jobs:
        yield f"{completed} of {jobs} jobs are Completed"
    for what, found in {
        "slots are held": rows(JobAttemptSaga).filter(holds_slot=True),
        "attempts are open": rows(JobAttemptSaga).filter(state__in=[s.value for s in OPEN_ATTEMPT_STATES]),
        "dead letters": rows(DeadLetter).all(),
        "messages were left behind": rows(TransportMessage).all(),
    }.items():
        if count := found.count():
            yield f"{count} {what}"
    if (attempts := rows(JobAttemptSaga).count()) != jobs:
        yield f"{attempts} attempts for {jobs} jobs"
    if (lines := rows(JobHistory).count()) < LINES_PER_JOB * jobs:
        yield f"{lines} lines of history for {jobs} jobs"


def rows(model: type[models.Model]) -> QuerySet[Any]:
    """All rows of a table, wherever the settings keep it."""
    return model._default_manager.using(settings.DATABASE).all()


def bad_lines(log: str) -> Iterator[str]:
    """In the worker's log: warnings, errors, tracebacks. Of many the first three."""
    found = [line for line in log.splitlines() if BAD_LINE.search(line)]
    yield from (f"in the log: {line}" for line in found[:3])
    if len(found) > 3:
        yield f"in the log: {len(found) - 3} more"
