"""Jobs as the lists need them: without their large columns, with what tells them apart, and their worker."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Left

from jobsaga.live import scope
from jobsaga.live.wording import gist
from jobsaga.models import JobAttemptSaga, JobSaga

LARGE = ("message", "fault", "result", "headers", "properties")
#: Characters of a message that a list reads. A longer message is not told by its values there.
BEGINNING = 2000
#: Why the last try failed: all that a list needs of an error.
FAILED_WITH = KeyTextTransform("message", "fault")
LONGEST_SAID = 300


def light(alias: str, *, with_message: bool) -> QuerySet[JobSaga, Any]:
    """Jobs without their large columns."""
    jobs = scope.jobs(alias).defer(*LARGE).annotate(failed_with=Left(FAILED_WITH, LONGEST_SAID))
    if with_message:
        jobs = jobs.annotate(message_start=Left(Cast("message", TextField()), BEGINNING + 1))
    return jobs


def named(jobs: Iterable[JobSaga]) -> list[JobSaga]:
    """The jobs, each with ``gist``: its title; without one, a few words of its message, if that was read."""
    found = list(jobs)
    for job in found:
        job.gist = job.title or gist(_whole(getattr(job, "message_start", None)))  # type: ignore[attr-defined]
    return found


def _whole(text: str | None) -> object:
    if not text or len(text) > BEGINNING:
        return None
    try:
        message = json.loads(text)
        return json.loads(message) if isinstance(message, str) else message
    except ValueError:
        return None


def workers_of(alias: str, attempts: Collection[UUID]) -> dict[UUID, JobAttemptSaga]:
    """These attempts, each with its instance, by id."""
    rows = JobAttemptSaga.objects.using(alias).filter(id__in=attempts).defer("fault", "result")
    return {each.id: each for each in rows.select_related("instance")}
