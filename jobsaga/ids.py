"""Ids. Jobs and attempts have UUIDv7: made anywhere without asking the database, and in order of time, so
that an index grows at its end. A job type has one and the same id everywhere, made from its name.
"""

from __future__ import annotations

import os
import time
from threading import Lock
from uuid import UUID, uuid5

JOB_TYPES = UUID("98cfd366-56c2-4828-9af8-9ca9322630d2")

_COUNTER_BITS = 42
_TAIL_BITS = 32


class _Sequence:
    """UUIDv7 that only grow within a process, also within one millisecond and when the clock is set back.

    48 bits of milliseconds, 42 bits of a counter that starts at random (its top bit clear: room to grow) in
    each millisecond, 32 random bits.
    """

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """For a forked child: it shares no counter with its parent, and waits for no lock that a lost thread
        held.
        """
        self._lock = Lock()
        self._milliseconds = 0
        self._counter = 0

    def next(self) -> UUID:
        tail = int.from_bytes(os.urandom(_TAIL_BITS // 8), "big")
        with self._lock:
            self._advance(time.time_ns() // 1_000_000)
            milliseconds, counter = self._milliseconds, self._counter
        high, low = counter >> 30, counter & ((1 << 30) - 1)
        return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << _TAIL_BITS | tail)

    def _advance(self, milliseconds: int) -> None:
        if milliseconds <= self._milliseconds and self._counter + 1 < 1 << _COUNTER_BITS:
            self._counter += 1
            return
        self._milliseconds = max(milliseconds, self._milliseconds + 1)
        self._counter = int.from_bytes(os.urandom(6), "big") >> (48 - _COUNTER_BITS + 1)


_sequence = _Sequence()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sequence.start_anew)


def uuid7() -> UUID:
    """A new UUIDv7, greater than any this process made before. Safe in threads and after a fork."""
    return _sequence.next()


def job_type_id(name: str) -> UUID:
    """The id of the job type of this name: the same in every process, release and database."""
    return uuid5(JOB_TYPES, name)


def recurring_job_id(job_type: str, name: str) -> UUID:
    """The id of the recurring job of this type and name: the same wherever it is added."""
    return uuid5(job_type_id(job_type), name)
