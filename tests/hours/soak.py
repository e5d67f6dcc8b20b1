"""How long the long tests are, and where their figures go.

``JOBSAGA_TRIALS`` (1; 20 is the full length, which ``make soak-hours`` runs) makes them that many times longer,
``JOBSAGA_SEED`` chooses other moments, and ``JOBSAGA_SOAK`` names a folder in which each test leaves what it
measured as JSON.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

TRIALS = int(os.environ.get("JOBSAGA_TRIALS", "1"))
SEED = int(os.environ.get("JOBSAGA_SEED", "5"))
FULL = 20
ALIAS = settings.JOBSAGA["DATABASE"]


def share(of_all: int) -> int:
    """As much of the full number as belongs to this length, at least one."""
    return max(1, of_all * TRIALS // FULL)


def record(test: str, began: float, **figures: Any) -> None:
    """Keep what a test has measured; *began* is ``time.monotonic()`` at its start."""
    folder = os.environ.get("JOBSAGA_SOAK")
    if not folder:
        return
    database = connections[ALIAS].vendor
    told = {
        "test": test,
        "database": database,
        "version": _version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "took_seconds": round(time.monotonic() - began, 1),
        "trials": TRIALS,
        "seed": SEED,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        **figures,
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / f"{test}-{database}.json").write_text(json.dumps(told, indent=1) + "\n")


def _version() -> str:
    """The commit, with "-dirty" if that is not all."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
