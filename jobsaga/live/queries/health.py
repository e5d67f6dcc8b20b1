"""Whether the site is well: deadlines, slots, queues, dead letters, history, versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import connections
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jobsaga.conf import settings
from jobsaga.live.explain import LATE, START_WORKER
from jobsaga.live.wording import ago, number
from jobsaga.models import JobHistory, JobInstance
from jobsaga.models.workers import InstanceState
from jobsaga.store import health

#: What is looked at.
SAGAS, SLOTS, WORKERS, VERSIONS, LETTERS, CLOCKS, HISTORY, DATABASE, TRANSPORT = (
    gettext_noop("Saga hosts"), gettext_noop("Slots"), gettext_noop("Workers"),
    gettext_noop("Versions"), gettext_noop("Dead letters"), gettext_noop("Clocks"),
    gettext_noop("History"), gettext_noop("Database"), gettext_noop("Transport"),
)  # fmt: skip


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
        Check(SAGAS, "bad", _("%(count)s deadlines passed and nobody looked, the first %(when)s")
              % {"count": overdue.count, "when": ago(overdue.since, now)}, f"{START_WORKER}, or with --sagas-only")
        if overdue
        else Check(SAGAS, "good", _("No deadline is overdue"))
    )  # fmt: skip
    lost = health.lost_slots(alias, now - settings.ZOMBIE_GRACE - LATE)
    yield (
        Check(
            SLOTS,
            "bad",
            _("Workers that are gone hold %(count)s slots") % {"count": lost.count},
            START_WORKER,
        )
        if lost
        else Check(SLOTS, "good", _("Every slot is held by a worker that lives"))
    )


def _workers(alias: str, now: datetime) -> Iterator[Check]:
    live = JobInstance.objects.using(alias).filter(state=InstanceState.RUNNING, lease_expires_at__gt=now)
    versions: dict[str, int] = {}
    for version in live.values_list("version", flat=True):
        versions[version] = versions.get(version, 0) + 1
    count = sum(versions.values())
    if not count:
        yield Check(WORKERS, "warn", _("No worker is running"), START_WORKER)
        return
    yield Check(
        WORKERS, "good", ngettext("%(count)s live worker", "%(count)s live workers", count) % {"count": count}
    )
    if len(versions) > 1:
        said = ", ".join(f"{name or '?'}: {n}" for name, n in sorted(versions.items()))
        yield Check(VERSIONS, "warn", _("The workers differ: %(versions)s") % {"versions": said})


def _letters(alias: str, now: datetime) -> Iterator[Check]:
    dead = health.dead_letters(alias)
    yield (
        Check(LETTERS, "warn", _("%(count)s messages could not be handled, the first %(when)s")
              % {"count": min(dead.count, health.MANY), "when": ago(dead.since, now)})
        if dead
        else Check(LETTERS, "good", _("Every message could be handled"))
    )  # fmt: skip


def _clock(now: datetime, local: datetime) -> Check:
    skew = abs((local - now).total_seconds())
    said = _("This machine and the database differ by %(seconds)s s") % {"seconds": number(round(skew, 1))}
    return Check(CLOCKS, "warn" if skew > 2 else "good", said)


def _rows(alias: str, now: datetime) -> Iterator[Check]:
    size = health.history_size(alias)
    oldest = JobHistory.objects.using(alias).order_by("id").values_list("at", flat=True).first()
    said = [_("About %(count)s lines") % {"count": number(size)}]
    if oldest:
        said.append(_("the oldest %(when)s") % {"when": ago(oldest, now)})
    retention = settings.HISTORY_RETENTION
    said.append(
        _("kept for ever") if retention is None else _("kept for %(days)s days") % {"days": retention.days}
    )
    yield Check(HISTORY, "good", ", ".join(said))
    kind = connections[alias].display_name
    yield Check(DATABASE, "good", _("%(kind)s, alias %(alias)s") % {"kind": kind, "alias": alias})
    yield Check(TRANSPORT, "good", settings.TRANSPORT.partition("://")[0])
