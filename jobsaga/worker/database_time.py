"""What time it is where the rows are, as a worker reckons it."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobsaga.clock import Clock


class DatabaseTime:
    """The database's clock, as well as it is known here: this machine's, put right at each heartbeat.

    The database's word was true at some moment between question and answer, which may have had to wait for its turn.
    As long as the difference that is known already fits in between, it stands: two workers whose machines agree with
    the database agree with each other, however long either had to wait.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock, self._offset = clock, timedelta(0)

    def now(self) -> datetime:
        """The database's time, by estimate."""
        return self.clock.now() + self._offset

    def learn(self, now: datetime, asked_at: datetime) -> None:
        """The database, asked at *asked_at* of this machine's clock, just answered that it is *now*."""
        least, most = now - self.clock.now(), now - asked_at
        self._offset = max(least, min(self._offset, most))
