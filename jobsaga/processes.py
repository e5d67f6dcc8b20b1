"""A process beside this one that has the site loaded already: a saga host, the server that forks for jobs.

Loading a site takes a core for a second, and a good part of its memory. A fork has it at once, and shares the
memory. But of all threads only the one that forks lives on in it, and a lock that another held stays locked for
ever: so a process is forked only while it has a single thread. From any other a new interpreter is started, which
loads the site itself.

A fork also holds a copy of every open descriptor. That this process has ended others see by the end of a socket, a
``leash``: a copy of it must not live on, so every fork closes all of them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn
from weakref import WeakSet

_PR_SET_NAME = 15
_LONGEST_PAUSE = 0.05

#: Our ends of the leashes of other processes.
_leashes: WeakSet[socket.socket] = WeakSet()


def leash() -> tuple[socket.socket, socket.socket]:
    """Our end and theirs. Theirs is at its end when ours is closed, or this process has ended, in whatever way."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _leashes.add(ours)
    return ours, theirs


def may_fork() -> bool:
    """Whether a fork of this process is a sound one: Linux, and no other thread."""
    return sys.platform == "linux" and len(thread_names()) == 1


class Forked:
    """A process that was forked; behaves as ``subprocess.Popen`` does."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        #: How it ended, negative for a signal; None: it has not.
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """``returncode`` as it is now."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises ``subprocess.TimeoutExpired`` after *timeout* seconds."""
        end, pause = time.monotonic() + (float("inf") if timeout is None else timeout), 0.001
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return code

    def kill(self) -> None:
        """End it by force."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def fork(run: Callable[[], object], *, name: str, title: str, stdin: int | None = None) -> Forked:
    """Run this in a fork: a session of its own, deaf to the signals that are meant for this process.

    *name* is what ``top`` shows (15 bytes), *title* its command line. *stdin* is a descriptor; None: nothing to read.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()  # or it would be printed twice
    pid = os.fork()
    if pid == 0:
        _become(run, name, title, stdin)
    return Forked(pid)


def _become(run: Callable[[], object], name: str, title: str, stdin: int | None) -> NoReturn:
    """The life of a fork. It never returns to what its parent was doing, nor does it clean up after that."""
    code: object = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for each in list(_leashes):
            each.close()
        os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if stdin is None else stdin, 0)
        name_process(name)
        show_command_line(title)
        run()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - told here, or by nobody
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError, OSError):
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def thread_names() -> list[str]:
    """The names of all threads of this process, also those that Python does not know. Linux only."""
    names = []
    for task in os.listdir("/proc/self/task"):
        with suppress(OSError), open(f"/proc/self/task/{task}/comm") as file:
            names.append(file.read().strip())
    return names


def name_process(name: str) -> None:
    """What ``ps -o comm`` and ``top`` show; 15 bytes. Linux only."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15])


def show_command_line(title: str) -> None:
    """What ``ps`` shows of a fork, in place of its parent's command line and no longer than that. Linux only."""
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end: fields 48 and 49, counted from 1
    if start and end > start + 1:
        room = end - start
        ctypes.memmove(start, title.encode()[: room - 1].ljust(room, b"\0"), room)
