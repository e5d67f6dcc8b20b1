"""Our schedules are cronsim's, but for what differs on purpose. ``JOBSAGA_TRIALS`` makes it that many times
longer, ``JOBSAGA_SEED`` another one; ``make soak-cron`` is the long run.
"""

from __future__ import annotations

import os

import pytest

from tests.schedule.differential import ZONES, compare
from tests.schedule.oracle import changes

TRIALS = int(os.environ.get("JOBSAGA_TRIALS", "1"))
SEED = int(os.environ.get("JOBSAGA_SEED", "1"))
PARTS = 10


@pytest.mark.timeout(120 * TRIALS)
@pytest.mark.parametrize("part", range(PARTS))
def test_generated_expressions_run_when_cronsim_says(part: int) -> None:
    figures = compare(10 * TRIALS, seed=SEED * PARTS + part)
    assert figures.unexplained == []
    assert figures.expressions == 10 * TRIALS
    assert figures.occurrences == 5 * figures.instants
    # Where cronsim is wrong, the referee has the last word; it must not have the only one.
    assert sum(figures.refereed.values()) < figures.instants / 20


def test_the_zones_set_their_clocks() -> None:
    assert {zone: len(changes(zone)) > 15 for zone in ZONES} == dict.fromkeys(ZONES, True)
