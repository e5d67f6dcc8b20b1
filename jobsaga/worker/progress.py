"""Progress on its way out of a job: the last value wins, and few of them are sent.

A job may report as often as it likes. The first value that was not sent yet starts the time limit; the value
that is the latest then goes out, or earlier after so many updates. The last word on an attempt takes its last
progress with it, so nothing has to be sent at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Condition, Lock, Thread

import msgspec

from jobsaga.messages import Progress
from jobsaga.options import ProgressBuffer
from jobsaga.payload import safe_text

MESSAGE_LENGTH = 1000


class ProgressTracker:
    """The progress of one attempt. ``notify`` is called when ``due_at`` is new, or has passed."""

    def __init__(
        self,
        buffer: ProgressBuffer,
        monotonic: Callable[[], float],
        notify: Callable[[ProgressTracker], None],
        send: Callable[[Progress], None],
    ) -> None:
        self._time_limit = buffer.time_limit.total_seconds()
        self._update_limit = buffer.update_limit
        self._monotonic, self._notify, self._send = monotonic, notify, send
        self._lock = Lock()
        self._latest: Progress | None = None
        self._limit: float | None = None
        self._updates = 0
        self._unsent = 0
        self._ended = False
        #: Called when another progress is set than before.
        self.changed: Callable[[], object] = lambda: None
        #: When the latest value should go out, by ``monotonic``; None: it went.
        self.due_at: float | None = None

    @property
    def latest(self) -> Progress | None:
        """The last progress of the attempt; None if there was none."""
        return self._latest

    def set(self, value: float, limit: float | None, message: str) -> None:
        """Take note of it. Raises ValueError for what is no finite number."""
        value = finite(value, "value")
        if limit is not None:
            self._limit = finite(limit, "limit")
        message = safe_text(str(message), MESSAGE_LENGTH) if message else ""
        with self._lock:
            self._updates += 1
            self._unsent += 1
            before = self._latest
            self._latest = Progress(sequence=self._updates, value=value, limit=self._limit, message=message)
            tell = not self._ended and self._becomes_due()
        if before is None or msgspec.structs.replace(before, sequence=self._updates) != self._latest:
            self.changed()
        if tell:
            self._notify(self)

    def _becomes_due(self) -> bool:
        """Is there something new to know for whoever flushes?"""
        now = self._monotonic()
        if self._unsent == self._update_limit:
            self.due_at = now
        elif self.due_at is None:
            self.due_at = now + self._time_limit
        else:
            return now >= self.due_at
        return True

    def flush_if_due(self) -> None:
        """Send the latest value if its time has come."""
        with self._lock:
            if self.due_at is None or self.due_at > self._monotonic() or self._latest is None:
                return
            self._unsent, self.due_at, latest = 0, None, self._latest
        self._send(latest)

    def stop(self) -> None:
        """The attempt has ended: nothing more is sent."""
        with self._lock:
            self._ended, self.due_at = True, None


class Flusher:
    """The thread that sends progress when it is due, and the only one to wait when nobody reads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._changed = Condition()
        self._waiting: set[ProgressTracker] = set()

    def notify(self, tracker: ProgressTracker) -> None:
        """There is something to send, at ``tracker.due_at``."""
        with self._changed:
            self._waiting.add(tracker)
            self._changed.notify()

    def start(self) -> None:
        """Start the thread."""
        Thread(target=self._run, name="jobsaga-progress", daemon=True).start()

    def _run(self) -> None:
        while True:
            for tracker in self._wait():
                tracker.flush_if_due()

    def _wait(self) -> list[ProgressTracker]:
        with self._changed:
            self._waiting = {tracker for tracker in self._waiting if tracker.due_at is not None}
            times = [tracker.due_at for tracker in self._waiting if tracker.due_at is not None]
            pause = min(times) - self._monotonic() if times else None
            if pause is None or pause > 0:
                self._changed.wait(pause)
            return list(self._waiting)


def finite(value: float, name: str) -> float:
    """``value`` as a number that every database stores."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"The {name} of a progress must be a number, not {value!r}.") from None
    if not math.isfinite(number):
        raise ValueError(f"The {name} of a progress must be a finite number, not {value!r}.")
    return number
