"""Time, as something that is handed in. Whatever waits, expires or measures asks a clock, so that a test owns
the time.

``now`` is the wall clock, for what is stored and shown. ``monotonic`` only runs forward and goes on while the
machine sleeps: a worker that was suspended must find that its lease is over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from jobsaga.validation import Duration, as_duration

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """Anything that tells the time."""

    def now(self) -> datetime:
        """The time of day, with a time zone."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment, never going back."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since the machine started, its sleep included where the system can tell
        (CLOCK_BOOTTIME).
        """
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class ManualClock:
    """Time that stands still until a test moves it."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        if now.tzinfo is None:
            raise ValueError(f"A clock needs a time with a time zone, not {now!r}.")
        self._start = now
        self._passed = timedelta(0)

    def now(self) -> datetime:
        """The time it was started with, and what has passed since."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """Seconds that have passed."""
        return self._passed.total_seconds()

    def advance(self, by: Duration) -> datetime:
        """Let ``by`` (timedelta or seconds) pass; returns the new time."""
        self._passed += as_duration(by, zero=True)
        return self.now()


_injected: list[Clock] = []


@contextmanager
def use_clock(clock: Clock) -> Iterator[Clock]:
    """Within the block, *clock* stands in for the database's time and the machine's, in this process."""
    _injected.append(clock)
    try:
        yield clock
    finally:
        _injected.remove(clock)


def injected_clock() -> Clock | None:
    """The clock of the innermost ``use_clock``; None outside of any."""
    return _injected[-1] if _injected else None
