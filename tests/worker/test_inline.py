"""The executor without children, in the thread of whoever polls it."""

from __future__ import annotations

import signal
import time

import pytest

from jobsaga.worker.inline import InlineExecutor


@pytest.mark.timeout(30)
def test_a_signal_handler_may_wake_it_whatever_it_is_doing() -> None:
    """Ctrl-C, once in a million times, comes in the middle of a wait that begins or ends."""
    executor, signals = InlineExecutor(), 0

    def stop(*_: object) -> None:
        nonlocal signals
        signals += 1
        executor.wake()

    before = signal.signal(signal.SIGPROF, stop)
    try:
        signal.setitimer(signal.ITIMER_PROF, 0.002, 0.002)  # of time in which it does something
        end = time.monotonic() + 2
        while time.monotonic() < end:
            executor.poll(0.00001)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert signals
