"""Our schedules against cronsim's: generated expressions, in zones whose clocks are set in different ways.

For each pair: ten random instants of ten years, and one near each change of the clock; from each the next five
occurrences.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule import as_cron, occurrences
from tests.schedule.generate import cron_text
from tests.schedule.oracle import FIRST, LAST, Oracle, changes

SECOND = timedelta(seconds=1)

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # sets its clock by half an hour
    "Africa/Casablanca",  # up to four times a year
    "America/Santiago",  # at midnight
    "Pacific/Apia",  # left out 30 December 2011
)
RANDOM_INSTANTS = 10
FOLLOWING = 5


@dataclass
class Figures:
    """What was compared, and what came of it."""

    expressions: int = 0
    by_interval: int = 0
    instants: int = 0
    occurrences: int = 0
    refereed: Counter[tuple[str, str]] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)


def compare(count: int, seed: int) -> Figures:
    """Generate ``count`` expressions and compare them in all zones."""
    rng = random.Random(seed)
    figures = Figures()
    for _ in range(count):
        text = possible(rng)
        figures.expressions += 1
        for zone in ZONES:
            compare_in(text, zone, rng, figures)
    return figures


def possible(rng: random.Random) -> str:
    """A generated expression, but none such as 30 February: both refuse those."""
    while True:
        text = cron_text(rng)
        try:
            as_cron(text)
        except InvalidSchedule as error:
            if "would never run" not in str(error):
                raise
        else:
            return text


def compare_in(text: str, zone: str, rng: random.Random, figures: Figures) -> None:
    oracle = Oracle(text, zone)
    figures.by_interval += oracle.by_interval and zone == ZONES[0]
    for instant in instants(zone, rng):
        ours = occurrences(text, instant, time_zone=zone, limit=FOLLOWING)
        theirs = oracle.occurrences(instant, FOLLOWING)
        figures.instants += 1
        figures.occurrences += len(ours)
        if ours == theirs:
            continue
        right = oracle.referee(instant, FOLLOWING)
        if ours == right:
            figures.refereed[zone, fault_of(theirs, right, instant)] += 1
        else:
            figures.unexplained.append(f"{text!r} in {zone} after {instant}: {[str(each) for each in ours]}")


def fault_of(theirs: list[datetime], right: list[datetime], instant: datetime) -> str:
    """What is wrong with what cronsim said, when the referee agrees with us."""
    if theirs[0] <= instant:
        return "goes back in time"
    if any(each not in right for each in theirs if each < right[-1]):
        return "runs at a time that it does not name"
    assert any(each not in theirs for each in right if each < theirs[-1])
    return "leaves out a time"


def instants(zone: str, rng: random.Random) -> list[datetime]:
    seconds = int((LAST - FIRST).total_seconds())
    anywhere = [FIRST + rng.randrange(seconds) * SECOND for _ in range(RANDOM_INSTANTS)]
    near = [
        change + rng.choice(NEAR) * rng.randrange(3600) * SECOND for change in changes(zone) if change < LAST
    ]
    return anywhere + near


NEAR = (-3, -1, -1, 0, 1)
"""In the three hours before a change, the last hour, exactly at it, or in the first hour after it."""
