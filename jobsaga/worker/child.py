"""A child: the process in which jobs run. What its two kinds have in common is here.

The server forks it, or starts it anew, with a socket to the instance and a pipe for its output. It has a
session of its own, so that a terminal's Ctrl-C does not reach it, and a signal to its group reaches what its
jobs have started. It ends when its server ends, and when the instance does.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from threading import Thread, local
from typing import Any, NoReturn
from uuid import UUID

from jobsaga import processes
from jobsaga.messages import Message, StartJob
from jobsaga.properties import Properties
from jobsaga.worker import connections, linux
from jobsaga.worker.context import Host
from jobsaga.worker.progress import Flusher
from jobsaga.worker.runner import Attempt
from jobsaga.worker.wire import Cancel, Channel, Hello, Ready, Stirred


def enter(output: int, parent: int) -> None:
    """Turn this new process into a child: its session, its output, its signals."""
    os.setsid()
    linux.die_with_parent(parent)
    linux.prefer_as_victim()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)
    _set_signals()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def main(job_socket: socket.socket, hello: Hello, *, shared: bool) -> NoReturn:
    """Be a child until the instance is gone."""
    from jobsaga.worker.process_child import ProcessChild
    from jobsaga.worker.shared_child import SharedChild

    processes.name_process("jobsaga-shared" if shared else "jobsaga-child")
    kind: type[Child] = SharedChild if shared else ProcessChild
    kind(Channel(job_socket), Properties(hello.instance_properties)).serve()
    raise AssertionError("a child only ends with its instance")


class Child:
    """Hears what the instance says, in a thread of its own; keeps the attempts that run."""

    def __init__(self, channel: Channel, instance_properties: Properties) -> None:
        self.channel = channel
        self.attempts: dict[UUID, Attempt] = {}
        self.host = self.make_host(channel.send, instance_properties)
        self.reader = Thread(target=self._listen, name="jobsaga-reader", daemon=True)

    def make_host(self, say: Callable[[Message | Stirred], None], instance_properties: Properties) -> Host:
        """What attempts find here."""
        self.flusher = Flusher(Host.monotonic)
        return Host(
            say=say,
            progress_due=self.flusher.notify,
            stirred=lambda attempt_id: say(Stirred(attempt_id)),
            instance_properties=instance_properties,
        )

    def serve(self) -> None:
        """Work, in the main thread; never returns."""
        raise NotImplementedError

    def make_attempt(self, start: StartJob) -> Attempt:
        """An attempt as this kind of child runs it."""
        return Attempt(start, self.host)

    def begin(self, attempts: list[Attempt]) -> None:
        """Run these, but not in the calling thread."""
        raise NotImplementedError

    def say_ready(self) -> None:
        """From now on there may be work."""
        self.reader.start()
        self.channel.send(Ready())

    def _listen(self) -> None:
        try:
            while (frames := self.channel.receive()) is not None:
                self._obey(frames)
        except BaseException:  # noqa: BLE001 - a child that hears nothing more would keep its attempts for ever
            traceback.print_exc()
            os._exit(1)
        os._exit(0)  # the instance does not need this child any more, or is gone; the server ends its group

    def _obey(self, frames: list[Any]) -> None:
        begun = []
        for frame in frames:
            if isinstance(frame, Cancel):
                self._cancel(frame)
            else:
                attempt = self.attempts[frame.attempt_id] = self.make_attempt(frame)
                begun.append(attempt)
        if begun:
            self.begin(begun)

    def _cancel(self, frame: Cancel) -> None:
        attempt = self.attempts.get(frame.attempt_id)
        if attempt is None:
            return
        if attempt.token.is_cancellation_requested:
            attempt.force()
            connections.cancel_queries(frame.attempt_id)
        else:
            attempt.cancel(frame.kind, frame.reason)


def _set_signals() -> None:
    """The dispositions a program expects, but for SIGTERM: that is ignored, see ``linux.LAST_CALL``.

    A handler does it, since what is ignored stays ignored in the programs a job starts; and what a job forks
    gets the default back, or its own ``terminate()`` would do nothing. A signal that comes while it is being
    forked waits until then.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, _pass_over)
    os.register_at_fork(before=_hold_sigterm, after_in_parent=_let_sigterm_in, after_in_child=_be_terminable)


_before_fork = local()


def _pass_over(number: int, frame: object) -> None:
    pass


def _hold_sigterm() -> None:
    _before_fork.mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def _let_sigterm_in() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _before_fork.mask)


def _be_terminable() -> None:
    if signal.getsignal(signal.SIGTERM) is _pass_over:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_sigterm_in()
