"""A process child: one job at a time, in the main thread, and as nobody had been there before."""

from __future__ import annotations

import _thread
import contextvars
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import enumerate as all_threads
from threading import get_ident
from typing import Any

from jobsaga.messages import Message, StartJob
from jobsaga.properties import Properties
from jobsaga.worker import connections, linux
from jobsaga.worker.child import Child
from jobsaga.worker.context import Host, JobContext
from jobsaga.worker.memory import bounded
from jobsaga.worker.runner import Attempt
from jobsaga.worker.wire import Channel, Idle, Stirred

Said = Message | Stirred

OWN_THREADS = 2  # the reader and the flusher
THREAD_GRACE = 0.05
MEMORY_GROWTH = 256 * 1024 * 1024
"""A child that has grown by so much in its jobs is replaced: a new one takes milliseconds."""


class LastCall:
    """Raises JobCancellation in user code when a last call arrives: once per attempt, and never elsewhere.

    While the main thread writes a frame, the exception waits: half a frame would end the conversation. What the
    job has started is told by SIGTERM, and by this process itself: of two signals from outside at once one may go
    to another thread, which can take both, and then the main thread is not woken from what it waits for.
    """

    def __init__(self) -> None:
        self._main, self._pid = get_ident(), os.getpid()
        self._attempt: Attempt | None = None
        self._writing = self._waits = False
        self._kinds = {number: kind for kind, number in linux.LAST_CALL.items()}
        for number in self._kinds:
            signal.signal(number, self._hear)

    @contextmanager
    def kept_from_new_threads(self) -> Iterator[None]:
        """Threads that start in the block never take a last call: it is for the main thread."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self._kinds)
        yield
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._kinds)

    def arm(self, attempt: Attempt) -> None:
        """User code begins."""
        self._waits, self._attempt = False, attempt

    def disarm(self) -> None:
        """User code has ended."""
        self._attempt = None

    def undisturbed(self, send: Callable[[Said], None]) -> Callable[[Said], None]:
        """``send``, which is not torn apart."""

        def send_undisturbed(message: Said) -> None:
            if get_ident() != self._main:
                return send(message)
            self._writing = True
            try:
                send(message)
            finally:
                self._writing = False
            if self._waits:
                self._raise()
            return None

        return send_undisturbed

    def _hear(self, number: int, frame: object) -> None:
        if self._attempt is None or os.getpid() != self._pid:
            return
        # The reader thread may not have got so far, if the job holds the interpreter.
        self._attempt.token.cancel(self._kinds[number], "")
        linux.kill_group(self._pid, signal.SIGTERM)
        if self._writing:
            self._waits = True
        else:
            self._raise()

    def _raise(self) -> None:
        attempt, self._attempt, self._waits = self._attempt, None, False
        if attempt is not None:
            attempt.token.raise_if_cancellation_requested()


class ProcessAttempt(Attempt):
    """An attempt that hears the last call."""

    last_call: LastCall
    has_process = True

    def call(self, context: JobContext[Any]) -> Any:
        """Run user code."""
        self.last_call.arm(self)
        try:
            with bounded(self.options.max_memory):
                return super().call(context)
        finally:
            self.last_call.disarm()


class ProcessChild(Child):
    """Takes one start message after the other."""

    def __init__(self, channel: Channel, instance_properties: Properties) -> None:
        self._last_call = LastCall()
        super().__init__(channel, instance_properties)
        self._inbox: SimpleQueue[ProcessAttempt] = SimpleQueue()
        connections.forbid_pools()

    def make_host(self, say: Callable[[Said], None], instance_properties: Properties) -> Host:
        """As in any child, but no frame is torn apart by a last call."""
        return super().make_host(self._last_call.undisturbed(say), instance_properties)

    def make_attempt(self, start: StartJob) -> Attempt:
        """One that hears the last call."""
        attempt = ProcessAttempt(start, self.host)
        attempt.last_call = self._last_call
        return attempt

    def begin(self, attempts: list[Attempt]) -> None:
        """Leave them to the main thread."""
        for attempt in attempts:
            self._inbox.put(attempt)  # type: ignore[arg-type]

    def serve(self) -> None:
        """Run a job, say how it ended, tidy up, wait for the next."""
        pid = os.getpid()
        house = House()
        with self._last_call.kept_from_new_threads():
            self.flusher.start()
            self.say_ready()
        while True:
            attempt = self._inbox.get()
            last_word = contextvars.copy_context().run(self._run, attempt)
            if os.getpid() != pid:
                os._exit(0)  # a copy that the job forked, and that came back from user code
            flush_output()
            self.channel.send(last_word)
            self.attempts.pop(attempt.start.attempt_id, None)
            connections.forget(attempt.start.attempt_id)
            del attempt, last_word
            self.channel.send(Idle(retire=house.tidy_up()))

    def _run(self, attempt: ProcessAttempt) -> Message:
        connections.work_for(attempt.start.attempt_id, whole_process=True)
        return attempt.run()


class House:
    """How a job finds the process, and how it has to be left."""

    def __init__(self) -> None:
        self._directory, self._umask, self._nice = os.getcwd(), os.umask(0), os.nice(0)
        self._environment = dict(os.environ)
        os.umask(self._umask)
        self._handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self._threads = _thread._count()  # the site's own, where it was not forked
        self._signal_mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self._memory = linux.resident_bytes()
        self._ended_children = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._most_data = resource.getrlimit(resource.RLIMIT_DATA)

    def tidy_up(self) -> str:
        """Put everything back; returns what cannot be put back, in words."""
        try:
            connections.reset_connections()
            os.chdir(self._directory)
            os.umask(self._umask)
            self._restore_environment()
            resource.setrlimit(resource.RLIMIT_DATA, self._most_data)
            self._restore_signals()
            return self._leftovers()
        except Exception as error:  # noqa: BLE001 - then this process is of no use any more
            return f"it cannot be tidied up: {error!r}"

    def _restore_environment(self) -> None:
        if dict(os.environ) != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)

    def _restore_signals(self) -> None:
        """No alarm is set, each signal does what it did, and none is held back."""
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        for number, handler in self._handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._signal_mask)

    def _leftovers(self) -> str:
        if not _threads_end(self._threads + OWN_THREADS):
            names = [thread.name for thread in all_threads() if not thread.name.startswith("jobsaga-")]
            return f"its job left threads behind ({', '.join(names[1:]) or 'unknown to threading'})"
        if _has_children() or self._left_orphans():
            return "its job left child processes behind"
        if os.nice(0) != self._nice:
            return "its job has changed its priority"
        if linux.resident_bytes() - self._memory > MEMORY_GROWTH:
            return "it has grown too large"
        return ""

    def _left_orphans(self) -> bool:
        """Programs whose own parents have ended. Looked for only if a child has ended since: that takes a while."""
        before, self._ended_children = self._ended_children, resource.getrusage(resource.RUSAGE_CHILDREN)
        return self._ended_children != before and linux.is_joined_in_session()


def flush_output() -> None:
    """Nothing of a job's output may be left in a buffer."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _threads_end(at_most: int) -> bool:
    """Is no thread left of the job's? One that has nothing to do any more gets a moment to end."""
    deadline = time.monotonic() + THREAD_GRACE
    while _thread._count() > at_most:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
