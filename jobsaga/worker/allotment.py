"""Which child gets which attempt, and when another child is needed."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from jobsaga.worker.handle import ChildHandle, Life
from jobsaga.worker.nursery import Nursery
from jobsaga.worker.running import Running

FORKS_AT_ONCE = 8
#: A child that has just finished will take the next job rather than a new one; tidying up takes a millisecond.
SOON = 0.1
#: How long a process may take from a start message to the word that its job has started. In the shared child a job may
#: have to wait for others; whether that child lives is seen by its beat.
BEGINNING = 30.0


class Allotment:
    """The attempts that wait for a child: for one of their own, or for a place in the shared one."""

    def __init__(self, nursery: Nursery, monotonic: Callable[[], float]) -> None:
        self._nursery, self._monotonic = nursery, monotonic
        self._processes: dict[UUID, Running] = {}
        self._shared: dict[UUID, Running] = {}

    def add(self, running: Running, *, shared: bool) -> None:
        """It waits from now on."""
        (self._shared if shared else self._processes)[running.start.attempt_id] = running

    def remove(self, running: Running) -> None:
        """It does not wait any more."""
        self._shared.pop(running.start.attempt_id, None)
        self._processes.pop(running.start.attempt_id, None)

    def waiting(self) -> list[Running]:
        """All that wait."""
        return [*self._processes.values(), *self._shared.values()]

    def feed(self) -> None:
        """Give work to the children that can take it, and ask for more children if need be."""
        if self._processes:
            self._feed_processes(self._processes)
        if self._shared:
            self._feed_shared(self._shared)
        self._nursery.flush()

    def _feed_processes(self, waiting: dict[UUID, Running]) -> None:
        now, children = self._monotonic(), [c for c in self._nursery.children.values() if not c.shared]
        idle = sorted((c for c in children if c.life is Life.IDLE), key=lambda child: child.since)
        while waiting and idle:
            self._give(idle.pop(), waiting)
        forking = sum(1 for child in children if child.life is Life.FORKING)
        tidying = sum(1 for child in children if child.life is Life.TIDYING and now - child.since < SOON)
        for _ in range(min(len(waiting) - forking - tidying, FORKS_AT_ONCE - forking)):
            if not self._nursery.fork(shared=False):
                return

    def _feed_shared(self, waiting: dict[UUID, Running]) -> None:
        children = [child for child in self._nursery.children.values() if child.shared]
        working = next((child for child in children if child.life is Life.WORKING), None)
        while working and waiting:
            self._give(working, waiting)
        if not working and not any(child.life is Life.FORKING for child in children):
            self._nursery.fork(shared=True)

    def _give(self, child: ChildHandle, waiting: dict[UUID, Running]) -> None:
        attempt_id, running = next(iter(waiting.items()))
        del waiting[attempt_id]
        running.deadline = None if child.shared else self._monotonic() + BEGINNING
        running.child = child
        child.attempts[attempt_id] = running
        child.be(Life.WORKING)
        if not child.shared:
            child.output.begin(f"{running.start.job_type} {attempt_id}")
        self._nursery.tell(child, running.start)
