"""Signs of life for those who look from outside: two files, whose times say when all was well last.

``alive``  everything in this process turns its loop. When it gets old, the process hangs: it has to be replaced.
``ready``  moreover it does its work now. It is removed when it does not: before it is registered, while the
           database or the broker is away, when it stops. That heals by itself, and is no reason to replace anything.

Files, because a probe must cost next to nothing: ``find`` looks at one in a millisecond, where a Python with the
site loaded takes a second of CPU. And because nothing keeps a file young but the loop itself.

A part that is a process of its own has a pulse of its own, *beside* this one. The files then get its times: the
oldest sign of all parts is the one that counts.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Protocol

logger = logging.getLogger("jobsaga.worker")

ALIVE, READY = "alive", "ready"
#: Seconds between two signs, at least.
EVERY = 1.0


class Beat(Protocol):
    """What a loop calls each time it has turned."""

    def __call__(self, ready: bool) -> None:
        """Say that it turns, and whether it does its work."""


def no_pulse(ready: bool) -> None:
    """What beats where nobody looks."""


class Pulse:
    """Writes the files in *directory*. Raises OSError if they cannot be; what an earlier life left is removed."""

    def __init__(self, directory: Path, beside: Path | None = None) -> None:
        self.directory, self.beside = directory, beside
        self._next, self._was_ready, self._failed = 0.0, False, False
        directory.mkdir(parents=True, exist_ok=True)
        for place in filter(None, (directory, beside)):
            for name in (ALIVE, READY):
                (place / name).unlink(missing_ok=True)
        if not os.access(directory, os.W_OK):
            raise PermissionError(f"{directory} is not writable")

    def beat(self, ready: bool) -> None:
        """Say that the loop turns, and whether it does its work. Costs nothing when it was said just now."""
        now = time.monotonic()
        if now < self._next and ready == self._was_ready:
            return
        self._next, self._was_ready = now + EVERY, ready
        try:
            self._sign(ALIVE)
            if not (ready and self._sign(READY)):
                (self.directory / READY).unlink(missing_ok=True)
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.warning("The signs of life in %s cannot be written: %s", self.directory, error)
            self._failed = True

    def _sign(self, name: str) -> bool:
        """Give the file the present time, or the time of the part beside; False if that has given no sign."""
        times = None
        if self.beside is not None:
            try:
                seen = os.stat(self.beside / name).st_mtime_ns
            except FileNotFoundError:
                return False
            times = (seen, seen)
        file = os.open(self.directory / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.utime(file, ns=times) if times else os.utime(file)
        finally:
            os.close(file)
        return True
