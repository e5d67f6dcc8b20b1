"""Iterations that go on where they were: ``context.iterate``.

    for order in context.iterate(Order.objects.filter(paid=True), chunk=500):
        Invoice.objects.create(order=order)

The items come in chunks, and each chunk is one transaction of JOBSAGA's database: what the loop's body writes
there, and how far the iteration is, are committed together or not at all. Whatever is killed when, the next
attempt goes on behind the last chunk that was committed, so each item takes effect exactly once.

A queryset is walked by primary key, a sequence by index. When the job has to end, the chunk ends with the item in
hand, is committed, and JobCancellation is raised. A loop that is left in any other way than by its end (an
exception, ``break``) rolls the chunk in hand back: a generator cannot tell one from the other. ``stop()`` ends the
loop after the item in hand, and keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from django.db import connections
from django.db.models import CompositePrimaryKey, Model, QuerySet

from jobsaga.conf import settings
from jobsaga.exceptions import IterationError
from jobsaga.payload import encode_value
from jobsaga.store import checkpoint
from jobsaga.store.transactions import begin
from jobsaga.validation import Duration, as_count, as_duration
from jobsaga.worker.saved_state import SavedState
from jobsaga.worker.token import CancellationToken

T = TypeVar("T")


class Source(Protocol[T]):
    """Something that can be walked from a position on. ``name`` says what it is."""

    name: str

    def after(self, position: Any, limit: int) -> Iterable[T]:
        """The next items behind *position* (None: the first), at most *limit*."""

    def position_of(self, item: T, position: Any) -> Any:
        """The position behind this item, as JSON; *position* was the one before it."""

    def count_after(self, position: Any) -> int:
        """How many there are behind it."""


class Rows:
    """The objects of a queryset in the order of their primary keys. Raises IterationError for one that has none."""

    def __init__(self, rows: QuerySet[Any, Any]) -> None:
        self._rows, self._key = rows, rows.model._meta.pk
        self.name = rows.model._meta.label
        problem = _problem(rows)
        if problem:
            raise IterationError(
                f"iterate() cannot walk this queryset of {self.name} by primary key: {problem}."
            )

    def after(self, position: Any, limit: int) -> Iterable[Any]:
        """One query."""
        return list(self._behind(position).order_by("pk")[:limit])

    def position_of(self, item: Model, position: Any) -> Any:
        """Its primary key."""
        return encode_value(item.pk, "primary key")

    def count_after(self, position: Any) -> int:
        """One query."""
        return self._behind(position).count()

    def _behind(self, position: Any) -> QuerySet[Any, Any]:
        return self._rows if position is None else self._rows.filter(pk__gt=self._key.to_python(position))


class Items:
    """The items of a sequence. It must be the same one in each attempt."""

    name = "a sequence"

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items

    def after(self, position: int | None, limit: int) -> Iterable[Any]:
        """A slice."""
        begin = position or 0
        return self._items[begin : begin + limit]

    def position_of(self, item: object, position: int | None) -> int:
        """The index of the next one."""
        return (position or 0) + 1

    def count_after(self, position: int | None) -> int:
        """What is left."""
        return max(0, len(self._items) - (position or 0))


class Iteration(Generic[T]):
    """The items that are still to be done. Made by ``context.iterate``.

    ``committed`` is called after each chunk with how many items are done, and how many there are.
    """

    def __init__(
        self,
        source: Source[T],
        name: str,
        chunk: int,
        seconds: Duration,
        *,
        saved: SavedState,
        token: CancellationToken,
        monotonic: Callable[[], float],
        committed: Callable[[int, int], None] | None,
        left: set[str],
    ) -> None:
        self._source, self._name, self._committed, self._left = source, name, committed, left
        self._saved, self._token, self._monotonic = saved, token, monotonic
        try:
            self._chunk, self._seconds = as_count(chunk), as_duration(seconds).total_seconds()
        except ValueError as problem:
            raise IterationError(f"iterate(): chunk and seconds {problem}.") from None
        self._position: Any = None
        self._done = self._total = 0
        self._stopping = False

    def stop(self) -> None:
        """End the loop after the item in hand: the chunk ends with it, and is kept."""
        self._stopping = True

    # The generator belongs to the loop alone: when that is left it ends at once, and its transaction with it.
    def __iter__(self) -> Iterator[T]:
        connection = connections[settings.DATABASE]
        if checkpoint.in_own_block(connection):
            raise IterationError(
                "iterate() makes a transaction of each chunk, and cannot do that within transaction.atomic() or "
                "another iterate(). Begin its loop outside."
            )
        checkpoint.reconnect_if_broken(connection)
        self._find()
        more = True
        while more:
            self._token.raise_if_cancellation_requested()
            checkpoint.reconnect_if_broken(connection)
            with self._noticed_when_left(), begin(settings.DATABASE):
                more = yield from self._one_chunk()
            if self._committed:
                self._committed(self._done, max(self._total, self._done))

    def _one_chunk(self) -> Generator[T, None, bool]:
        """The items of one transaction; whether there may be more behind them."""
        count, ends_at = 0, self._monotonic() + self._seconds
        for item in self._source.after(self._position, self._chunk):
            # Before the body has it: it may delete the item, or give it another key.
            behind = self._source.position_of(item, self._position)
            yield item
            count, self._position = count + 1, behind
            if self._stopping or self._token.is_cancellation_requested or self._monotonic() >= ends_at:
                break
        else:
            self._save(count)
            return count == self._chunk
        self._save(count)
        return not self._stopping

    @contextmanager
    def _noticed_when_left(self) -> Iterator[None]:
        try:
            yield
        except GeneratorExit:
            self._left.add(self._name)
            raise
        self._left.discard(self._name)

    def _find(self) -> None:
        """Where it was left."""
        found = self._saved.positions().get(self._name)
        if found and found["source"] != self._source.name:
            raise IterationError(
                f"Iteration {self._name!r} of this job went over {found['source']}, and goes over "
                f"{self._source.name} now. Give each iterate() of a job a name of its own: iterate(..., name=...)."
            )
        self._position, self._done = (found["at"], found["done"]) if found else (None, 0)
        if self._committed:
            self._total = self._done + self._source.count_after(self._position)

    def _save(self, count: int) -> None:
        if count:
            self._done += count
            position = {"source": self._source.name, "at": self._position, "done": self._done}
            self._saved.save_position(self._name, position)


def source_of(items: Any) -> Source[Any]:
    """How to walk these items. Raises IterationError."""
    if isinstance(items, QuerySet):
        return Rows(items)
    if isinstance(items, Sequence):
        return Items(items)
    hint = " Say .all()." if hasattr(items, "all") else ""
    raise IterationError(
        "iterate() takes a queryset, which it walks by primary key, or a sequence, which it walks by index; "
        f"not a {type(items).__name__}.{hint} For anything else there is track()."
    )


def _problem(rows: QuerySet[Any, Any]) -> str:
    query = rows.query
    if query.is_sliced:
        return "it is sliced"
    if query.combinator:
        return f"it is a {query.combinator} of several"
    if rows._fields is not None:  # type: ignore[attr-defined]
        return "it gives values, not objects"
    if isinstance(rows.model._meta.pk, CompositePrimaryKey):
        return "its primary key is made of several columns"
    return ""
