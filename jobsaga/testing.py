"""For a site's own tests: run the jobs that were submitted, here and now, without any worker process.

    from jobsaga.testing import manual_clock, run_until_quiet

    def test_the_report_is_sent(db):
        with manual_clock() as clock:
            job_id = submit_job(SendReport("july"))
            run_until_quiet()                      # fails once, and waits 30 s for its retry
            clock.advance(30)
            run_until_quiet()
        assert get_job_state(job_id).current_state == "Completed"

The sagas are the real ones, on the test's database; user code runs in the calling thread, also inside a
``TestCase``. Importing this needs no settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobsaga.clock import Clock, ManualClock, injected_clock, use_clock

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["InlineWorker", "ManualClock", "manual_clock", "run_until_quiet", "use_clock"]

ENOUGH = 10_000


@contextmanager
def manual_clock(now: datetime | None = None) -> Iterator[ManualClock]:
    """Within the block time stands still until ``advance`` is called; it begins now, or at *now*."""
    clock = ManualClock(now or datetime.now(UTC))  # noqa: TID251 - the one place where a test's time begins
    with use_clock(clock):
        yield clock


def run_until_quiet() -> int:
    """Run all jobs that can run now, and what follows from them; how many attempts that were.

    A job that waits for a later time, or for its retry, is left waiting. Raises RuntimeError for jobs that
    never come to rest.
    """
    with InlineWorker() as worker:
        return worker.run_until_quiet()


class InlineWorker:
    """A worker instance and a saga host in the calling thread. As a context manager it leaves when it ends."""

    def __init__(self, clock: Clock | None = None) -> None:
        from jobsaga.conf import settings
        from jobsaga.engine.site import make_engine
        from jobsaga.ids import uuid7
        from jobsaga.store.instances import InstanceStore
        from jobsaga.transport.base import instance_endpoint
        from jobsaga.worker.inline import InlineExecutor

        self.id: UUID = uuid7()
        self.engine = make_engine()
        self.store = InstanceStore(settings.DATABASE, self.id, settings.HEARTBEAT_TIMEOUT)
        self.endpoint = instance_endpoint(self.id)
        self.executor = InlineExecutor(clock=clock or injected_clock())

    def __enter__(self) -> InlineWorker:
        self.store.register("inline", 0, "", {})
        self._announce("Configured")
        return self

    def __exit__(self, *_: object) -> None:
        from jobsaga.models.workers import InstanceState

        self._announce("Stopped")
        self.store.set_state(InstanceState.STOPPED)

    def run_until_quiet(self) -> int:
        """As the function of that name."""
        attempts = 0
        for _ in range(ENOUGH):
            started = self._work()
            attempts += started
            if not started and not self.executor.running():
                return attempts
        raise RuntimeError(
            f"The jobs did not come to rest after {ENOUGH} rounds: does one submit itself again?"
        )

    def _work(self) -> int:
        """One round: decide, take what was started, run it, decide on what it says."""
        self.store.beat([])  # a job, or a test with the clock in hand, may have taken longer than the lease
        while self.engine.process():
            pass
        self.engine.sweep()
        self.engine.process()
        starts = self._receive()
        while self.executor.running():
            self.engine.say(self.executor.poll(0))
        self.engine.process()
        return starts

    def _receive(self) -> int:
        from jobsaga.messages import StartJob, decode
        from jobsaga.store.job_logs import with_room

        taken = [decode(each.body, "instance") for each in self.engine.transport.take(self.endpoint, 100)]
        starts = {each.attempt_id: each for each in taken if isinstance(each, StartJob)}
        claimed = self.store.claim(starts.keys(), self.store.now()) if starts else set()
        for start in with_room(self.store.alias, [starts[attempt_id] for attempt_id in claimed]):
            self.executor.start(start)
        return len(claimed)

    def _announce(self, kind: str) -> None:
        from jobsaga.consumers import consumers
        from jobsaga.messages import LimitKind
        from jobsaga.worker.announcement import announcement

        self.engine.say([announcement(each, LimitKind(kind), self.id) for each in consumers.all()])
