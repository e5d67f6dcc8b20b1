"""The instance's view of its warm server: how it is started, asked for children, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from django.conf import settings
from django.db import connections

from jobsaga import processes
from jobsaga.exceptions import JobSagaError
from jobsaga.worker import server
from jobsaga.worker.wire import CHUNK, Fork, Frame, Hello, encode, from_server

#: What may differ between the settings file and this process: a test has databases of its own.
DATABASE_NAMES = ("NAME", "USER", "PASSWORD", "HOST", "PORT")


class ChildrenUnavailable(JobSagaError):
    """Jobs cannot run in processes of their own here. The text says why, and what to do."""


class SiteNotLoaded(ChildrenUnavailable):
    """Not yet: loading the site waits for something, such as a database that does not answer."""


class ForkServer:
    """A server process and the socket to it. It loads the site first, and says when it is ready.

    It is a fork of this process if that *may* be and can be: one thread, no database connection.
    """

    def __init__(self, instance_properties: Mapping[str, Any], label: str, *, may_fork: bool = False) -> None:
        hello = encode(_hello(instance_properties))
        ours, theirs = processes.leash()
        with theirs:
            fork = may_fork and processes.may_fork() and not is_connected()
            self._process = (_forked if fork else _started)(theirs, f"fork server of {label}")
        self._socket = ours
        self._socket.send(hello)
        self._socket.settimeout(0)
        self.alive = True
        self.ready = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def fork(self, number: int, *, shared: bool) -> tuple[socket.socket, int]:
        """Ask for a child; returns our ends of its job socket and of its output. Raises OSError."""
        job, childs_job = socket.socketpair()
        output, childs_output = os.pipe()
        try:
            order = encode(Fork(number, shared))
            socket.send_fds(self._socket, [order], [childs_job.fileno(), childs_output])
        except OSError:
            job.close()
            os.close(output)
            raise
        finally:
            childs_job.close()
            os.close(childs_output)
        return job, output

    def receive(self) -> Iterator[tuple[Frame, list[int]]]:
        """What it has said, and the descriptors that came along. At its end ``alive`` becomes false."""
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._socket, CHUNK, 1)
            except BlockingIOError:
                return
            except ConnectionError:
                data, fds = b"", []
            if not data:
                self.alive = False
                return
            yield from_server.decode(data), fds

    def close(self, timeout: float = 10) -> None:
        """Let it end, and with it all its children. While it loads the site it has none, and hears nothing."""
        self._socket.close()
        try:
            self._process.wait(timeout if self.ready else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def is_connected() -> bool:
    """Whether this process has a connection to a database: a fork would have the same one."""
    return any(each.connection is not None for each in connections.all(initialized_only=True))


def _forked(control: socket.socket, label: str) -> processes.Forked:
    def serve() -> NoReturn:
        server.serve(control.detach())  # no other copy: the jobs' processes would inherit it

    return processes.fork(serve, name=server.NAME, title=f"jobsaga {label}")


def _started(control: socket.socket, label: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        server.command("serve", label, control=control.fileno()),
        pass_fds=[control.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _hello(instance_properties: Mapping[str, Any]) -> Hello:
    module = getattr(settings, "SETTINGS_MODULE", None)
    if not module:
        raise ChildrenUnavailable(
            "The settings of this site come from settings.configure(), so that no other process can load them. "
            "Put them into a module (DJANGO_SETTINGS_MODULE), or run jobs in the worker itself (isolation inline)."
        )
    databases = {
        alias: {name: str(connections.settings[alias][name]) for name in DATABASE_NAMES}
        for alias in connections
    }
    return Hello(module, databases, dict(instance_properties))
