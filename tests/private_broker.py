"""A RabbitMQ node of the tests' own, on a port of its own: they may kill it.

It runs as the user who runs the tests, with everything it writes in one directory. ``ctl`` asks it as an
administrator does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import randrange
from urllib.parse import urlsplit

import pika
from pika.exceptions import AMQPError

from jobsaga.transport.rabbitmq.address import Address
from tests.brokers import why_unavailable
from tests.processes import wait_for

BIN = Path("/usr/lib/rabbitmq/bin")
#: Seconds. Four when nothing else runs.
START = 150


def free_port() -> int:
    """A port that nobody uses now, and that no connection gets as its own while the node is down."""
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", randrange(20_000, 30_000))) as server:
            return int(server.getsockname()[1])


def why_no_node() -> str:
    """The reason why no node can be started here; empty: it can."""
    return "" if (BIN / "rabbitmq-server").exists() else f"there is no {BIN}/rabbitmq-server"


def why_no_broker() -> str:
    """The reason why tests with RabbitMQ cannot run here; empty: one answers, and others can be started."""
    return why_no_node() or why_unavailable()


@dataclass
class PrivateBroker:
    """One node. ``url`` is a guest's; ``more`` are lines for its rabbitmq.conf. With an ``http_port`` it has the
    management plugin there.
    """

    directory: Path
    more: str = ""
    port: int = field(default_factory=free_port)
    dist_port: int = field(default_factory=free_port)
    http_port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        config = self.directory / "rabbitmq.conf"
        http = f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.http_port}\n" * bool(
            self.http_port
        )
        config.write_text(f"listeners.tcp.local = 127.0.0.1:{self.port}\nheartbeat = 60\n{http}{self.more}\n")
        (self.directory / "plugins").write_text("[rabbitmq_management].\n" if http else "[].\n")
        with (self.directory / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [BIN / "rabbitmq-server"], env=self._environment(), stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        wait_for(self._has_started, START, "RabbitMQ to start")

    def _has_started(self) -> bool:
        said = (self.directory / "out").read_text()
        assert self._process is not None
        assert self._process.poll() is None, f"RabbitMQ has ended with {self._process.returncode}: {said}"
        return self.answers()

    def kill(self) -> None:
        """Kill -9, all of it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    def stop(self) -> None:
        """Let it take leave of everybody, as a service manager does."""
        assert self._process is not None
        self.ctl("stop")
        self._process.wait(60)

    def answers(self) -> bool:
        """Whether one can connect."""
        try:
            pika.BlockingConnection(Address(self.url).parameters).close()
        except (AMQPError, OSError):
            return False
        return True

    def ctl(self, *args: str) -> str:
        """``rabbitmqctl`` with these arguments; what it prints."""
        done = subprocess.run(
            [BIN / "rabbitmqctl", "--quiet", *args],
            env=self._environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"rabbitmqctl {args}: {done.stdout}{done.stderr}"
        return done.stdout

    def received(self) -> int:
        """How many messages it was sent since it started, by its own count."""
        counters = "maps:fold(fun(_, C, N) -> N + maps:get(messages_received_total, C, 0) end, 0, "
        return int(self.ctl("eval", f"{counters} rabbit_global_counters:overview())."))

    def close(self) -> None:
        """End it, and remove what it wrote."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        node = {
            "NODENAME": f"jobsaga-test-{self.port}@localhost",
            "DIST_PORT": str(self.dist_port),
            "MNESIA_BASE": f"{self.directory}/mnesia",
            "LOG_BASE": f"{self.directory}/log",
            "CONFIG_FILE": f"{self.directory}/rabbitmq.conf",
            "ENABLED_PLUGINS_FILE": f"{self.directory}/plugins",
            "PID_FILE": f"{self.directory}/pid",
            "CONF_ENV_FILE": f"{self.directory}/none",
        }
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("RABBITMQ_")},
            **{f"RABBITMQ_{key}": value for key, value in node.items()},
            "HOME": str(self.directory),
        }


def at(url: str, port: int) -> str:
    """The same URL, at another port of this machine."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
