"""The lease: while it lasts, the instance's attempts are its own. Renewed by a thread on its own connection.

The worker decides without any network that its lease is over: by the time that passed (the machine's sleep
included) since *before* the last renewal that succeeded. It stops a margin earlier than the sagas give its
jobs to another. A renewal that is refused means that this has already happened.

On SQLite a renewal that waits for the one writer is no failure, however often it has to be tried again: the sagas wait
for the same lock, and whoever waited that long judges nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from django.db import OperationalError

from jobsaga.clock import Clock
from jobsaga.store.instances import Beat

logger = logging.getLogger("jobsaga.worker")

MARGIN, MARGIN_SHARE = 2.0, 0.25


class Lease:
    """Beats every *interval* seconds; ``is_over`` is for the other threads to ask."""

    def __init__(
        self,
        renew: Callable[[], Beat | None],
        heard: Callable[[Beat], None],
        *,
        clock: Clock,
        interval: float,
        lease: float,
        waits_are_fine: bool = False,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._renew, self._heard, self._after = renew, heard, after
        self.clock, self.interval, self.lease = clock, interval, lease
        self._renewed_at = clock.monotonic()
        self._margin = min(MARGIN, lease * MARGIN_SHARE)
        self._waits_are_fine, self._waiting = waits_are_fine, False
        self._refused = False
        self._closing = Event()
        self._thread = Thread(target=self._run, name="jobsaga-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._renewed_at = self.clock.monotonic()
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether the instance must stop everything at once."""
        late = self.clock.monotonic() - self._renewed_at > self.lease - self._margin
        return self._refused or (late and not (self._waits_are_fine and self._waiting))

    def beat(self) -> None:
        """One heartbeat. Raises what the database raises."""
        asked_at = self.clock.monotonic()
        self._waiting = True
        try:
            beat = self._renew()
        except Exception as error:
            self._waiting = isinstance(error, OperationalError) and "locked" in str(error)
            raise
        if beat is not None:
            self._renewed_at = self._begin_of(beat, asked_at)
        self._waiting = False
        if beat is None:
            logger.error("The lease of this worker is over: the sagas have given its jobs to others")
            self._refused = True
        else:
            self._heard(beat)

    def _begin_of(self, beat: Beat, asked_at: float) -> float:
        """When the new lease began: not after it was asked for; if that may take long, by the database's word."""
        if not self._waits_are_fine:
            return asked_at
        ago = (self.clock.now() - beat.now).total_seconds()
        return max(asked_at, self.clock.monotonic() - max(0.0, ago))

    def close(self, timeout: float = 5) -> None:
        """Beat no more."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = self.interval
        while not self._closing.wait(pause) and not self.is_over:
            try:
                self.beat()
                pause = self.interval
            except Exception as error:  # noqa: BLE001 - a heartbeat that fails is tried again soon
                logger.warning("The lease could not be renewed, tried again: %s", error)
                pause = min(0.5, self.interval)
            finally:
                self._after()
