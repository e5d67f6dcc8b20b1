"""Public events as they are sent: their envelopes, and what AMQP says beside them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsaga.engine.announcing import announcements
from jobsaga.engine.events import SIGNALS
from jobsaga.ids import uuid7
from jobsaga.messages import Fault, JobEvent
from jobsaga.remote.events import LONGEST_KEY, PUBLIC_EVENTS, Announcement

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
JOB, ATTEMPT, INSTANCE = UUID(int=1), UUID(int=2), UUID(int=3)


def announced(name: str = "JobSubmitted", **fields: Any) -> Announcement:
    event = JobEvent(
        **{"name": name, "job_id": JOB, "job_type": "videos.Convert", "timestamp": NOON, **fields}
    )
    (found,) = announcements([event], uuid7)
    return found


def body(event: Announcement) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.body)["body"]
    return found


def test_there_is_one_for_each_signal() -> None:
    assert set(PUBLIC_EVENTS) == set(SIGNALS)


def test_the_envelope() -> None:
    event = announced(timestamp=NOON.astimezone(timezone(timedelta(hours=2))))
    assert json.loads(event.body) == {
        "version": 1,
        "type": "JobSubmitted",
        "id": str(event.id),
        "time": "2026-01-01T12:00:00Z",
        "body": {"job_id": str(JOB), "job_type": "videos.Convert", "timestamp": "2026-01-01T12:00:00Z"},
    }
    assert (event.kind, event.at, event.routing_key) == ("JobSubmitted", NOON, "JobSubmitted.videos.Convert")


def test_each_has_an_id_of_its_own() -> None:
    assert announced().id != announced().id


WHERE: dict[str, Any] = {"attempt_id": ATTEMPT, "instance_id": INSTANCE, "retry_attempt": 1, "run": 2}
WHERE_TOLD = {"attempt_id": str(ATTEMPT), "instance_id": str(INSTANCE), "retry_attempt": 1, "run": 2}
MORE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "JobSubmitted": ({"run": 2}, {"run": 2}),
    "JobStarted": (WHERE, WHERE_TOLD),
    "JobCompleted": (
        {**WHERE, "duration": timedelta(minutes=1, milliseconds=5), "result": {"frames": [1]}},
        {**WHERE_TOLD, "duration": 60.005, "result": {"frames": [1]}},
    ),
    "JobFaulted": (
        {
            **WHERE, "duration": timedelta(seconds=2), "reason": "OSError: full",
            "fault": Fault(type="OSError", message="full", traceback="line 1"),
        },
        {
            **WHERE_TOLD, "duration": 2.0, "reason": "OSError: full", "traceback": "line 1",
            "fault": {"type": "OSError", "message": "full"},
        },
    ),
    "JobCanceled": ({**WHERE, "reason": "enough"}, {**WHERE_TOLD, "reason": "enough"}),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC_EVENTS)
def test_what_each_tells(name: str) -> None:
    fields, told = MORE[name]
    shared = {"message": {"path": "ü"}, "properties": {"tenant": "acme"}}
    event = announced(name, **fields, **shared)
    assert body(event) == {
        "job_id": str(JOB), "job_type": "videos.Convert", "timestamp": "2026-01-01T12:00:00Z", **shared, **told
    }  # fmt: skip
    msgspec.convert(body(event), PUBLIC_EVENTS[name])


@pytest.mark.parametrize("result", ["half \ud83c", {"\ud83c": 1}, 2**70, "nul \0", float("nan")])
def test_a_result_that_only_some_databases_store_does_not_stop_its_job(result: Any) -> None:
    """Nor does it become something that PostgreSQL would refuse as text."""
    event = announced("JobCompleted", result=result)
    assert "\0" not in event.body
    event.body.encode()
    assert body(event).get("result", None) in ([None] if result != result else [result])


@given(st.text(st.characters(), max_size=300))
def test_any_job_type_makes_a_routing_key(job_type: str) -> None:
    key = announced(job_type=job_type).routing_key
    assert len(key.encode()) <= LONGEST_KEY
    assert key.startswith("JobSubmitted.")


def test_a_routing_key_is_cut_between_two_characters() -> None:
    key = announced(job_type="a" + "🎬" * 100).routing_key
    assert key == "JobSubmitted.a" + "🎬" * 60
    assert LONGEST_KEY - 4 < len(key.encode()) <= LONGEST_KEY
