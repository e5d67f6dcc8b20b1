"""The first connections to a file of SQLite, of several processes at once."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from jobsaga.store import sqlite


class Place:
    """A file that refuses so many times; each pause takes its time."""

    def __init__(self, refusals: int, why: str = "database is locked") -> None:
        self.refusals, self.why, self.now = refusals, why, 0.0

    def ensure_connection(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OperationalError(self.why)

    def connect(self) -> None:
        sqlite.connect(self.ensure_connection, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_who_is_refused_because_another_turns_to_wal_tries_again() -> None:
    place = Place(3)
    place.connect()
    assert place.refusals == 0


@pytest.mark.parametrize(
    ("why", "at_most"), [("unable to open database file", 0), ("database is locked", 21)]
)
def test_not_for_ever_and_not_for_anything_else(why: str, at_most: float) -> None:
    place = Place(10_000, why)
    with pytest.raises(OperationalError, match=why):
        place.connect()
    assert place.now <= at_most
