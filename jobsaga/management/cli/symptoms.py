"""What the rows show to be wrong.

A job that waits or a message that lies there at this moment proves nothing: on a busy site something always
does. So what looks stuck is looked at a second time, and it is a finding only if nothing has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connections

from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.engine.options import EngineOptions
from jobsaga.management.cli.finding import Finding
from jobsaga.store import health
from jobsaga.store.django import database_now

#: How late something may be; the sweep looks every second.
LATE = timedelta(seconds=10)
SECOND_LOOK = 2.0
#: A message was put off so often: for half a minute and more.
PUT_OFF = 20
UNPUBLISHED = timedelta(seconds=30)
LARGE_HISTORY = 1_000_000
WORKER = "Start one: manage.py runjobworker"
SAGA_HOST = "Start one: manage.py runjobworker, or with --sagas-only. If one is running, read its log."


@dataclass(frozen=True)
class Look:
    """Who waits, who has room, and what lies in the queues, at one moment."""

    now: datetime
    next_jobs: frozenset[health.Next]
    crews: dict[str, health.Crew]
    queues: frozenset[health.Queued]

    @classmethod
    def take(cls, alias: str) -> Look:
        """Look now."""
        now = database_now(connections[alias])
        return cls(
            now,
            frozenset(health.next_jobs(alias, now)),
            health.crews(alias, now),
            frozenset(health.queues(alias)),
        )

    def could_run(self) -> frozenset[health.Next]:
        """Jobs that have waited for a while, of types with room."""
        rooms = {name for name, crew in self.crews.items() if crew.room}
        return frozenset(
            each for each in self.next_jobs if each.job_type in rooms and each.queued_at < self.now - LATE
        )

    def not_taken(self) -> frozenset[health.Queued]:
        """Messages that nobody has tried to handle."""
        return frozenset(each for each in self.queues if not each.tries)


def symptoms(alias: str, pause: Callable[[float], None]) -> Iterator[Finding]:
    """All that is wrong by the rows of *alias*."""
    first = last = Look.take(alias)
    if first.could_run() or first.not_taken():
        pause(SECOND_LOOK)
        last = Look.take(alias)
    yield from _deadlines(alias, last.now)
    yield from _stalled(first.could_run() & last.could_run())
    yield from _queues(last, stuck=first.not_taken() & last.not_taken())
    yield from _types(alias, last)
    yield from _events(alias, last.now)
    yield from _left_behind(alias, last)


def _deadlines(alias: str, now: datetime) -> Iterator[Finding]:
    if overdue := health.overdue(alias, now - LATE):
        yield Finding(
            level="error",
            code="overdue",
            what=f"{_many(overdue.count, 'deadline')} passed and nobody looked: no saga host seems to work.",
            mend=SAGA_HOST,
            since=overdue.since,
            count=overdue.count,
        )
    lease_end = now - settings.ZOMBIE_GRACE - LATE
    if lost := health.lost_slots(alias, lease_end):
        yield Finding(
            level="error",
            code="lost-slots",
            what=f"Workers that are gone hold {_many(lost.count, 'slot')}: no saga host seems to work, or the row "
            "of a job is locked by someone.",
            mend=SAGA_HOST,
            since=lost.since,
            count=lost.count,
        )


def _stalled(stuck: frozenset[health.Next]) -> Iterator[Finding]:
    for each in sorted(stuck):
        yield Finding(
            level="error",
            code="stalled",
            subject=each.job_type,
            what=f"Jobs of {each.job_type} wait although a worker has room: no saga host seems to work.",
            mend=SAGA_HOST,
            since=each.queued_at,
        )


def _queues(look: Look, stuck: frozenset[health.Queued]) -> Iterator[Finding]:
    for each in sorted(stuck):
        whose = "the saga hosts" if each.endpoint == "saga" else "a worker"
        yield Finding(
            level="error",
            code="messages",
            subject=each.endpoint,
            what=f"Nobody takes the messages for {whose} ({each.endpoint}).",
            mend=SAGA_HOST
            if each.endpoint == "saga"
            else "See manage.py jobsaga instances, and that worker's log.",
        )
    for each in sorted(look.queues):
        if each.tries >= PUT_OFF:
            yield Finding(
                level="warning",
                code="put-off",
                subject=each.endpoint,
                what=f"A message was put off {each.tries} times: the row of its job is locked by someone.",
                mend="Look for a transaction that stays open on your database and touches the tables of jobsaga.",
                count=each.tries,
            )


def _types(alias: str, look: Look) -> Iterator[Finding]:
    registered = {each.type_name for each in consumers.all()}
    for each in sorted(look.next_jobs):
        is_known = each.job_type in registered
        if each.job_type not in look.crews and each.queued_at < look.now - settings.HEARTBEAT_TIMEOUT:
            yield _no_worker(alias, each, is_known=is_known)
        elif not is_known:
            yield Finding(
                level="warning",
                code="unregistered",
                subject=each.job_type,
                what=f"Jobs of {each.job_type} wait, and no consumer of that name is registered here.",
                mend="That is fine if a worker of another deployment takes them.",
                since=each.queued_at,
            )
    if not look.crews:
        yield Finding(
            level="info",
            code="no-instance",
            what="No worker is running.",
            mend=WORKER,
        )


def _no_worker(alias: str, waiting: health.Next, *, is_known: bool) -> Finding:
    count = health.waiting_count(alias, waiting.job_type, health.MANY)
    what = f"No worker is there for {waiting.job_type}, but its queue has {_many(count, 'job')}"
    if is_known:
        what, mend = f"{what}.", WORKER
    else:
        what = f"{what}; nor is a consumer of that name registered here."
        mend = (
            "If its message class was renamed or moved, give the consumer job_type_name="
            f'"{waiting.job_type}" in its options. If it was removed, cancel the jobs.'
        )
    return Finding(
        level="error",
        code="no-worker",
        subject=waiting.job_type,
        what=what,
        mend=mend,
        since=waiting.queued_at,
        count=count,
    )


def _events(alias: str, now: datetime) -> Iterator[Finding]:
    """Public events that have waited for longer than a broker needs to start anew."""
    waiting = health.unpublished(alias)
    if waiting is None or waiting.since >= now - UNPUBLISHED:
        return
    mend = "See whether RabbitMQ can be used. The log of the saga hosts says why it does not take them."
    if not EngineOptions.from_settings().publish_events:
        mend = 'Nobody sends them: JOBSAGA["PUBLISH_EVENTS"] is off, or TRANSPORT has no broker. Or delete their rows.'
    yield Finding(
        level="warning",
        code="events",
        what=f"{_many(waiting.count, 'event')} could not be published so far.",
        mend=mend,
        since=waiting.since,
        count=waiting.count,
    )


def _left_behind(alias: str, look: Look) -> Iterator[Finding]:
    if dead := health.dead_letters(alias):
        yield Finding(
            level="warning",
            code="dead-letters",
            what=f"{_many(dead.count, 'message')} could not be handled.",
            mend="Read why under Dead letters in the admin. Each is kept until its row is deleted.",
            since=dead.since,
            count=dead.count,
        )
    size = health.history_size(alias)
    if settings.HISTORY_RETENTION is None and size > LARGE_HISTORY:
        yield Finding(
            level="warning",
            code="history",
            what=f"The history has about {size:,} rows, and is kept for ever.",
            mend='If you need it only for a while, set JOBSAGA["HISTORY_RETENTION"] to a timedelta.',
            count=size,
        )


def _many(count: int, thing: str) -> str:
    more = " or more" if count == health.MANY else ""
    return f"{count}{more} {thing}{'s' * (count != 1)}"
