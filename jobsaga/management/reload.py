"""``runjobworker --reload``: a supervisor that starts the worker anew when the site's code changes."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from django.utils.autoreload import iter_all_python_module_files

logger = logging.getLogger("jobsaga.worker")

LOOK_EVERY = 1.0


def run_with_reload() -> int:
    """Run this same command without ``--reload`` until it ends by itself; its exit code."""
    command = [sys.executable, *_own_options(), *[each for each in sys.argv if each != "--reload"]]
    worker = subprocess.Popen(command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.send_signal(signal.SIGTERM))
    seen = _times()
    while worker.poll() is None:
        time.sleep(LOOK_EVERY)
        if _times() != seen:
            logger.info("The code has changed: the worker starts anew")
            worker.send_signal(signal.SIGTERM)
            worker.wait()
            os.execv(sys.executable, [sys.executable, *_own_options(), *sys.argv])
    return worker.returncode


def _own_options() -> list[str]:
    return ["-m", "django"] if Path(sys.argv[0]).name == "__main__.py" else []


def _times() -> dict[Path, float]:
    files = iter_all_python_module_files()
    return {path: path.stat().st_mtime for path in files if path.exists()}
