"""A true period: every 90 minutes, by elapsed time, whatever the clock on the wall does.

Cron can only repeat what divides its field: ``*/7`` in the minutes runs at 56 and again at 0. What does not
divide is written ``@every 420s``, and counted from the schedule's start, or from the Unix epoch if it has none,
so that registering the same schedule at each deployment moves nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobsaga.exceptions import InvalidSchedule

_TEXT = re.compile(r"@EVERY\s+(\d{1,30})S", re.ASCII)
_LONGEST = 100 * 366 * 86400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Period:
    """Every ``length``, which is a whole number of seconds."""

    length: timedelta

    @property
    def text(self) -> str:
        """How it is stored."""
        return f"@every {self.length // timedelta(seconds=1)}s"

    def next_after(self, after: datetime, anchor: datetime | None) -> datetime:
        """The first occurrence after ``after``, counted from ``anchor``."""
        first = EPOCH if anchor is None else anchor
        return first + self.length * ((after - first) // self.length + 1)


def read_period(text: str) -> Period:
    """``@every 5400s``. Raises InvalidSchedule."""
    match = _TEXT.fullmatch(text.upper().strip())
    if match is None:
        raise InvalidSchedule(
            f"The schedule {text!r} cannot be used: write a period in seconds, as in '@every 5400s'."
        )
    seconds = int(match[1])
    if not 0 < seconds <= _LONGEST:
        raise InvalidSchedule(
            f"The schedule {text!r} cannot be used: its period must be 1 second to 100 years."
        )
    return Period(timedelta(seconds=seconds))
