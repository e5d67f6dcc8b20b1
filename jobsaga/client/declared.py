"""The recurrences that stand in the code, brought into the rows: after ``migrate``, and by ``recurring sync``.

What an operator has canceled stays canceled. What was declared once and stands in no code any more is
canceled too, unless its consumer lives elsewhere: a process that does not know a job type says nothing
about its recurrences.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core import mail
from django.db import connections

from jobsaga.client.commands import job_fields
from jobsaga.client.recurring import recurrence
from jobsaga.client.site import Site
from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.consumers.declarations import RecurringDeclaration, declarations
from jobsaga.consumers.message_types import full_name
from jobsaga.exceptions import JobSagaError
from jobsaga.messages import AddOrUpdateRecurringJob, CancelRecurringJob
from jobsaga.models import JobSaga
from jobsaga.sagas.records import Job
from jobsaga.sagas.recurrence import described_by
from jobsaga.store.rows import COLUMNS, records

logger = logging.getLogger("jobsaga")

#: Who has done it, in the history.
ACTOR = "recurring sync"


@dataclass(frozen=True)
class Difference:
    """A recurrence that is not in the rows as it is in the code, and what a sync makes of it."""

    job_type: str
    name: str
    #: "add", "update", "cancel"; "keep": an operator has canceled it; "refuse": it cannot be.
    action: str
    detail: str = ""
    command: AddOrUpdateRecurringJob | CancelRecurringJob | None = None

    def __str__(self) -> str:
        return f"{self.action} {self.job_type} {self.name!r}{': ' if self.detail else ''}{self.detail}"


def differences() -> list[Difference]:
    """What differs between the code and the rows."""
    site = Site()
    wanted: list[AddOrUpdateRecurringJob] = []
    refused: list[Difference] = []
    for each in declarations():
        try:
            wanted.append(_command(each))
        except JobSagaError as error:
            refused.append(Difference(full_name(each.source), each.name, "refuse", str(error)))
    return refused + list(_differences(site, wanted))


def _differences(site: Site, wanted: list[AddOrUpdateRecurringJob]) -> Iterator[Difference]:
    rows = JobSaga.objects.using(site.alias).exclude(recurring_name="")
    known = {job.id: job for job in records(Job, rows.values_list(*COLUMNS[Job]))}
    for command in wanted:
        difference = _compared(command, known.get(command.job_id))
        if difference is not None:
            yield difference
    declared = {(each.definition().type_name, each.name) for each in declarations() if _has_consumer(each)}
    types = {each.type_name for each in consumers.all()}
    for job in known.values():
        is_gone = (job.job_type, job.recurring_name) not in declared and job.job_type in types
        if job.declared and job.recurring and is_gone:
            yield _gone(job)


def _has_consumer(declaration: RecurringDeclaration) -> bool:
    try:
        declaration.definition()
    except JobSagaError:
        return False
    return True


def sync_recurring_jobs() -> list[Difference]:
    """Make the rows as the code says; what was different. Safe to call at each deploy, and by several at once.

    A declaration that cannot be (its schedule has ended, say) is among them as "refuse", and stops no other.
    """
    site, found = Site(), differences()
    for each in found:
        if each.command is not None:
            site.put(each.command) if isinstance(each.command, AddOrUpdateRecurringJob) else site.command(
                each.command
            )
    return found


def _command(declaration: RecurringDeclaration) -> AddOrUpdateRecurringJob:
    message = declaration.input()
    return recurrence(
        declaration.name,
        job_fields(message, None, declaration.properties, declaration.priority),
        declaration.schedule,
        declaration.start,
        declaration.end,
        declaration.time_zone,
        declaration.misfire,
        ACTOR,
        declared=True,
    )


def _compared(command: AddOrUpdateRecurringJob, job: Job | None) -> Difference | None:
    about = (command.job_type, command.name)
    if job is None:
        return Difference(*about, "add", "", command)
    if not job.recurring and job.recurring_name and job.cancel_requested_by != ACTOR:
        by = job.cancel_requested_by or "someone"
        return Difference(*about, "keep", f"canceled by {by}: {job.cancel_reason or 'no reason given'}")
    new = described_by(job, command)
    changed = [name for name in COLUMNS[Job] if getattr(new, name) != getattr(job, name)]
    if not changed:
        return None
    return Difference(*about, "update", ", ".join(changed), command)


def _gone(job: Job) -> Difference:
    reason = "its declaration is gone from the code"
    command = CancelRecurringJob(job_id=job.id, reason=reason, actor=ACTOR)
    return Difference(job.job_type, job.recurring_name, "cancel", reason, command)


def sync_after_migrate(*, using: str, verbosity: int = 1, **kwargs: Any) -> None:
    """Django's ``post_migrate``. Not in a test's database, which would begin each test with jobs."""
    if using != settings.DATABASE or is_in_a_test() or not _has_tables(using):
        return
    for each in sync_recurring_jobs():
        if each.action == "refuse":
            logger.error("A recurring job was not registered: %s", each)
        elif verbosity >= 1:
            print(f"  Recurring jobs: {each}")  # noqa: T201 - as migrate says what it does


def warn_of_drift() -> None:
    """Tell the log of a worker that the rows are not as its code says: perhaps a deploy has missed a step."""
    found = [str(each) for each in differences() if each.action != "keep"]
    if found:
        logger.warning(
            "The recurring jobs of this code are not those of the database: manage.py jobsaga recurring sync "
            "would %s",
            "; ".join(found),
        )


def is_in_a_test() -> bool:
    """Whether Django's test environment is set up: it has replaced the mail box."""
    return hasattr(mail, "outbox")


def _has_tables(alias: str) -> bool:
    with connections[alias].cursor() as cursor:
        return JobSaga._meta.db_table in connections[alias].introspection.table_names(cursor)
