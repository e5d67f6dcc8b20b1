"""The kinds of worlds a test can be run in: parameters for the ``world`` fixture."""

from __future__ import annotations

from typing import Any

import pytest

from jobsaga.clock import Clock, ManualClock
from tests import brokers
from tests.engine.places import DatabasePlace, MemoryPlace
from tests.engine.world import World

COMMITTING = pytest.mark.django_db(transaction=True)

#: In memory, and on the database inside of the test's transaction, which is quick.
EVERYWHERE = ["memory", pytest.param("database", marks=pytest.mark.django_db)]
#: On the database only.
DATABASE = [pytest.param("database", marks=pytest.mark.django_db)]
#: On the database, with real commits: for other threads and connections.
COMMITTED = [pytest.param("database", marks=COMMITTING)]
#: Where someone else's transaction can hold one row and leave the others: not on SQLite.
ROW_LOCKS = [
    pytest.param("database", marks=[COMMITTING, pytest.mark.postgresql, pytest.mark.mariadb]),
]
WITH_ROW_LOCKS = ["memory", *ROW_LOCKS]
#: The same on the machine's and the database's own time.
REAL_TIME = [pytest.param("real time", marks=COMMITTING)]
REAL_TIME_ROW_LOCKS = [
    pytest.param("real time", marks=[COMMITTING, pytest.mark.postgresql, pytest.mark.mariadb]),
]


def make_world(kind: str, **changes: Any) -> World:
    """A world of this kind; *changes* go to ``World``."""
    if kind == "memory":
        return World(MemoryPlace(), **changes)
    clock: Clock | None = None if kind == "real time" else ManualClock()
    return World(database_place(clock), **changes)


def database_place(clock: Clock | None) -> Any:
    """The test's database, with the transport that this run is about."""
    if not brokers.IS_CHOSEN:
        return DatabasePlace(clock)
    from tests.engine.rabbit_place import RabbitPlace

    return RabbitPlace(clock)
