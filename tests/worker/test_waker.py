"""What wakes a thread that waits for a selector."""

from __future__ import annotations

import os

from jobsaga.worker.waker import Waker


def test_who_wakes_too_late_writes_into_nothing_that_has_come_in_its_place() -> None:
    """A thread that hung in its database while the worker came back as a new instance, for one."""
    waker = Waker()
    waker.close()
    pipes = [os.pipe2(os.O_NONBLOCK) for _ in range(2)]  # they have the numbers of the waker's
    waker.wake()
    assert [_read(reading) for reading, _ in pipes] == [None, None]
    for each in pipes:
        os.close(each[0])
        os.close(each[1])


def _read(descriptor: int) -> bytes | None:
    try:
        return os.read(descriptor, 10)
    except BlockingIOError:
        return None
