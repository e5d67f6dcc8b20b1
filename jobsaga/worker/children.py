"""The executor whose jobs run in child processes. It watches; it never runs user code, nor touches a database.

    instance (this module)  -  warm server  -  process children, one job each
                                            -  one shared child: thread jobs, async jobs

Attempts wait for a child, run, and climb a ladder (``running.Rung``) when their deadlines pass. What a child says
of its attempt goes to the sagas as it is; when a child dies, the last word on its attempts is said here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec

from jobsaga.clock import Clock, SystemClock
from jobsaga.conf import settings
from jobsaga.consumers import JobConsumerDefinition
from jobsaga.messages import (
    CancelKind,
    Ended,
    JobAttemptCanceled,
    JobAttemptFaulted,
    JobAttemptStarted,
    Message,
    SetJobProgress,
    StartJob,
)
from jobsaga.worker import linux
from jobsaga.worker.allotment import Allotment
from jobsaga.worker.fork_server import ChildrenUnavailable
from jobsaga.worker.handle import ChildHandle, Life
from jobsaga.worker.inline import InlineExecutor
from jobsaga.worker.ladder import Ladder
from jobsaga.worker.memory import MemoryWatch
from jobsaga.worker.nursery import Nursery
from jobsaga.worker.runner import definition_of
from jobsaga.worker.running import Rung, Running, never_started
from jobsaga.worker.wire import Beat, Cancel, Idle, Ready, Stirred

log = logging.getLogger("jobsaga.worker")

Place = Literal["process", "shared", "inline"]

LAP = 0.25
"""How long one ``poll`` waits at most while there is something to look after."""
PATIENCE = 30.0
"""How long an attempt waits for a process before it is handed back."""
BLOCKED_LOOP = 10.0
SHARED_IDLE = 60.0


class ChildProcesses:
    """Runs attempts in children. Raises ChildrenUnavailable if there can be none.

    ``now`` estimates the database's clock, for the times of reports. ``isolation`` overrides what consumers and
    settings say. ``label`` names the processes. ``may_fork``: this is the worker's own process, and may be
    forked. ``enough``: do not wait any longer until it can begin, it is to be closed.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] | None = None,
        instance_properties: Mapping[str, Any] | None = None,
        isolation: str | None = None,
        label: str = "worker",
        may_fork: bool = False,
        enough: Callable[[], bool] = lambda: False,
        clock: Clock | None = None,
    ) -> None:
        if not linux.available():
            raise ChildrenUnavailable(
                "Processes for jobs need Linux. Here jobs can run in the worker itself (isolation inline)."
            )
        self._clock = clock or SystemClock()
        self._now = now or self._clock.now
        self._monotonic = self._clock.monotonic
        self._isolation = isolation
        self._running: dict[UUID, Running] = {}
        self._said: list[Message] = []
        self._offset = timedelta(0)
        properties = dict(instance_properties or {})
        self._inline = InlineExecutor(now=self._now, instance_properties=properties, clock=self._clock)
        self._nursery = Nursery(properties, label, self._monotonic, self._hear, self._mourn, may_fork)
        self._allotment = Allotment(self._nursery, self._monotonic)
        self._ladder = Ladder(self._nursery, self._monotonic, self._hand_back)
        self._memory = MemoryWatch(self._nursery, self._ladder)
        self._nursery.wait_until_ready(enough)

    def start(self, start: StartJob) -> None:
        """Give it to a child with the next ``poll``."""
        if start.attempt_id in self._running:
            return
        definition = definition_of(start)
        place = self._place(definition)
        if definition is None or place == "inline":
            self._inline.start(start)
            return
        running = self._running[start.attempt_id] = Running(start, definition)
        running.wait(self._monotonic() + PATIENCE)
        self._ladder.watch(running)
        self._allotment.add(running, shared=place == "shared")

    def cancel(self, attempt_id: UUID, kind: CancelKind, reason: str) -> None:
        """Send it up the ladder; what waits never starts."""
        self._inline.cancel(attempt_id, kind, reason)
        running = self._running.get(attempt_id)
        if running is None or running.rung >= Rung.ASKED:
            return
        if running.child is None:
            self._hand_back(running, reason, kind)
        else:
            self._ladder.ask(running, kind, reason)

    def kill(self, attempt_id: UUID) -> None:
        """End its process. A thread or task cannot be ended: its process goes when its neighbours have."""
        self._inline.kill(attempt_id)
        running = self._running.get(attempt_id)
        if running is None:
            return
        running.muted = True
        if running.child is None:
            self._forget(running)
            return
        if running.child.shared:
            told = Cancel(attempt_id, CancelKind.SHUTDOWN, "The attempt was given up")
            self._nursery.tell(running.child, told)
        self._ladder.end(running)

    def poll(self, timeout: float) -> list[Message]:
        """Watch for a while; what there is to say to the sagas."""
        self._offset = self._now() - self._clock.now()
        self._allotment.feed()
        self._nursery.wait(0 if self._said or self._inline.running() else self._pause(timeout))
        self._memory.look()
        self._ladder.climb(self._attempts)
        self._nursery.look_after()
        self._allotment.feed()
        self._said += self._inline.poll(0)
        said, self._said = self._said, []
        for message in said:
            if isinstance(message, Ended):
                self._running.pop(message.attempt_id, None)
        return said

    def wake(self) -> None:
        """Let ``poll`` return soon."""
        self._nursery.wake()

    def running(self) -> set[UUID]:
        """The attempts without a last word; those that were killed, until they have ended."""
        return self._running.keys() | self._inline.running()

    def kill_all(self) -> None:
        """End all children now, and say nothing about it."""
        for running in list(self._running.values()):
            running.muted = True
            self._forget(running)
        for child in self._nursery.children.values():
            self._nursery.kill(child)
        self._inline.kill_all()
        self._said.clear()

    def close(self) -> None:
        """End the children and their server."""
        self.kill_all()
        self._nursery.close()

    # what children say

    def _hear(self, child: ChildHandle, frame: Any) -> None:
        child.heard_at = self._monotonic()
        if isinstance(frame, Message):
            running = child.attempts.get(frame.attempt_id)  # type: ignore[attr-defined]
            if running:
                self._hear_of(running, child, frame)
        elif isinstance(frame, Ready):
            self._on_ready(child)
        elif isinstance(frame, Idle):
            self._on_idle(child, frame)
        elif isinstance(frame, Stirred) and frame.attempt_id in child.attempts:
            child.attempts[frame.attempt_id].stir(child.heard_at)
        elif isinstance(frame, Beat):
            self._on_beat(child, frame)

    def _hear_of(self, running: Running, child: ChildHandle, said: Any) -> None:
        said = msgspec.structs.replace(said, timestamp=said.timestamp + self._offset)
        if isinstance(said, JobAttemptStarted):
            running.begin(self._monotonic())
            self._ladder.watch(running)
        elif isinstance(said, SetJobProgress):
            running.progress = said.progress
        elif isinstance(said, Ended):
            said = self._on_end(running, child, said)
        if not running.muted:
            self._said.append(said)

    def _on_end(self, running: Running, child: ChildHandle, said: Ended) -> Ended:
        child.output.drain()
        del child.attempts[running.start.attempt_id]
        running.end()
        running.child = None
        if running.muted:
            self._forget(running)
        self._keep_output(running, child, said)
        if child.shared:
            child.since = self._monotonic()
            self._ladder.let_go(child)
        elif child.life is Life.WORKING:
            self._nursery.expect_idle(child)
        if isinstance(said, JobAttemptCanceled) and not said.reason and running.asked:
            return msgspec.structs.replace(said, reason=running.reason)
        return said

    def _on_ready(self, child: ChildHandle) -> None:
        if child.life is Life.FORKING:
            self._nursery.welcome(child)

    def _on_idle(self, child: ChildHandle, frame: Idle) -> None:
        if child.life is not Life.TIDYING:
            return
        if frame.retire or child.jobs >= settings.MAX_JOBS_PER_CHILD:
            log.debug("A process for jobs (pid %s) is replaced: %s", child.pid, frame.retire or "it is old")
            self._nursery.kill(child)
        else:
            self._nursery.rest(child)

    def _on_beat(self, child: ChildHandle, frame: Beat) -> None:
        if child.life is not Life.WORKING:
            return
        if frame.loop_delay > BLOCKED_LOOP:
            log.warning(
                "An async job has blocked the event loop (pid %s) for %d s: new jobs go to another process.",
                child.pid,
                frame.loop_delay,
            )
            child.be(Life.RETIRING)
        elif not child.attempts and child.heard_at - child.since > SHARED_IDLE:
            child.be(Life.RETIRING)
        self._ladder.let_go(child)

    def _mourn(self, child: ChildHandle, how: str) -> None:
        now = self._monotonic()
        for running in child.attempts.values():
            if running.muted:
                self._forget(running)
            else:
                end = running.death(how, self._now(), now)
                self._keep_output(running, child, end)
                self._said.append(end)
            running.end()
            running.child = None

    def _keep_output(self, running: Running, child: ChildHandle, end: Ended) -> None:
        """The end of what it printed is a line of its job's log, where only one job can have printed it."""
        wanted = running.options.capture_output
        if wanted is None:
            wanted = isinstance(end, JobAttemptFaulted)
        if child.shared or running.muted or not wanted:
            return
        tail = child.output.tail()
        if tail:
            self._said.append(running.output_line(tail, self._now()))

    # small print

    def _place(self, definition: JobConsumerDefinition | None) -> Place:
        chosen = self._isolation or (definition and definition.options.isolation) or settings.ISOLATION
        if definition is None or chosen == "inline":
            return "inline"
        return "shared" if definition.is_async or chosen == "thread" else "process"

    def _hand_back(self, running: Running, reason: str, kind: CancelKind = CancelKind.NOT_STARTED) -> None:
        self._allotment.remove(running)
        running.end()
        self._said.append(never_started(running.start, kind, reason, self._now()))

    def _forget(self, running: Running) -> None:
        self._running.pop(running.start.attempt_id, None)
        self._allotment.remove(running)

    def _attempts(self) -> Iterator[Running]:
        yield from self._allotment.waiting()
        for child in self._nursery.children.values():
            yield from child.attempts.values()

    def _pause(self, timeout: float) -> float:
        if not self._running and not self._nursery.children:
            return timeout
        return max(0.0, min(timeout, LAP, self._ladder.next_at - self._monotonic()))
