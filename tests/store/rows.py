"""Rows to write in the tests of the stores: each with everything filled in that must be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from jobsaga.ids import uuid7
from jobsaga.remote.events import Announcement
from jobsaga.sagas import Attempt, Checkpoint, Job
from jobsaga.sagas.states import AttemptStates, JobStates
from jobsaga.store.base import Changes, HistoryRow, Retention, Store
from tests.engine.places import Place

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TYPE = "videos.Convert"
EVER = Retention()


def job(**fields: Any) -> Job:
    """A new job that waits for a slot."""
    given: dict[str, Any] = {
        "id": uuid7(), "job_type": TYPE, "state": JobStates.WAITING_FOR_SLOT, "submitted_at": NOW, "queued_at": NOW,
    }  # fmt: skip
    return Job(**{**given, **fields})


def attempt(**fields: Any) -> Attempt:
    """A new attempt that runs and holds its slot."""
    given: dict[str, Any] = {
        "id": uuid7(), "job_id": uuid7(), "job_type": TYPE, "state": AttemptStates.RUNNING, "holds_slot": True,
        "created_at": NOW,
    }  # fmt: skip
    return Attempt(**{**given, **fields})


def line(job_id: UUID, **fields: Any) -> HistoryRow:
    """A line of history."""
    return HistoryRow(**{"job_id": job_id, "at": NOW, "kind": "Noted", **fields})


def announcement(text: str = "", **fields: Any) -> Announcement:
    """A public event, to be sent."""
    given: dict[str, Any] = {
        "id": uuid7(),
        "at": NOW,
        "kind": "JobSubmitted",
        "job_type": TYPE,
        "body": f'"{text}"',
    }
    return Announcement(**{**given, **fields})


def waiting(place: Place, limit: int = 1000) -> list[Announcement]:
    """The events of the outbox, which stay there."""
    with place.store.outbox(limit) as found:
        return list(found.events.values())


def write(place: Place, **changes: Any) -> None:
    """One transaction that writes these ``Changes``; records alone are new ones."""
    pairs = {"jobs", "attempts", "checkpoints", "job_types", "type_instances"}
    with place.store.transaction() as tx:
        tx.write(
            Changes(
                **{
                    name: [each if isinstance(each, tuple) else (None, each) for each in rows]
                    if name in pairs
                    else rows
                    for name, rows in changes.items()
                }
            )
        )


def update(place: Place, before: Any, **fields: Any) -> Any:
    """Change a stored record, as the engine does; the new one."""
    after = before.but(**fields)
    table = {Job: "jobs", Attempt: "attempts", Checkpoint: "checkpoints"}[type(before)]
    write(place, **{table: [(before, after)]})
    return after


def stored_job(store: Store, job_id: UUID) -> Job | None:
    with store.transaction() as tx:
        return tx.jobs([job_id]).rows.get(job_id)


def stored_attempt(store: Store, attempt_id: UUID) -> Attempt | None:
    with store.transaction() as tx:
        return tx.attempts([attempt_id]).rows.get(attempt_id)


def stored_checkpoint(store: Store, job_id: UUID) -> Checkpoint | None:
    with store.transaction() as tx:
        return tx.checkpoints([job_id]).rows.get(job_id)


FULL_JOB: dict[str, Any] = {
    "version": 7,
    "message": {
        "path": "ä/漢字/🎬.mp4",
        "nothing": None,
        "big": 2**63 - 1,
        "small": -(2**63),
        "x": [1.5, True, {}],
    },
    "message_version": 3,
    "properties": {"Tenant": "ACME '\"\\%s"},
    "headers": {"traceparent": "00-1-2-3"},
    "submitted_by": "Zoë",
    "priority": -5,
    "attempt_id": UUID(int=5),
    "slot": UUID(int=2**128 - 1),
    "run": 2,
    "scheduled_for": NOW.astimezone(timezone(timedelta(hours=5, minutes=30))),
    "concurrency_key": "acme",
    "title": "s01e04 🎬.mkv",
    "recurring": True,
    "recurring_name": "nightly",
    "cron": "0 0 3 * * *",
    "time_zone": "America/Argentina/ComodRivadavia",
    "start_at": NOW,
    "end_at": NOW + timedelta(days=9),
    "misfire": "skip",
    "declared": True,
    "next_start_at": NOW + timedelta(hours=1),
    "retry_attempt": 4,
    "policy_retries": 3,
    "suspect_retries": 2,
    "started_at": NOW + timedelta(microseconds=1),
    "completed_at": NOW + timedelta(days=1),
    "faulted_at": NOW,
    "finished_at": NOW,
    "duration": timedelta(days=40, microseconds=7),
    "reason": "línea\nzwei\t\\ 🎬 %s %(x)s",
    "fault": {"type": "ValueError", "message": "ü" * 5000, "traceback": "…"},
    "result": [None, {"a": None}, 12345678901234567],
    "progress_value": 0.1,
    "progress_limit": 1e300,
    "progress_message": "halb",
    "progress_sequence": 2**62,
    "progress_at": NOW,
    "progress_samples": [[1767225600.125, 0.5], [1767225601.0, 2.0]],
    "cancel_requested_at": NOW,
    "cancel_requested_by": "ops",
    "cancel_reason": "no longer needed",
    "cancellation_timeout": 0.25,
    "due_at": NOW + timedelta(seconds=3),
}
FULL_ATTEMPT: dict[str, Any] = {
    "instance_id": UUID(int=9),
    "run": 2,
    "retry_attempt": 1,
    "scheduled_for": NOW,
    "holds_slot": False,
    "concurrency_key": "acme",
    "given_up": True,
    "received_at": NOW,
    "started_at": NOW,
    "ended_at": NOW,
    "duration": timedelta(microseconds=1),
    "outcome": "Suspect",
    "reason": "gone",
    "fault": {"type": "Lost", "message": "", "traceback": ""},
    "result": {"ok": False},
    "due_at": NOW,
    "suspect_at": NOW,
}
