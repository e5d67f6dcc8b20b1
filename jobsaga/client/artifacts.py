"""What jobs have left: files and pages, by name and reference. Never their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jobsaga.client.commands import checked_id, twin
from jobsaga.conf import settings


@dataclass(frozen=True, kw_only=True)
class JobArtifact:
    """One of them: a ``url``, or a ``path`` in one of the site's file storages (``storage``: its alias)."""

    name: str
    url: str = ""
    path: str = ""
    storage: str = ""
    at: datetime
    attempt_id: UUID

    @property
    def reference(self) -> str:
        """Where it is, as people read it."""
        return self.url or (self.path if self.storage == "default" else f"{self.storage}:{self.path}")


def get_job_artifacts(job_id: UUID) -> dict[str, JobArtifact]:
    """The artifacts of a job by name. Of one that was left twice the last counts: of the newest attempt, which a
    zombie's late word does not replace.
    """
    from jobsaga.models import JobHistory

    rows = JobHistory.objects.using(settings.DATABASE).filter(job_id=checked_id(job_id), kind="JobArtifact")
    found = (
        JobArtifact(name=row.message, at=row.at, attempt_id=row.attempt_id, **(row.data or {}))
        for row in sorted(rows, key=lambda row: (row.attempt_id.int if row.attempt_id else 0, row.id))
        if row.attempt_id is not None
    )
    return {each.name: each for each in found}


aget_job_artifacts = twin(get_job_artifacts)
