"""The outbox in the database: events that were written with what they tell of, until the broker has confirmed them.

Where the database can lock rows they are locked while they are sent, so that several saga hosts send different ones.
The transaction is that of the sender alone, and nobody else needs these rows. SQLite would keep everybody from
writing meanwhile; there two hosts may send the same event, which is allowed.

The reading starts a little below where the last one began, not at the beginning: while someone's long transaction
keeps dead rows from being cleaned up, walking over them would cost more each time. An event that becomes visible
late, because its transaction was long, is found by the reading from the beginning, every ten seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jobsaga.clock import Clock
from jobsaga.models import DeadLetter, EventOutbox, sql
from jobsaga.remote.events import Announcement
from jobsaga.store import transactions
from jobsaga.store.base import Dead, Waiting

#: Of an event, in this order; its key comes before them.
COLUMNS = ("event_id", "at", "kind", "job_type", "body")
FULL_SCAN_EVERY = 10.0
#: So many events may be written while a transaction is open, and those of its jobs still keep their order.
MARGIN = 20_000


def insert(connection: BaseDatabaseWrapper, events: Sequence[Announcement]) -> None:
    """Write them, in one statement."""
    rows = ((each.id, each.at, each.kind, each.job_type, each.body) for each in events)
    sql.insert(connection, EventOutbox, COLUMNS, rows)


class Outbox:
    """The outbox of one alias."""

    def __init__(self, alias: str, clock: Clock) -> None:
        self.alias, self._clock = alias, clock
        self._low, self._full_scan_at = 0, 0.0

    @contextmanager
    def take(self, limit: int) -> Iterator[Waiting]:
        """The first events, locked if that is possible."""
        if not connections[self.alias].features.has_select_for_update:
            yield self._read(limit)
            return
        with transactions.begin(self.alias):
            yield self._read(limit)

    def _read(self, limit: int) -> _InHand:
        connection = connections[self.alias]
        rows = EventOutbox.objects.using(self.alias).filter(id__gt=self._start()).order_by("id")
        if connection.in_atomic_block:
            rows = rows.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        found = list(rows.values_list("id", *COLUMNS)[:limit])
        if found:
            self._low = found[0][0] - MARGIN
        events = {
            key: Announcement(id=event_id, at=at, kind=kind, job_type=job_type, body=body)
            for key, event_id, at, kind, job_type, body in found
        }
        return _InHand(connection, events)

    def _start(self) -> int:
        now = self._clock.monotonic()
        if now < self._full_scan_at:
            return self._low
        self._full_scan_at = now + FULL_SCAN_EVERY
        return 0


class _InHand:
    """Events that were read, and are locked if there is a transaction."""

    def __init__(self, connection: BaseDatabaseWrapper, events: dict[int, Announcement]) -> None:
        self.connection, self.events = connection, events

    def remove(self, keys: Collection[int], dead: Sequence[Dead] = ()) -> None:
        if self.connection.in_atomic_block:
            self._remove(keys, dead)
            return
        with transactions.begin(self.connection.alias):
            self._remove(keys, dead)

    def _remove(self, keys: Collection[int], dead: Sequence[Dead]) -> None:
        sql.delete(self.connection, EventOutbox, keys)
        letters = [DeadLetter(**msgspec.structs.asdict(each)) for each in dead]
        DeadLetter.objects.using(self.connection.alias).bulk_create(letters)
