"""Memory of process children: watched from outside, and bounded from within.

The instance looks at what a child really uses, four times a second. A job that takes a lot at once is quicker than
that; so the child also lets the system refuse more data than that on top of what it had (RLIMIT_DATA), which is
a MemoryError in the job.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from jobsaga.messages import CancelKind
from jobsaga.worker import linux
from jobsaga.worker.ladder import Ladder
from jobsaga.worker.nursery import Nursery
from jobsaga.worker.running import Rung


class MemoryWatch:
    """Ends the attempts that use more than their ``max_memory``."""

    def __init__(self, nursery: Nursery, ladder: Ladder) -> None:
        self._nursery, self._ladder = nursery, ladder

    def look(self) -> None:
        """Look once."""
        for child in self._nursery.children.values():
            if child.shared or child.pid is None:
                continue
            for running in child.attempts.values():
                limit = running.options.max_memory
                if (
                    limit
                    and Rung.RUNNING <= running.rung < Rung.FORCED
                    and linux.resident_bytes(child.pid) > limit
                ):
                    self._ladder.stop_at_once(running, CancelKind.MEMORY)


@contextmanager
def bounded(more: int | None) -> Iterator[None]:
    """Within the block this process gets no more than so many bytes on top of what it has; None: no such limit."""
    if more is None:
        yield
        return
    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = linux.data_bytes() + more
    if most != resource.RLIM_INFINITY:
        limit = min(limit, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))
