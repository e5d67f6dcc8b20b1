"""What a database does with rows, done to tables that are dicts: for the store in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from jobsaga.memory import Memory
from jobsaga.remote.events import Announcement
from jobsaga.store.base import Dead, Locked


class TakenOut:
    """The first events of the outbox. Whoever has them in hand holds the whole memory."""

    def __init__(self, memory: Memory, limit: int) -> None:
        self.memory = memory
        self.events: dict[int, Announcement] = dict(list(memory.events.items())[:limit])

    def remove(self, keys: Collection[int], dead: Sequence[Dead] = ()) -> None:
        for key in keys:
            self.memory.events.pop(key, None)
        self.memory.dead.extend(dead)


def save_rows(table: dict[Any, Any], changes: Iterable[tuple[Any, Any]], key: str) -> None:
    """As a database does it: of a row that is there, only the fields that changed are written."""
    for before, after in changes:
        name = getattr(after, key)
        if before is None:
            table[name] = after
        elif name in table:
            was = vars(before)
            table[name] = table[name].but(**{f: v for f, v in vars(after).items() if v != was[f]})


def due_rows(table: dict[Any, Any], now: datetime) -> list[Any]:
    """The rows whose deadline has passed, the earliest first."""
    return sorted(
        (each for each in table.values() if each.due_at and each.due_at <= now), key=lambda each: each.due_at
    )


def lock_rows(table: dict[Any, Any], keys: Collection[Any], held: Collection[Any] = ()) -> Locked[Any, Any]:
    """These rows, and those among them that a test *held*."""
    there = [key for key in keys if key in table]
    return Locked(
        {key: table[key] for key in there if key not in held}, frozenset(key for key in there if key in held)
    )
