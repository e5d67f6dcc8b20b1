"""Ids that grow with time, and clocks that can be moved."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from jobsaga.clock import ManualClock, SystemClock
from jobsaga.ids import _Sequence as Sequence
from jobsaga.ids import job_type_id, uuid7


def milliseconds(id: UUID) -> int:
    return id.int >> 80


def test_a_uuid7_says_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    id = uuid7()
    assert id.version == 7
    assert id.variant == RFC_4122
    assert before <= milliseconds(id) <= time.time_ns() // 1_000_000 + 1000


def test_uuid7_only_grow() -> None:
    ids = [uuid7() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert {id.version for id in ids} == {7}


def test_uuid7_grow_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    before = uuid7()
    monkeypatch.setattr("jobsaga.ids.time.time_ns", lambda: now - 3_600 * 10**9)
    after = [uuid7() for _ in range(100)]
    assert [before, *after] == sorted({before, *after})
    assert {milliseconds(id) for id in after} == {milliseconds(before)}


def test_uuid7_grow_when_a_millisecond_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobsaga.ids.time.time_ns", lambda: 10**18)
    sequence = Sequence()
    first = sequence.next()
    sequence._counter = 2**42 - 1
    second = sequence.next()
    assert milliseconds(first) == 10**12
    assert milliseconds(second) == 10**12 + 1


def test_uuid7_are_unique_among_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: uuid7(), range(5_000)))
    assert len(set(ids)) == 5_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_counts_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even in one and the same millisecond, child and parent do not count on from the same number."""
    monkeypatch.setattr("jobsaga.ids.time.time_ns", lambda: 10**18)
    uuid7()
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(there, uuid7().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    theirs, ours = UUID(bytes=os.read(here, 16)), uuid7()
    os.close(here)
    os.close(there)
    assert (theirs.int >> 32) != (ours.int >> 32)


def test_a_job_type_has_the_same_id_everywhere() -> None:
    assert job_type_id("videos.ConvertVideo") == UUID("552a2b09-03f1-53f4-b1bf-c48a9345f922")
    assert job_type_id("videos.ConvertVideo") != job_type_id("videos.convertvideo")


def test_the_system_clock_has_a_time_zone_and_only_runs_forward() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    first = clock.monotonic()
    assert clock.monotonic() >= first


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no CLOCK_BOOTTIME")
def test_the_system_clock_counts_the_sleep_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobsaga.clock.time.clock_gettime", {time.CLOCK_BOOTTIME: 123.5}.__getitem__)
    assert SystemClock().monotonic() == 123.5


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    assert clock.now() == clock.now() == datetime(2026, 3, 1, tzinfo=UTC)
    assert clock.monotonic() == 0
    assert clock.advance(1.5) == datetime(2026, 3, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    clock.advance(timedelta(hours=1))
    assert clock.monotonic() == 3601.5


def test_a_manual_clock_refuses_what_no_clock_does() -> None:
    with pytest.raises(ValueError, match="time zone"):
        ManualClock(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="must not be negative"):
        ManualClock().advance(-1)
