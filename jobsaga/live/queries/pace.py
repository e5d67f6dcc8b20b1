"""How long jobs waited and ran lately, and how many failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil

from jobsaga.live import scope
from jobsaga.sagas.states import JobStates

#: Durations and shares of failures are those of so many jobs that have ended last.
LAST_RUNS = 2000
#: So many of them are drawn.
DRAWN = 20


@dataclass
class Pace:
    """How long runs took and how many failed, of the last few."""

    runs: int = 0
    failed: int = 0
    #: How the last few ended and how long they took, the newest first.
    last: list[tuple[int, timedelta | None]] = field(default_factory=list)
    durations: list[timedelta] = field(default_factory=list)
    waits: list[timedelta] = field(default_factory=list)

    @property
    def median(self) -> timedelta | None:
        """Half of the runs took no longer."""
        return quantile(self.durations, 0.5)

    @property
    def p95(self) -> timedelta | None:
        """19 of 20 runs took no longer."""
        return quantile(self.durations, 0.95)

    @property
    def median_wait(self) -> timedelta | None:
        """Half of the runs waited no longer for a slot."""
        return quantile(self.waits, 0.5)

    @property
    def p95_wait(self) -> timedelta | None:
        """19 of 20 runs waited no longer for a slot."""
        return quantile(self.waits, 0.95)


def paces(alias: str) -> dict[str, Pace]:
    """How the last runs went, by type; and of all together under the name ""."""
    ended = scope.jobs(alias).filter(finished_at__isnull=False).order_by("-finished_at")
    columns = ("job_type", "state", "duration", "queued_at", "started_at")
    found: dict[str, Pace] = {"": Pace()}
    for name, state, duration, queued_at, started_at in ended.values_list(*columns)[:LAST_RUNS]:
        for pace in (found[""], found.setdefault(name, Pace())):
            pace.runs += 1
            if len(pace.last) < DRAWN:
                pace.last.append((state, duration))
            pace.failed += state == JobStates.FAULTED.value
            if duration is not None and state == JobStates.COMPLETED.value:
                pace.durations.append(duration)
            if queued_at is not None and started_at is not None and started_at >= queued_at:
                pace.waits.append(started_at - queued_at)
    return found


def quantile(values: Iterable[timedelta], share: float) -> timedelta | None:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None
