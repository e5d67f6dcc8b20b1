"""The public events: what a site tells everybody of its jobs, on an exchange that anyone can bind a queue to.

Each class here is the ``body`` of an envelope (see ``contract``), and its name is the envelope's ``type``. A field
that has its default is left out. They are published at least once: who must not do something twice remembers the
envelope's ``id``, which stays the same however often an event is sent.

Nothing here knows Django, pika or the site.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from jobsaga.remote.contract import JobFault, Json

#: Bytes that AMQP has for a routing key.
LONGEST_KEY = 255


class PublicEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every event says: which job it is about, and when it was decided."""

    job_id: UUID
    job_type: str
    #: When it happened, by the clock of the site's database.
    timestamp: datetime
    #: The message with which the job was submitted.
    message: Json | None = None
    properties: Json = {}
    #: Which run it is, counted from 1: only a recurring job has more than one.
    run: int = 1


class AttemptEvent(PublicEvent, frozen=True, kw_only=True):
    """What is about one attempt; the ids are missing where there was none."""

    attempt_id: UUID | None = None
    #: The worker on which it ran.
    instance_id: UUID | None = None
    #: How many attempts of this run came before it.
    retry_attempt: int = 0


class JobSubmitted(PublicEvent, frozen=True, kw_only=True):
    """The job exists, and the transaction that made it is committed."""


class JobStarted(AttemptEvent, frozen=True, kw_only=True):
    """An attempt has begun; after a retry there is another one."""


class JobCompleted(AttemptEvent, frozen=True, kw_only=True):
    """The job has done its work; of a recurring job: this run has."""

    #: How long the attempt took, in seconds.
    duration: float | None = None
    #: What the job returned.
    result: Any = None


class JobFaulted(AttemptEvent, frozen=True, kw_only=True):
    """The job has failed, and no retry is left. An attempt that is followed by a retry is no event."""

    #: How long the last attempt took, in seconds.
    duration: float | None = None
    #: Why, in one line.
    reason: str = ""
    fault: JobFault
    traceback: str = ""


class JobCanceled(AttemptEvent, frozen=True, kw_only=True):
    """The job has ended because somebody, or the job itself, has canceled it."""

    #: Why, as far as it was said.
    reason: str = ""


#: All there are, by the names that envelopes and routing keys give them.
PUBLIC_EVENTS: dict[str, type[PublicEvent]] = {
    each.__name__: each for each in (JobSubmitted, JobStarted, JobCompleted, JobFaulted, JobCanceled)
}


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is sent: its envelope as JSON, and what AMQP says beside it."""

    id: UUID
    at: datetime
    kind: str
    job_type: str
    body: str

    @property
    def routing_key(self) -> str:
        """``JobCompleted.videos.Convert``; a name that is too long for AMQP is cut off at its end."""
        key = f"{self.kind}.{self.job_type}".encode(errors="replace")
        return key[:LONGEST_KEY].decode(errors="ignore")
