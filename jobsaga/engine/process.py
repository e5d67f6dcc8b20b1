"""A saga host in a process of its own, beside the worker that started it.

It lives as long as its standard input is open: when the worker has said its last word it closes the other
end, and when the worker is killed the system does. No signals reach it but by its own process id: it has a session
of its own, and ignores what asks it to stop, so it still decides while the worker winds down.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from jobsaga import processes
from jobsaga.pulse import Pulse, no_pulse

if TYPE_CHECKING:
    from jobsaga.engine.host import SagaHost

NAME = "jobsaga-sagas"
TITLE = "jobsaga saga host"
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from jobsaga.engine.process import main; main()"
)


class SagaProcess:
    """A saga host as its worker sees it.

    It is a fork of this process if that *may* be and can be; else a new interpreter with this process' Python path,
    environment and settings module. ``health`` is where it gives signs of life.
    """

    def __init__(self, *, may_fork: bool, health: Path | None = None) -> None:
        self._leash, theirs = processes.leash()
        self._process: processes.Forked | subprocess.Popen[bytes]
        with theirs:
            if may_fork and processes.may_fork():
                self._process = processes.fork(
                    partial(run, health), name=NAME, title=TITLE, stdin=theirs.fileno()
                )
            else:
                command = [sys.executable, "-c", BOOT, json.dumps(sys.path), TITLE, str(health or "")]
                self._process = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)

    @property
    def code(self) -> int | None:
        """How it ended; None: it has not."""
        return self._process.poll()

    def close(self, timeout: float = 30) -> bool:
        """Let it finish its lap and end. False: it took longer than *timeout* seconds, and was killed."""
        self._leash.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return False
        return True


def main() -> None:
    """Be a saga host that was not forked: load the site first."""
    import django

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    processes.name_process(NAME)
    django.setup()
    run(Path(sys.argv[3]) if sys.argv[3] else None)


def run(health: Path | None = None) -> None:
    """Run a saga host until standard input ends."""
    from jobsaga.engine.host import SagaHost
    from jobsaga.engine.site import make_engine
    from jobsaga.logs import show_logs

    show_logs()
    host = SagaHost(make_engine(), pulse=Pulse(health).beat if health else no_pulse)
    gc.freeze()  # the site stays loaded: the collector need not walk over it again and again
    Thread(target=_stop_at_end_of_input, args=(host,), name="jobsaga-parent-watch", daemon=True).start()
    host.run()
    host.engine.transport.close()


def _stop_at_end_of_input(host: SagaHost) -> None:
    while os.read(0, 4096):
        pass
    host.stop()
