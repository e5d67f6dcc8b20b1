"""Follow the history as it grows, on any database, and lose no row.

Numbers are given out when a row is inserted, and a row is seen when its transaction commits: number 7 may be seen
before number 6. So a number that was jumped over is remembered, and asked for again until it is there or until
``PATIENCE`` is over; one that was rolled back never comes.

``Tail`` is one reader's place in the history. It remembers numbers only; whoever asks it runs the statements.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db.models import Max

from jobsaga.models import JobHistory

#: How long a number that was jumped over is asked for.
PATIENCE = timedelta(seconds=30)
#: So many numbers before the newest may be missing when one begins to follow.
LOOK_BACK = 200
#: Rows that are read at once, and missing numbers that are remembered.
MOST = 500


@dataclass
class Tail:
    """A place in the history: the highest number that was seen, and the lower ones that were not."""

    alias: str
    cursor: int = 0
    #: Missing numbers, and when they were missed (seconds of a clock that only runs forward).
    missing: dict[int, float] = field(default_factory=dict)
    #: Until then (of that clock) a page may be shown that was made before the last late row came.
    late_until: float = 0.0

    def begin(self, now: float) -> None:
        """Start at the newest row. What is missing shortly before it may still come."""
        self.cursor = newest(self.alias)
        first = max(0, self.cursor - LOOK_BACK)
        there = JobHistory.objects.using(self.alias).filter(id__gt=first, id__lte=self.cursor)
        self._miss(set(range(first + 1, self.cursor + 1)).difference(there.values_list("id", flat=True)), now)

    def read(self, now: float) -> set[UUID]:
        """The jobs of the rows that came since the last time. Two statements: each of them by the key alone."""
        rows = JobHistory.objects.using(self.alias).values_list("id", "job_id")
        late = list(rows.filter(id__in=list(self.missing))) if self.missing else []
        new = list(rows.filter(id__gt=self.cursor).order_by("id")[:MOST])
        self._forget(now)
        for number, _ in late:
            self.missing.pop(number, None)
            self.late_until = now + PATIENCE.total_seconds()
        if new:
            numbers = {number for number, _ in new}
            last = max(numbers)
            self._miss(range(max(self.cursor + 1, last - MOST * 2), last), now, numbers)
            self.cursor = last
        return {job_id for _, job_id in (*late, *new)}

    def _miss(self, numbers: Iterable[int], now: float, seen: Collection[int] = ()) -> None:
        """Remember these. Of too many the highest stay: what is far back is the least likely to come."""
        self.missing |= {number: now for number in numbers if number not in seen}
        for number in sorted(self.missing)[:-MOST]:
            del self.missing[number]

    def _forget(self, now: float) -> None:
        limit = now - PATIENCE.total_seconds()
        self.missing = {number: since for number, since in self.missing.items() if since > limit}


def newest(alias: str) -> int:
    """The highest number in the history; 0 if it is empty."""
    return JobHistory.objects.using(alias).aggregate(last=Max("id"))["last"] or 0
