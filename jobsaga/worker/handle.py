"""The instance's view of one child: its socket, its output, its life."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from jobsaga.messages import CancelKind
from jobsaga.worker import linux
from jobsaga.worker.output import Output
from jobsaga.worker.running import Running
from jobsaga.worker.wire import CHUNK, Unpacker, from_child, pack


class Life(Enum):
    """What a child is doing, as far as the instance knows."""

    FORKING = "asked for"
    IDLE = "waits for work"
    WORKING = "works"
    TIDYING = "tidies up after a job"
    RETIRING = "gets no new work, and goes when the rest has ended"
    LEAVING = "was told to go, or killed"


class ChildHandle:
    """One child. ``deadline`` is when its present state has lasted too long.

    ready: it has said so. unwanted: it was told to go. died: its process has ended. blocked: it does not take
    what is said to it.
    """

    def __init__(
        self, number: int, job: socket.socket, output: int, monotonic: Callable[[], float], *, shared: bool
    ) -> None:
        job.settimeout(0)
        self.number, self.shared = number, shared
        self.job, self.output = job, Output(output, monotonic)
        self.output.speaker = "shared child" if shared else ""
        self._monotonic = monotonic
        self._unpacker = Unpacker(from_child)
        self._outgoing = bytearray()
        self.pid: int | None = None
        self.pidfd: int | None = None
        self.attempts: dict[UUID, Running] = {}
        self.jobs = 0
        self.heard_at = monotonic()
        self.ready = self.unwanted = self.died = self.blocked = False
        self.be(Life.FORKING)

    def be(self, life: Life, at_most: float | None = None) -> None:
        """Note its new state, and how many seconds that may last."""
        self.life, self.since = life, self._monotonic()
        self.deadline = None if at_most is None else self.since + at_most

    def tell(self, frame: msgspec.Struct) -> None:
        """Put it into the outgoing buffer."""
        self._outgoing += pack(frame)

    def flush(self) -> bool:
        """Send as much as goes without waiting; False if something is left."""
        while self._outgoing:
            try:
                sent = self.job.send(self._outgoing)
            except BlockingIOError:
                return False
            except OSError:
                self._outgoing.clear()
            else:
                del self._outgoing[:sent]
        return True

    def hear(self) -> list[Any] | None:
        """What it has said, up to a chunk; None when nothing can come any more.

        A job that wrote into a socket that is not its own has ended the conversation, too.
        """
        if self._unpacker.garbled:
            return None
        try:
            data = self.job.recv(CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self._unpacker.feed(data) if data else None

    @property
    def is_cut_off(self) -> bool:
        """Can nothing more be heard of it, although it lives?"""
        return self._unpacker.garbled

    def forgive(self, now: float) -> None:
        """If it was silent, it was us who did not listen."""
        self.heard_at = now
        for running in self.attempts.values():
            running.stir(now)

    def last_words(self) -> Iterator[Any]:
        """All that it has said before it ended."""
        while frames := self.hear():
            yield from frames

    def last_call(self, kind: CancelKind) -> None:
        """Let it end what its job has started, and raise JobCancellation in the job."""
        if self.pidfd is not None:
            linux.signal_process(self.pidfd, linux.LAST_CALL[kind])

    def dismiss(self) -> None:
        """It has nothing to do: let it go by itself."""
        self.unwanted = True
        with suppress(OSError):
            self.job.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """End it, and all that its jobs have started, now."""
        self.dismiss()
        if self.pid is not None:
            linux.kill_group(self.pid, signal.SIGKILL)
        if self.pidfd is not None:
            linux.signal_process(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Nothing of it is needed any more."""
        self.job.close()
        self.output.drain()
        self.output.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
