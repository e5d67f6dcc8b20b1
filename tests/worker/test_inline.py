"""The executor without children, in the thread of whoever polls it."""

from __future__ import annotations

import signal
import time

import pytest

from jobsaga import get_job_state, submit_job
from jobsaga.testing import InlineWorker, manual_clock
from jobsaga.worker.inline import InlineExecutor
from tests.jobsapp.jobs.hours import Hour


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


@pytest.mark.django_db
def test_a_worker_of_a_test_lives_on_however_far_the_clock_is_advanced() -> None:
    with manual_clock() as clock, InlineWorker() as worker:
        for _ in range(3):
            job_id = submit_job(Hour("nothing"))
            assert worker.run_until_quiet() == 1
            assert get_job_state(job_id).current_state == "Completed"
            clock.advance(60)
