"""Whether the site is well: deadlines, slots, queues, dead letters, history, versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import connections

from jobsaga.conf import settings
from jobsaga.live.explain import LATE, START_WORKER
from jobsaga.live.wording import ago, number
from jobsaga.models import JobHistory, JobInstance
from jobsaga.models.workers import InstanceState
from jobsaga.store import health


@dataclass(frozen=True)
class Check:
    """Something that was looked at."""

    name: str
    state: Literal["good", "warn", "bad", "off"]
    said: str
    fix: str = ""


def read(alias: str, now: datetime, local: datetime) -> list[Check]:
    """All checks. *local* is this machine's time, *now* the database's."""
    return [
        *_sagas(alias, now),
        *_workers(alias, now),
        *_letters(alias, now),
        _clock(now, local),
        *_rows(alias, now),
    ]


def _sagas(alias: str, now: datetime) -> Iterator[Check]:
    overdue = health.overdue(alias, now - LATE)
    yield (
        Check("Saga hosts", "bad", f"{overdue.count} deadlines passed and nobody looked, the first "
              f"{ago(overdue.since, now)}", f"{START_WORKER}, or with --sagas-only")
        if overdue
        else Check("Saga hosts", "good", "No deadline is overdue")
    )  # fmt: skip
    lost = health.lost_slots(alias, now - settings.ZOMBIE_GRACE - LATE)
    yield (
        Check("Slots", "bad", f"Workers that are gone hold {lost.count} slots", START_WORKER)
        if lost
        else Check("Slots", "good", "Every slot is held by a worker that lives")
    )


def _workers(alias: str, now: datetime) -> Iterator[Check]:
    live = JobInstance.objects.using(alias).filter(state=InstanceState.RUNNING, lease_expires_at__gt=now)
    versions: dict[str, int] = {}
    for version in live.values_list("version", flat=True):
        versions[version] = versions.get(version, 0) + 1
    count = sum(versions.values())
    if not count:
        yield Check("Workers", "warn", "No worker is running", START_WORKER)
        return
    yield Check("Workers", "good", f"{count} live worker{'s' if count > 1 else ''}")
    if len(versions) > 1:
        said = ", ".join(f"{name or 'unknown'} on {n}" for name, n in sorted(versions.items()))
        yield Check("Versions", "warn", f"The workers differ: {said}")


def _letters(alias: str, now: datetime) -> Iterator[Check]:
    dead = health.dead_letters(alias)
    yield (
        Check("Dead letters", "warn", f"{health.MANY if dead.count >= health.MANY else dead.count} messages could "
              f"not be handled, the first {ago(dead.since, now)}")
        if dead
        else Check("Dead letters", "good", "Every message could be handled")
    )  # fmt: skip


def _clock(now: datetime, local: datetime) -> Check:
    skew = abs((local - now).total_seconds())
    said = f"This machine and the database differ by {skew:.1f} s"
    return Check("Clocks", "warn" if skew > 2 else "good", said)


def _rows(alias: str, now: datetime) -> Iterator[Check]:
    size = health.history_size(alias)
    oldest = JobHistory.objects.using(alias).order_by("id").values_list("at", flat=True).first()
    since = f", the oldest {ago(oldest, now)}" if oldest else ""
    kept = "for ever" if settings.HISTORY_RETENTION is None else f"for {settings.HISTORY_RETENTION.days} days"
    yield Check("History", "good", f"About {number(size)} lines{since}; kept {kept}")
    kind = connections[alias].display_name
    yield Check("Database", "good", f"{kind}, alias {alias!r}")
    yield Check("Transport", "good", settings.TRANSPORT.partition("://")[0])
