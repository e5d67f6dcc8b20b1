"""The warm server: a process that has loaded the site and only forks.

It is single-threaded, holds no database connection, and never runs user code, so that a fork of it is a clean
start in milliseconds and its children share its memory. It is itself forked from the worker, or a new interpreter.
It waits for its children, since only a parent can learn how one ended, and ends their process groups when they or
the instance end.

Where loading the site starts threads (agents, some libraries), a fork could leave their locks locked for ever:
then each child is started as a new interpreter, which loads the site itself.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from jobsaga import processes
from jobsaga.worker import linux
from jobsaga.worker.wire import (
    CHUNK,
    Exited,
    Fork,
    Forked,
    ForkFailed,
    Frame,
    Hello,
    ServerFailed,
    ServerReady,
    encode,
    to_server,
)

log = logging.getLogger("jobsaga.worker")

NAME = "jobsaga-server"
#: What a new interpreter is told to do: take the caller's path first, so that it finds the same modules.
BOOT = (
    "import json, sys; arguments = json.loads(sys.argv[1]); sys.path[:] = arguments.pop('path'); "
    "from jobsaga.worker.server import {entry}; {entry}(**arguments)"
)


def command(entry: str, label: str, **arguments: int) -> list[str]:
    """The command line of a new interpreter that calls ``entry`` of this module."""
    told = json.dumps({"path": sys.path, **arguments})
    return [sys.executable, "-c", BOOT.format(entry=entry), told, f"jobsaga {label}"]


def serve(control: int) -> NoReturn:
    """Be a server: told by the instance through the socket ``control``."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    processes.name_process(NAME)
    os.set_inheritable(control, False)  # noqa: FBT003 - no child may hold it: its end means the instance's
    instance = socket.socket(fileno=control)
    told = instance.recv(CHUNK)
    if not told:
        sys.exit(0)  # the instance did not live so long
    hello = to_server.decode(told)
    try:
        load_site(hello)
    except BaseException:  # noqa: BLE001 - the instance shall tell what is wrong with the site
        instance.send(encode(ServerFailed(traceback.format_exc()[-50_000:])))
        sys.exit(1)
    threads = processes.thread_names()
    gc.collect()
    gc.freeze()
    instance.send(encode(ServerReady(threads if len(threads) > 1 else [])))
    Server(instance, hello, may_fork=len(threads) == 1).run()
    sys.exit(0)


def load_site(hello: Hello) -> None:
    """Everything that can be loaded once for all children; no database connection is left open."""
    os.environ["DJANGO_SETTINGS_MODULE"] = hello.settings_module
    import django
    from django.conf import settings

    for alias, names in hello.databases.items():
        settings.DATABASES[alias].update(names)
    django.setup()
    from jobsaga.worker import connections, process_child, shared_child  # noqa: F401 - loaded for the children

    with suppress(Exception):
        _load_urls()
    with suppress(Exception):
        _load_database_driver()
    connections.close_everything()


def spawned(job: int, output: int, hello: int, shared: int) -> NoReturn:
    """Be a child that was not forked: load the site, then go on as the others."""
    from jobsaga.worker import child

    child.enter(output, os.getppid())
    with os.fdopen(hello, "rb") as file:
        told = to_server.decode(file.read())
    load_site(told)
    child.main(socket.socket(fileno=job), told, shared=bool(shared))


class Server:
    """Forks on demand, and waits for what it forked."""

    def __init__(self, instance: socket.socket, hello: Hello, *, may_fork: bool) -> None:
        self._instance, self._hello, self._may_fork = instance, hello, may_fork
        self._children: dict[int, tuple[int, int]] = {}  # pidfd: (number, pid)
        self._poll = select.poll()
        self._poll.register(instance, select.POLLIN)

    def run(self) -> None:
        """Serve until the instance is gone, then end all children and what they have started."""
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._children:
                    self._bury(fd)
                elif not self._obey():
                    return self._end_all()

    def _obey(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._instance, CHUNK, 2)
        except ConnectionError:
            return False
        if not data:
            return False
        fork = to_server.decode(data)
        try:
            self._make(fork, *fds)
        except (OSError, TypeError) as error:  # TypeError: no descriptor is left, and the two did not come
            self._say(ForkFailed(fork.number, str(error)))
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _make(self, fork: Fork, job: int, output: int) -> None:
        pid = self._fork(fork, job, output) if self._may_fork else self._spawn(fork, job, output)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (fork.number, pid)
        self._poll.register(pidfd, select.POLLIN)
        with suppress(OSError):
            socket.send_fds(self._instance, [encode(Forked(fork.number, pid))], [pidfd])

    def _fork(self, fork: Fork, job: int, output: int) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self._become_child(fork, job, output, parent)
            except BaseException:  # noqa: BLE001 - a child must never return into the server
                traceback.print_exc()
            finally:
                os._exit(1)
        return pid

    def _become_child(self, fork: Fork, job: int, output: int, parent: int) -> NoReturn:
        from jobsaga.worker import child

        self._instance.close()
        for pidfd in self._children:
            os.close(pidfd)
        child.enter(output, parent)
        child.main(socket.socket(fileno=job), self._hello, shared=fork.shared)

    def _spawn(self, fork: Fork, job: int, output: int) -> int:
        hello = os.memfd_create("jobsaga-hello")
        try:
            os.write(hello, encode(self._hello))
            os.lseek(hello, 0, os.SEEK_SET)
            for fd in (job, output, hello):
                os.set_inheritable(fd, True)  # noqa: FBT003 - the only way to say it
            argv = command("spawned", "child", job=job, output=output, hello=hello, shared=int(fork.shared))
            return os.posix_spawn(sys.executable, argv, os.environ)
        finally:
            os.close(hello)

    def _bury(self, pidfd: int) -> None:
        """A child has ended: so has all it started. Its number is free only after the group is gone."""
        number, pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        linux.kill_group(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        self._say(Exited(number, os.waitstatus_to_exitcode(status)))

    def _end_all(self) -> None:
        for pidfd, (_, pid) in self._children.items():
            linux.kill_group(pid, signal.SIGKILL)
            linux.signal_process(pidfd, signal.SIGKILL)
        for _, pid in self._children.values():
            os.waitpid(pid, 0)

    def _say(self, frame: Frame) -> None:
        with suppress(OSError):
            self._instance.send(encode(frame))


def _load_urls() -> None:
    """Views and what they need: most of a site's modules."""
    from django.urls import get_resolver

    get_resolver().url_patterns  # noqa: B018 - a cached property that imports


def _load_database_driver() -> None:
    """The first connection imports a lot; after this one a child's takes a third of the time."""
    from django.db import connections

    from jobsaga.conf import settings

    with connections[settings.DATABASE].cursor() as cursor:
        cursor.execute("SELECT 1")
