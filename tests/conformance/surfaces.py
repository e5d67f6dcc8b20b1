"""What a scenario may look at, and nothing else: the job's history, its state, and the diary.

The diary (``tests.jobsapp.jobs.conformance``) has what handlers did and which signals were sent, in one order for
all processes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from jobsaga import get_job_state
from jobsaga.models import JobHistory
from jobsaga.sagas.states import JobStates

ALIAS = settings.JOBSAGA["DATABASE"]

Line = dict[str, Any]


def state(job_id: UUID) -> str:
    """MassTransit's word for it."""
    return get_job_state(job_id).current_state


def history(job_id: UUID) -> list[JobHistory]:
    """All that was written of the job, in order."""
    return list(JobHistory.objects.using(ALIAS).filter(job_id=job_id).order_by("id"))


def path(job_id: UUID) -> list[str]:
    """The states it came into, in order."""
    return [JobStates(row.to_state).label for row in history(job_id) if row.to_state is not None]


def kinds(job_id: UUID) -> list[str]:
    """What happened to it, in order: the messages that changed its state, the notes, its own log lines."""
    return [row.kind for row in history(job_id)]


@dataclass(frozen=True)
class Diary:
    """The file, as far as it is written."""

    path: Path

    def lines(self, job_id: UUID | None = None, what: str = "") -> list[Line]:
        """The lines (of one job; of one kind), in order."""
        if not self.path.exists():
            return []
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [
            line
            for line in lines
            if (job_id is None or line["job"] == str(job_id)) and what in ("", line["what"])
        ]

    def begins(self, job_id: UUID) -> list[Line]:
        """The first line of each attempt that came to its handler."""
        return self.lines(job_id, "begin")

    def signals(self, job_id: UUID) -> list[str]:
        """The names of the life-cycle signals that were sent, in order."""
        return [line["what"] for line in self.lines(job_id) if line["what"].startswith("job_")]

    def signal(self, job_id: UUID, name: str) -> Line:
        """The one signal of this name."""
        (line,) = self.lines(job_id, name)
        return line

    def most_at_once(self, jobs: Iterable[UUID]) -> int:
        """The largest number of these that were in their handlers at the same time."""
        at_once = most = 0
        wanted = {str(job_id) for job_id in jobs}
        for line in self.lines():
            if line["job"] in wanted:
                at_once += {"begin": 1, "end": -1}.get(line["what"], 0)
                most = max(most, at_once)
        return most
