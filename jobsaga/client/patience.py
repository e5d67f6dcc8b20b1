"""How long somebody waits, in all, for rows that others hold."""

from __future__ import annotations

import time
from collections.abc import Callable

from jobsaga.clock import Clock, SystemClock

PAUSE = 0.05


class Patience:
    """So many seconds of waiting, for one job or for many; they begin with the first wait."""

    def __init__(
        self, seconds: float, clock: Clock | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.seconds, self.clock, self.sleep = seconds, clock or SystemClock(), sleep
        self._until: float | None = None

    def wait(self) -> bool:
        """Wait a moment. False, and at once, when all the time is used up."""
        now = self.clock.monotonic()
        if self._until is None:
            self._until = now + self.seconds
        if now >= self._until:
            return False
        self.sleep(min(PAUSE, self._until - now))
        return True
