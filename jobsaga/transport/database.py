"""``database://``: the messages are rows of the site's own database, so nothing has to be installed.

Rows are taken with SKIP LOCKED and deleted in the transaction that handles them. What a row waits for is
in ``wakeup``: a NOTIFY on PostgreSQL, the file's version on SQLite, short polling elsewhere.

The reading starts a little below the lowest id of the last batch, not at the beginning: while someone's
long transaction keeps dead rows from being cleaned up, walking over them would cost more each time. Ids
can become visible out of order, so every ten seconds one reading starts at the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.db.models import DateTimeField, Func, Q, QuerySet

from jobsaga.clock import Clock, SystemClock, injected_clock
from jobsaga.conf import settings
from jobsaga.messages import encode
from jobsaga.models import JobInstance, TransportMessage, sql
from jobsaga.models.workers import InstanceState
from jobsaga.remote.events import Announcement
from jobsaga.transport.base import INSTANCE, NO_BROKER, SAGA, Delivery, Listener, Outgoing, Receipt, backoff
from jobsaga.transport.wakeup import listener, notify

FULL_SCAN_EVERY = 10.0
MARGIN = 1000


class DatabaseTransport:
    """The queue of one alias. Takes part in whatever transaction is open on it."""

    transactional = True

    def __init__(self, alias: str | None = None, clock: Clock | None = None) -> None:
        self.alias = alias or settings.DATABASE
        self._clock = clock
        self._system = SystemClock()
        self._low: dict[str, int] = {}
        self._full_scan_at: dict[str, float] = {}

    def send(self, messages: Sequence[Outgoing]) -> None:
        if not messages:
            return
        rows = [(endpoint, encode(message), 0) for endpoint, message in messages]
        with transaction.atomic(using=self.alias, savepoint=False):
            sql.insert(connections[self.alias], TransportMessage, ("endpoint", "body", "tries"), rows)
            self._notify_on_commit({endpoint for endpoint, _ in messages})

    def receive(self, endpoint: str, limit: int) -> list[Delivery]:
        visible = Q(visible_at=None) | Q(visible_at__lte=self._now())
        rows = self._locking().filter(visible, endpoint=endpoint, id__gt=self._start(endpoint)).order_by("id")
        found = list(rows.values_list("id", "body", "tries")[:limit])
        if found:
            self._low[endpoint] = found[0][0] - MARGIN
        return [Delivery(endpoint, body, key, tries) for key, body, tries in found]

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        keys = [delivery.token for delivery in deliveries]
        sql.delete(connections[self.alias], TransportMessage, keys)

    def defer(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        connection, clock = connections[self.alias], self._clock or injected_clock()
        now = clock.now() if clock else sql.now(connection)
        rows = [
            (each.token, now + timedelta(seconds=backoff(each.tries)), each.tries + 1) for each in deliveries
        ]
        sql.update(connection, TransportMessage, ("visible_at", "tries"), rows)
        self._look_everywhere_again(deliveries)

    def still_before(
        self, deliveries: Sequence[Delivery], received: Sequence[Delivery]
    ) -> list[tuple[Delivery, str]]:
        rows = TransportMessage.objects.using(self.alias).exclude(id__in=[each.token for each in received])
        rows = rows.filter(endpoint=deliveries[-1].endpoint, id__lt=max(each.token for each in deliveries))
        early = list(rows.values_list("id", "body"))
        return [(late, body) for key, body in early for late in deliveries if key < late.token]

    def take(self, endpoint: str, limit: int) -> list[Delivery]:
        with transaction.atomic(using=self.alias, savepoint=False):
            deliveries = self.receive(endpoint, limit)
            self.ack(deliveries)
        return deliveries

    def hint(self) -> None:
        self._notify_on_commit({SAGA})

    def publish_events(self, events: Sequence[Announcement]) -> Receipt:
        return NO_BROKER

    def drop(self, endpoint: str) -> None:
        with transaction.atomic(using=self.alias, savepoint=False):
            self._remove(self._locking().filter(endpoint=endpoint))

    def tidy(self, now: datetime, limit: int) -> None:
        # The bound above is for the index: not every collation lets a prefix be looked for in it.
        endpoints = TransportMessage.objects.using(self.alias).filter(
            endpoint__lt=SAGA, endpoint__startswith=INSTANCE
        )
        waiting = {
            UUID(each.removeprefix(INSTANCE)): each
            for each in endpoints.values_list("endpoint", flat=True).distinct()
        }
        here = JobInstance.objects.using(self.alias).filter(id__in=waiting)
        here = here.exclude(state=InstanceState.STOPPED, lease_expires_at__lte=now)
        for gone in waiting.keys() - set(here.values_list("id", flat=True)):
            self._remove(self._locking().filter(endpoint=waiting[gone])[:limit])

    def listen(self, endpoint: str) -> Listener:
        return listener(self.alias, endpoint)

    def is_open(self, endpoint: str) -> bool:
        return True

    def reaches(self, instance_id: UUID) -> bool:
        return True

    def is_current(self) -> bool:
        return True

    def is_connected(self) -> bool:
        return True

    def close(self) -> None:
        """There is nothing of its own: the connections are Django's."""

    def _locking(self) -> QuerySet[TransportMessage]:
        """Rows that nobody has in hand: a worker may be frozen while it takes its own."""
        features = connections[self.alias].features
        return TransportMessage.objects.using(self.alias).select_for_update(
            skip_locked=features.has_select_for_update_skip_locked
        )

    def _remove(self, rows: QuerySet[TransportMessage]) -> None:
        sql.delete(connections[self.alias], TransportMessage, list(rows.values_list("id", flat=True)))

    def _now(self) -> Any:
        """The database's time, as an expression; a test's clock's, or on SQLite the machine's, as it is."""
        clock = self._clock or injected_clock()
        if clock is None and connections[self.alias].vendor != "sqlite":
            return DatabaseNow()
        return (clock or self._system).now()

    def _monotonic(self) -> float:
        return (self._clock or injected_clock() or self._system).monotonic()

    def _look_everywhere_again(self, deliveries: Sequence[Delivery]) -> None:
        """What was deferred may be far below the last batch by the time it comes again."""
        for each in deliveries:
            then = self._monotonic() + backoff(each.tries)
            self._full_scan_at[each.endpoint] = min(then, self._full_scan_at.get(each.endpoint, 0.0))

    def _start(self, endpoint: str) -> int:
        passed = self._monotonic()
        if passed >= self._full_scan_at.get(endpoint, 0):
            self._full_scan_at[endpoint] = passed + FULL_SCAN_EVERY
            return 0
        return self._low.get(endpoint, 0)

    def _notify_on_commit(self, endpoints: set[str]) -> None:
        """Once per transaction and endpoint, after the commit; a failure there fails nothing else."""
        connection = connections[self.alias]
        if connection.vendor != "postgresql":
            return
        for endpoint in endpoints:
            waiting = (entry[1] for entry in connection.run_on_commit)  # it is among the first of them
            if not any(isinstance(each, _Notify) and each.endpoint == endpoint for each in waiting):
                transaction.on_commit(_Notify(self.alias, endpoint), using=self.alias, robust=True)


class DatabaseNow(Func):
    """The database's clock, in UTC: that of a saga host may be wrong."""

    template = "STATEMENT_TIMESTAMP()"
    output_field = DateTimeField()

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """As MariaDB and MySQL spell it."""
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


class _Notify:
    """What runs after the commit."""

    def __init__(self, alias: str, endpoint: str) -> None:
        self.alias, self.endpoint = alias, endpoint

    def __call__(self) -> None:
        notify(connections[self.alias], self.endpoint)
