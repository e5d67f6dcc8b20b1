"""``runjobworker --reload``: a supervisor that starts the worker anew when the site's code changes.

It runs the same command, with a word in the environment that says to the other that it is the worker.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from django.utils.autoreload import get_child_arguments, iter_all_python_module_files

logger = logging.getLogger("jobsaga.worker")

LOOK_EVERY = 1.0
SUPERVISED = "JOBSAGA_SUPERVISED"


def is_supervised() -> bool:
    """Whether this is the worker of a supervisor. What it starts itself is not told so."""
    return os.environ.pop(SUPERVISED, None) is not None


def run_with_reload() -> int:
    """Run this same command as a worker until it ends by itself; its exit code."""
    worker = subprocess.Popen(get_child_arguments(), env={**os.environ, SUPERVISED: "1"})
    signal.signal(signal.SIGTERM, lambda *_: worker.send_signal(signal.SIGTERM))
    signal.signal(signal.SIGINT, lambda *_: None if _in_foreground() else worker.send_signal(signal.SIGTERM))
    seen = _times()
    while worker.poll() is None:
        time.sleep(LOOK_EVERY)
        if _times() != seen:
            logger.info("The code has changed: the worker starts anew")
            worker.send_signal(signal.SIGTERM)
            worker.wait()
            os.execv(sys.executable, get_child_arguments())
    return worker.returncode


def _in_foreground() -> bool:
    """Whether Ctrl-C in the terminal reaches us: then it has reached the worker, too."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def _times() -> dict[Path, float]:
    files = iter_all_python_module_files()
    return {path: path.stat().st_mtime for path in files if path.exists()}
