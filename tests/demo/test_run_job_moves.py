"""RunJob runs one at a time on all workers, and goes on elsewhere when its holder dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).parents[2]
ALL_STEPS = [f"Step {number}" for number in range(1, 11)]


@pytest.mark.process
@pytest.mark.sqlite
def test_a_run_job_goes_on_where_its_dead_holder_stopped(tmp_path: Path) -> None:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("DJANGO", "JOBSAGA"))
    }
    told = subprocess.run(
        [sys.executable, "-m", "tests.demo.run_job_moves", tmp_path / "site"],
        cwd=BASE_DIR,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    story = json.loads(told.stdout)
    before, *after = story["attempts"]
    assert before["first"]
    assert before["pid"] == story["pids"]["killed"]
    assert {attempt["pid"] for attempt in after} == {story["pids"]["other"]}
    for earlier, later in pairwise(story["attempts"]):
        assert earlier["ended"] <= later["started"]
    # A step may be logged twice if the worker died before it had saved the step, and none is left out.
    moved, other = story["lines"]
    assert sorted(set(moved), key=ALL_STEPS.index) == ALL_STEPS
    assert len(moved) <= len(ALL_STEPS) + 1
    assert other == ALL_STEPS
