"""What wakes a thread that waits for a selector."""

from __future__ import annotations

import os
from contextlib import suppress


class Waker:
    """A pipe to oneself. Any thread may ``wake``; who waits has registered it, and clears it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """For a selector."""
        return self._reading

    def wake(self) -> None:
        """Make it readable."""
        with suppress(OSError):  # it is full: that will do; or closed (-1): nobody waits
            os.write(self._writing, b"!")

    def clear(self) -> None:
        """Wait for the next time."""
        with suppress(BlockingIOError):
            os.read(self._reading, 4096)

    def close(self) -> None:
        """Nobody waits any more. Who wakes all the same must not write into what gets the number next."""
        reading, writing = self._reading, self._writing
        self._reading = self._writing = -1
        os.close(reading)
        os.close(writing)
