"""The whole demo, as `make demo` plays it where there is no terminal: real workers, a kill -9, every check."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).parents[2]


@pytest.mark.process
@pytest.mark.sqlite
@pytest.mark.timeout(300)
def test_the_demo_ends_as_it_should(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("DJANGO", "JOBSAGA"))
    }
    played = subprocess.run(
        [sys.executable, "manage.py", "demo", "--dir", tmp_path / "demo"],
        cwd=BASE_DIR,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert played.returncode == 0, f"{played.stdout}\n{played.stderr}"
    assert "failed" not in played.stdout
    assert "0 twice" in played.stdout
