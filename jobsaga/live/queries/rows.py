"""Jobs as the lists need them: without their large columns, with the beginning of their message and their worker."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Left

from jobsaga.live.wording import gist
from jobsaga.models import JobAttemptSaga, JobSaga

LARGE = ("message", "fault", "result", "headers", "properties")
#: Characters of a message that a list reads. A longer message is not told by its values there.
BEGINNING = 2000


def light(alias: str, *, with_message: bool) -> QuerySet[JobSaga, Any]:
    """Jobs without their large columns."""
    jobs = JobSaga.objects.using(alias).defer(*LARGE)
    if with_message:
        jobs = jobs.annotate(message_start=Left(Cast("message", TextField()), BEGINNING + 1))
    return jobs


def named(jobs: Iterable[JobSaga]) -> list[JobSaga]:
    """The jobs, each with ``gist``: a few words of its message, if that was read."""
    found = list(jobs)
    for job in found:
        job.gist = gist(_whole(getattr(job, "message_start", None)))  # type: ignore[attr-defined]
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
