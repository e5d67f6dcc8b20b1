"""When a worker takes its lease to be over."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from jobsaga.clock import ManualClock
from jobsaga.store.instances import Beat
from jobsaga.worker.lease import Lease

LOCKED = OperationalError("database is locked")


class Database:
    """Answers after so many seconds, or fails."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.takes, self.error = clock, 0.0, OperationalError("")

    def renew(self) -> Beat:
        self.clock.advance(self.takes)
        raise self.error


@pytest.mark.parametrize(
    ("one_writer", "error", "is_over"),
    [
        (True, LOCKED, False),
        (True, OperationalError("disk I/O error"), True),
        (False, LOCKED, True),
    ],
    ids=["somebody else writes", "the file is gone", "not on SQLite"],
)
def test_a_renewal_that_waits_for_the_one_writer_has_not_failed(
    one_writer: bool, error: OperationalError, is_over: bool
) -> None:
    clock = ManualClock()
    database = Database(clock)
    lease = Lease(
        database.renew, lambda _: None, clock=clock, interval=5, lease=15, waits_are_fine=one_writer
    )
    database.takes, database.error = 20, error
    for _ in range(2):
        with pytest.raises(OperationalError):
            lease.beat()
        assert lease.is_over is is_over
