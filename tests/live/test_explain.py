"""What is said of a job that waits, runs or is stuck; and of its pace. Pure: the time is a value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobsaga.live.explain import Around, explain
from jobsaga.live.pace import left, pace, speed
from jobsaga.live.wording import ago, gist, percent, span
from jobsaga.models import JobSaga
from jobsaga.sagas.states import JobStates

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def job(state: JobStates, **fields: Any) -> JobSaga:
    return JobSaga(job_type="films.Cut", state=state.value, **fields)


def codes(found: JobSaga, **around: Any) -> list[tuple[str, str]]:
    given = {"now": NOW, "workers": 1, "capacity": 1, "room": 1, **around}
    return [(reason.code, reason.severity) for reason in explain(found, Around(**given))]


def waiting(**fields: Any) -> JobSaga:
    return job(JobStates.WAITING_FOR_SLOT, **{"queued_at": NOW - timedelta(seconds=2), **fields})


@pytest.mark.parametrize(
    ("found", "around", "expected"),
    [
        (waiting(), {}, [("about-to-start", "ok")]),
        (waiting(queued_at=NOW - HOUR), {}, [("not-given", "error")]),
        (waiting(), {"workers": 0}, [("no-worker", "error")]),
        (waiting(), {"room": 0}, [("slots", "info")]),
        (waiting(), {"room": 0, "global_limit": 2, "held": 2}, [("global-limit", "info")]),
        (waiting(), {"room": 0, "paused_at": NOW}, [("paused", "warning")]),
        (waiting(), {"room": 0, "ahead": 3}, [("slots", "info"), ("in-line", "info")]),
        (job(JobStates.WAITING_TO_START, due_at=NOW + HOUR), {}, [("scheduled", "info")]),
        (job(JobStates.WAITING_TO_START, due_at=NOW - HOUR), {}, [("no-saga-host", "error")]),
        (job(JobStates.WAITING_TO_RETRY, due_at=NOW + HOUR), {}, [("retry", "warning")]),
        (job(JobStates.WAITING_TO_RETRY, due_at=NOW - HOUR), {}, [("no-saga-host", "error")]),
        (job(JobStates.STARTED), {"lease_expires_at": NOW + timedelta(seconds=14)}, []),
        (
            job(JobStates.STARTED),
            {"lease_expires_at": NOW + timedelta(seconds=4)},
            [("worker-silent", "warning")],
        ),
        (job(JobStates.STARTED), {"lease_expires_at": NOW - HOUR}, [("worker-lost", "error")]),
        (job(JobStates.CANCELLATION_PENDING), {}, [("canceling", "warning")]),
        (job(JobStates.FAULTED), {}, [("faulted", "error")]),
        (job(JobStates.COMPLETED), {}, []),
    ],
)
def test_the_rules(found: JobSaga, around: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert codes(found, **around) == expected


def samples(*values: float, every: float = 10.0, silent: float = 0.0) -> dict[str, Any]:
    """Progress in equal steps of time, the last of them so many seconds ago."""
    last = NOW.timestamp() - silent
    times = [last - every * n for n in reversed(range(len(values)))]
    return {
        "progress_samples": [[at, value] for at, value in zip(times, values, strict=True)],
        "progress_sequence": len(values), "progress_value": values[-1], "progress_limit": 100.0,
        "progress_at": NOW - timedelta(seconds=silent),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("progress", "stalled"),
    [
        (samples(1, 2, 3, silent=59), False),
        (samples(1, 2, 3, silent=61), True),
        (samples(1, 2, 3, every=60, silent=299), False),
        (samples(1, 2, 3, every=60, silent=301), True),
        (samples(1, 2, silent=5000), False),
    ],
)
def test_silence_is_measured_by_what_is_usual(progress: dict[str, Any], stalled: bool) -> None:
    found = job(JobStates.STARTED, **progress)
    lease = NOW + timedelta(seconds=14)
    assert codes(found, lease_expires_at=lease) == ([("stalled", "warning")] if stalled else [])


def test_the_pace_of_a_job() -> None:
    running = job(JobStates.STARTED, **samples(10, 20, 30, 40))
    known = pace(running, NOW)
    assert known is not None
    assert known.rate == pytest.approx(1.0)
    assert known.basis == timedelta(seconds=30)
    assert left(running, NOW) == "about 1 min left"


@pytest.mark.parametrize(
    "found",
    [
        job(JobStates.STARTED),
        job(JobStates.STARTED, **samples(10, 20)),
        job(JobStates.STARTED, **samples(10, 20, 30, every=1)),
        job(JobStates.COMPLETED, **samples(10, 20, 30)),
        job(JobStates.STARTED, **{**samples(10, 20, 30), "progress_sequence": 0}),
    ],
)
def test_nothing_is_said_of_a_pace_that_is_not_known(found: JobSaga) -> None:
    assert pace(found, NOW) is None
    assert left(found, NOW) == ""


def test_an_end_without_a_limit_is_not_known() -> None:
    assert left(job(JobStates.STARTED, **{**samples(1, 2, 3), "progress_limit": None}), NOW) == ""


def test_words() -> None:
    assert [speed(each) for each in (9.44, 0.5, 0.01, 0.0001)] == [
        "9.40 per s",
        "30 per min",
        "36 per h",
        "8.6 per day",
    ]
    assert ago(NOW - 3 * HOUR, NOW) == "3 h ago"
    assert ago(NOW + timedelta(seconds=90), NOW) == "in 1 min"
    assert [span(timedelta(seconds=each)) for each in (-5, 0.02, 3.14, 42, 200, 7500, 360000)] == [
        "0 ms", "20 ms", "3.1 s", "42 s", "3 min 20 s", "2 h 5 min", "4 d 4 h",
    ]  # fmt: skip
    assert [percent(each) for each in (0.0, 0.999, 1.0)] == ["0 %", "99 %", "100 %"]
    assert (
        gist({"path": "/a/very/long/path/to/some/film.mkv", "height": 720, "x": {}})
        == "film.mkv · height 720"
    )
    assert gist(["no", "object"]) == ""
