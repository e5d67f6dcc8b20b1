"""The children of an instance, and the server that makes them: births, deaths, and all that is to be waited for.

Who gets work is decided elsewhere (``children``); here a child is made, heard, looked after, and buried. A
child's end is seen by its pidfd. The end of its socket says less: what a job forked may still hold it. How it
ended only the server knows, so its word is waited for, for a second.
"""

from __future__ import annotations

import logging
import os
import selectors
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from jobsaga.worker.fork_server import ChildrenUnavailable, ForkServer, SiteNotLoaded
from jobsaga.worker.handle import ChildHandle, Life
from jobsaga.worker.running import how_it_ended
from jobsaga.worker.waker import Waker
from jobsaga.worker.wire import Exited, Forked, ForkFailed, ServerFailed, ServerReady

log = logging.getLogger("jobsaga.worker")

LOADING, BIRTH = 120.0, 60.0
TIDY = 10.0
LEAVE = 5.0
IDLE = 60.0
AUTOPSY = 1.0
#: How long the shared child may be silent before it gets no new work, and before it is ended.
LATE, HUNG = 2.0, 10.0
PAUSE, LONGEST_PAUSE = 0.25, 30.0

THREADED_SITE = (
    "Loading the site starts threads (%s), so its processes cannot be forked. Each is started anew: slower, and "
    "without sharing memory. See to it that threads start when they are first needed."
)


class Nursery:
    """``hear`` is called with each frame of a child, ``mourn`` with each child that has ended, and how."""

    def __init__(
        self,
        instance_properties: Mapping[str, Any],
        label: str,
        monotonic: Callable[[], float],
        hear: Callable[[ChildHandle, Any], None],
        mourn: Callable[[ChildHandle, str], None],
        may_fork: bool = False,
    ) -> None:
        self._properties, self._label, self._monotonic = instance_properties, label, monotonic
        self._hear, self._mourn = hear, mourn
        self.children: dict[int, ChildHandle] = {}
        self._born = 0
        self._failures, self._failure, self._not_before = 0, "", 0.0
        #: What went wrong last, while no child can be made.
        self.trouble = ""
        self._unsent: set[ChildHandle] = set()
        self._looked_at = monotonic()
        self._server: ForkServer | None = ForkServer(instance_properties, label, may_fork=may_fork)
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker, selectors.EVENT_READ, self._waker.clear)
        self._selector.register(self._server, selectors.EVENT_READ, self._on_server)

    def wait_until_ready(self, enough: Callable[[], bool]) -> None:
        """Wait until the site is loaded, or there is *enough*. Raises ChildrenUnavailable, SiteNotLoaded."""
        deadline = self._monotonic() + LOADING
        while not (self._server and self._server.ready) and not enough():
            if self.trouble:
                self.close()
                raise ChildrenUnavailable(f"The processes for jobs cannot be made: {self.trouble}")
            if self._monotonic() > deadline:
                self.close()
                raise SiteNotLoaded(f"The fork server has not loaded the site within {LOADING:g} s")
            self.wait(PAUSE)

    def wake(self) -> None:
        """Let ``wait`` return. May be called by any thread."""
        self._waker.wake()

    def wait(self, timeout: float) -> None:
        """Wait for anything to happen, at most ``timeout`` seconds, and see to it."""
        self.flush()
        for key, _ in self._selector.select(timeout):
            key.data()
        now = self._monotonic()
        if now - self._looked_at > timeout + LATE:
            for child in self.children.values():
                child.forgive(now)  # it was us who did not listen
        self._looked_at = now

    def fork(self, *, shared: bool) -> bool:
        """Ask for a child; False if none can be made now."""
        now = self._monotonic()
        if self._server is None or not self._server.ready or now < self._not_before:
            return False
        self._born += 1
        try:
            job, output = self._server.fork(self._born, shared=shared)
        except OSError as error:
            self._fail(f"No process could be asked for: {error}")
            return False
        child = ChildHandle(self._born, job, output, self._monotonic, shared=shared)
        child.be(Life.FORKING, BIRTH)
        self.children[child.number] = child
        self._selector.register(job, selectors.EVENT_READ, partial(self._on_job, child))
        self._selector.register(child.output, selectors.EVENT_READ, partial(self._on_output, child))
        return True

    def tell(self, child: ChildHandle, frame: msgspec.Struct) -> None:
        """Say something to a child, with the next ``flush``."""
        child.tell(frame)
        self._unsent.add(child)

    def flush(self) -> None:
        """Send what was said; what a child does not take now is kept."""
        for child in list(self._unsent):
            sent = child.flush()
            if sent:
                self._unsent.discard(child)
            if sent is child.blocked and child.job in self._selector.get_map():
                child.blocked = not sent
                events = selectors.EVENT_READ | (0 if sent else selectors.EVENT_WRITE)
                self._selector.modify(child.job, events, partial(self._on_job, child))

    def welcome(self, child: ChildHandle) -> None:
        """It says that it is ready: making children works."""
        child.ready, self._failures, self.trouble = True, 0, ""
        child.be(Life.WORKING if child.shared else Life.IDLE, None if child.shared else IDLE)

    def expect_idle(self, child: ChildHandle) -> None:
        """Its job has ended: it should be free in a moment."""
        child.jobs += 1
        child.be(Life.TIDYING, TIDY)

    def rest(self, child: ChildHandle) -> None:
        """It can take another job."""
        child.be(Life.IDLE, IDLE)

    def dismiss(self, child: ChildHandle) -> None:
        """It is not needed any more."""
        child.dismiss()
        child.be(Life.LEAVING, LEAVE)

    def kill(self, child: ChildHandle) -> None:
        """End it, and all that its jobs have started, now."""
        child.kill()
        child.be(Life.LEAVING, LEAVE)

    def look_after(self) -> None:
        """See to the children whose time is over, and to a server that is due."""
        now = self._monotonic()
        for child in list(self.children.values()):
            if child.deadline is not None and now >= child.deadline:
                self._time_is_over(child)
            if child.shared and child.life in (Life.WORKING, Life.RETIRING):
                self._listen_for(child, now - child.heard_at)
        if self._server is None and now >= self._not_before:
            self._start_server()

    def close(self) -> None:
        """End the server and all children."""
        for child in self.children.values():
            child.kill()
        if self._server is not None:
            self._selector.unregister(self._server)
            self._server.close()
        for child in self.children.values():
            child.close()
        self.children.clear()
        self._selector.close()
        self._waker.close()

    # the server

    def _start_server(self) -> None:
        self._failure = ""
        self._server = ForkServer(self._properties, self._label)
        self._selector.register(self._server, selectors.EVENT_READ, self._on_server)

    def _on_server(self) -> None:
        if self._server is None:
            return
        for frame, fds in self._server.receive():
            self._obey_server(frame, fds)
        if not self._server.alive:
            self._server_died(self._server)

    def _obey_server(self, frame: Any, fds: list[int]) -> None:
        if isinstance(frame, ServerReady):
            self._on_ready(frame)
        elif isinstance(frame, ServerFailed):
            self._failure = f"the site cannot be loaded.\n{frame.traceback}"
        elif isinstance(frame, Forked):
            self._on_birth(self.children.get(frame.number), frame.pid, fds)
        elif frame.number in self.children:
            child = self.children[frame.number]
            if isinstance(frame, ForkFailed):
                self._bury(child, f"Its process could not be made: {frame.reason}")
            elif isinstance(frame, Exited):
                self._bury(child, how_it_ended(frame.code))

    def _on_ready(self, frame: ServerReady) -> None:
        assert self._server is not None
        self._server.ready, self.trouble = True, ""
        if frame.threads:
            log.warning(THREADED_SITE, ", ".join(frame.threads))

    def _on_birth(self, child: ChildHandle | None, pid: int, fds: list[int]) -> None:
        for pidfd in fds:
            if child is None:
                os.close(pidfd)
            else:
                child.pid, child.pidfd = pid, pidfd
                self._selector.register(pidfd, selectors.EVENT_READ, partial(self._on_death, child))
        if child and (child.life is Life.LEAVING or not fds):  # none: this process has no descriptor left
            self.kill(child)

    def _server_died(self, server: ForkServer) -> None:
        self._selector.unregister(server)
        server.close(timeout=LEAVE)
        self._server = None
        self._fail(self._failure or "the fork server has died; it may have said why on its standard error")
        for child in list(self.children.values()):
            child.kill()
            self._bury(child, "Its process was ended, since the fork server has died")

    # children

    def _on_job(self, child: ChildHandle) -> None:
        if child.number not in self.children:
            return
        frames = child.hear()
        for frame in frames or ():
            self._hear(child, frame)
        if frames is None or child.is_cut_off:
            self._selector.unregister(child.job)
            if child.life is not Life.LEAVING:
                self.kill(child)

    def _on_output(self, child: ChildHandle) -> None:
        if child.number in self.children and not child.output.drain():
            self._selector.unregister(child.output)

    def _on_death(self, child: ChildHandle) -> None:
        if child.number in self.children:
            self._selector.unregister(child.pidfd)  # type: ignore[arg-type]
            child.died = True
            child.be(Life.LEAVING, AUTOPSY)

    def _bury(self, child: ChildHandle, how: str) -> None:
        for frame in child.last_words():
            self._hear(child, frame)
        for file in (child.job, child.output, child.pidfd):
            with suppress(KeyError, ValueError):
                self._selector.unregister(file)  # type: ignore[arg-type]
        self._unsent.discard(child)
        del self.children[child.number]
        child.close()
        if not child.ready and not child.unwanted:
            self._fail(how)
        self._mourn(child, how)

    def _time_is_over(self, child: ChildHandle) -> None:
        if child.died:
            self._bury(child, how_it_ended(None))
        elif child.life is Life.IDLE:
            self._dismiss_if_others_wait(child)
        else:
            if child.life is not Life.LEAVING:
                log.warning(
                    "A process for jobs (pid %s) %s for too long: killed.", child.pid, child.life.value
                )
            self.kill(child)

    def _dismiss_if_others_wait(self, child: ChildHandle) -> None:
        idle = sum(1 for each in self.children.values() if each.life is Life.IDLE)
        if idle > 1:
            self.dismiss(child)
        else:
            child.be(Life.IDLE, IDLE)

    def _listen_for(self, child: ChildHandle, silence: float) -> None:
        if silence > HUNG:
            log.error("The shared process (pid %s) did not answer for %d s: killed.", child.pid, silence)
            self.kill(child)
        elif silence > LATE and child.life is Life.WORKING:
            log.warning("The shared process (pid %s) is silent: new jobs go to another.", child.pid)
            child.be(Life.RETIRING)

    def _fail(self, trouble: str) -> None:
        self.trouble = trouble
        self._not_before = self._monotonic() + min(LONGEST_PAUSE, PAUSE * 2**self._failures)
        self._failures += 1
        log.error("No process for jobs: %s", trouble)
