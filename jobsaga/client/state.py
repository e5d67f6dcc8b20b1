"""What a caller is told of a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

NOT_FOUND = "NotFound"


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job as it was when it was asked for. Times are aware datetimes of the database's clock.

    ``current_state`` is MassTransit's word: "WaitingForSlot", "Started", "Completed", ...; "NotFound" for an id
    that no job has.
    """

    job_id: UUID
    current_state: str = NOT_FOUND
    job_type: str = ""
    #: What its consumer calls it; empty: nothing.
    title: str = ""
    submitted: datetime | None = None
    started: datetime | None = None
    completed: datetime | None = None
    faulted: datetime | None = None
    #: When it ended, in whatever way.
    finished: datetime | None = None
    duration: timedelta | None = None
    #: Why it faulted or was canceled.
    reason: str = ""
    #: The last exception: ``type``, ``message``, ``traceback``.
    fault: dict[str, str] | None = None
    last_retry_attempt: int = 0
    run: int = 1
    progress_value: float | None = None
    progress_limit: float | None = None
    progress_message: str = ""
    #: How much the progress grows per second, and when the job will be done by that; of a job that runs and says
    #: nothing of its progress: by how long earlier ones of its type took. None: nobody knows.
    rate: float | None = None
    eta: datetime | None = None
    #: What the job saved last.
    job_state: Any = None
    #: What ``run`` returned.
    result: Any = None
    properties: dict[str, Any] | None = None
    #: When a job that waits for its time, or for a retry, goes on; of a recurring one: when its next run starts.
    next_start_date: datetime | None = None
    #: The time for which this run was planned. None: it was not.
    scheduled_for: datetime | None = None
    #: Whether more runs may follow.
    is_recurring: bool = False
    recurring_name: str = ""
    #: The schedule as text, see ``jobsaga.schedule``; its time zone; what bounds it.
    cron: str = ""
    time_zone: str = "UTC"
    start_date: datetime | None = None
    end_date: datetime | None = None
    cancel_requested: datetime | None = None
    #: Why it waits, in a sentence; empty if it does not. The facts behind it: ``explain_job``.
    waiting_for: str = ""
    #: Which rule that is, see ``jobsaga.client.explain``: unlike the words it stays as it is.
    waiting_code: str = ""
    #: Why the command that gave this state changed nothing; empty if it did, or was no command.
    refused: str = ""
    #: What the command did that the state alone does not show: which run of a recurring job was skipped, say.
    remark: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether it has ended: Completed, Faulted or Canceled."""
        return self.finished is not None
