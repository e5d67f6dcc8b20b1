"""A saga host in a process of its own, beside the worker that started it.

It lives as long as its standard input is open: when the worker has said its last word it closes the other
end, and when the worker is killed the system does. Signals of the terminal do not reach it (it has a session
of its own), so it still decides while the worker winds down.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobsaga.engine.host import SagaHost

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from jobsaga.engine.process import main; main()"
)


def start() -> subprocess.Popen[bytes]:
    """Start a saga host with this process' Python path, environment and settings module."""
    command = [sys.executable, "-c", BOOT, json.dumps(sys.path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def main() -> None:
    """Run a saga host until standard input ends."""
    import django

    django.setup()
    from jobsaga.engine.host import SagaHost
    from jobsaga.engine.site import make_engine
    from jobsaga.logs import show_logs

    show_logs()
    host = SagaHost(make_engine())
    gc.freeze()  # the site stays loaded: the collector need not walk over it again and again
    Thread(target=_stop_at_end_of_input, args=(host,), name="jobsaga-parent-watch", daemon=True).start()
    host.run()
    host.engine.transport.close()


def _stop_at_end_of_input(host: SagaHost) -> None:
    while os.read(0, 4096):
        pass
    host.stop()
