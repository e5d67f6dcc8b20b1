"""News for the site's own code: a saga's events as Django signals, after the commit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from django.dispatch import Signal

from jobsaga import signals
from jobsaga.conf import settings
from jobsaga.messages import JobEvent
from jobsaga.models import JobTypeInstance
from jobsaga.properties import Properties

logger = logging.getLogger("jobsaga.engine")

Place = tuple[str, UUID | None]
"""A job type on an instance."""

SIGNALS: dict[str, Signal] = {
    "JobSubmitted": signals.job_submitted,
    "JobStarted": signals.job_started,
    "JobCompleted": signals.job_completed,
    "JobFaulted": signals.job_faulted,
    "JobCanceled": signals.job_canceled,
}
#: What each signal carries beside job_id, message and properties.
DETAILS: dict[str, tuple[str, ...]] = {
    "JobSubmitted": (),
    "JobStarted": ("attempt_id", "retry_attempt"),
    "JobCompleted": ("attempt_id", "result", "duration"),
    "JobFaulted": ("attempt_id", "fault", "duration"),
    "JobCanceled": ("attempt_id", "reason", "duration"),
}


def publish(events: Sequence[JobEvent]) -> None:
    """Send the signals of *events*. A receiver that raises is logged, and changes nothing."""
    heard = [event for event in events if SIGNALS[event.name].has_listeners(event.job_type)]
    if not heard:
        return
    known = _instance_properties({event.instance_id for event in heard if event.instance_id})
    for event in heard:
        content = _content(event, known)
        for receiver, answer in SIGNALS[event.name].send_robust(sender=event.job_type, **content):
            if isinstance(answer, Exception):
                logger.error("Receiver %r of %s failed", receiver, event.name, exc_info=answer)


def _content(event: JobEvent, known: dict[Place, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "job_id": event.job_id,
        "message": event.message,
        "properties": Properties(event.properties),
    }
    content.update((name, getattr(event, name)) for name in DETAILS[event.name])
    if content.get("fault") is not None:
        content["fault"] = msgspec.structs.asdict(content["fault"])
    if DETAILS[event.name]:
        content["instance_properties"] = Properties(known.get((event.job_type, event.instance_id)))
    return content


def _instance_properties(instances: set[UUID]) -> dict[Place, Any]:
    """What these instances said of themselves, by job type and instance."""
    if not instances:
        return {}
    rows = JobTypeInstance.objects.using(settings.DATABASE).filter(instance_id__in=instances)
    return {(t, i): p for t, i, p in rows.values_list("job_type", "instance_id", "properties")}
