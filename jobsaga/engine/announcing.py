"""What the world is told of a turn: the saga's events as public ones, in their envelopes.

They are rows of the same transaction as the decision itself (``EventOutbox``), so that neither is there without the
other. ``outbox`` sends them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC
from typing import Any
from uuid import UUID

import msgspec

from jobsaga.messages import JobEvent
from jobsaga.remote.contract import VERSION, JobFault, encode
from jobsaga.remote.events import PUBLIC_EVENTS, Announcement, JobFaulted, PublicEvent


def announcements(events: Iterable[JobEvent], new_id: Callable[[], UUID]) -> list[Announcement]:
    """The public events of these, in the same order; each has an id of its own from now on."""
    return [_announcement(event, new_id()) for event in events]


def _announcement(event: JobEvent, event_id: UUID) -> Announcement:
    body = _encoded(_public(event), event_id)
    return Announcement(id=event_id, at=event.timestamp, kind=event.name, job_type=event.job_type, body=body)


def _public(event: JobEvent) -> PublicEvent:
    cls = PUBLIC_EVENTS[event.name]
    known: dict[str, Any] = {
        name: getattr(event, name) for name in cls.__struct_fields__ if hasattr(event, name)
    }
    known["timestamp"] = event.timestamp.astimezone(UTC)
    if event.duration is not None:
        known["duration"] = event.duration.total_seconds()
    if cls is JobFaulted and event.fault is not None:
        known["fault"] = JobFault(type=event.fault.type, message=event.fault.message)
        known["traceback"] = event.fault.traceback
    return cls(**known)


def _encoded(body: PublicEvent, event_id: UUID) -> str:
    """As JSON. What only some databases keep, half a surrogate or a number of more than 64 bits, is written out."""
    try:
        return encode(body, event_id, time=body.timestamp).decode()
    except (UnicodeError, OverflowError):
        kind, when = type(body).__name__, body.timestamp
        envelope = {"version": VERSION, "type": kind, "id": event_id, "time": when, "body": body}
        return json.dumps(msgspec.to_builtins(envelope))
