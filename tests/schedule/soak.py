"""The long differential run: ``python -m tests.schedule.soak [EXPRESSIONS] [SEED]``; it writes docs/soak/cron.md."""

from __future__ import annotations

import platform
import random
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from jobsaga.schedule import next_after
from jobsaga.schedule.cron import read_cron
from tests.schedule.differential import FOLLOWING, RANDOM_INSTANTS, ZONES, Figures, compare
from tests.schedule.generate import cron_text
from tests.schedule.oracle import FIRST, LAST, changes

RESULT = Path(__file__).resolve().parents[2] / "docs" / "soak" / "cron.md"
PART = 50

TIMED = (
    "*/5 * * * * *",
    "0 */15 * * * MON,WED,FRI",
    "0 0,15,30,45 * 1,15 * MON",
    "0 30 3 * * *",
    "0 0 3 LW * *",
    "0 0 0 29 2 *",
    "@every 5400s",
)

PAGE = """---
orphan: true
---

# Soak: schedules against cronsim

Written by `make soak-cron` on {day}: Python {python}, croniter {croniter}, cronsim {cronsim}, time zones {tzdata}.

{expressions:,} generated expressions ({by_interval:,} of intervals, {fixed:,} of fixed times) in {zones} time zones:
for each pair {random} random instants from {first} to {last} and one near each change of the clock, and the next
{following} occurrences of each. Seed {seed}, {minutes:.1f} minutes of one core.

| | |
| --- | --- |
| instants | {instants:,} |
| occurrences | {occurrences:,} |
| the same as cronsim's | {same:,} instants |
| not the same, and the referee agrees with us | {refereed:,} instants |
| unexplained | {unexplained} |

cronsim is given each expression with the differences on purpose spelled out (`tests/schedule/oracle.py` lists
them). Where it still answers something else, a referee tries each time of each hour:

| time zone | clock set | what cronsim does there | instants |
| --- | --- | --- | --- |
{faults}

## What an evaluation costs

Microseconds of one core, the mean of 500 calls of `next_after`, each asked with the last answer. Reading a text
for the first time takes {read:.0f} (the mean of 500 generated ones); it is cached.

| schedule | UTC | Europe/Berlin |
| --- | --- | --- |
{costs}
"""


def main(expressions: int = 2000, seed: int = 1) -> int:
    started = time.process_time()
    total = Figures()
    for part in range(expressions // PART):
        add(total, compare(PART, seed=seed * 1_000_000 + part))
        print(
            f"{total.expressions} expressions, {total.occurrences} occurrences, {len(total.unexplained)} unexplained"
        )
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(page(total, seed, time.process_time() - started))
    print(*total.unexplained, sep="\n")
    return 1 if total.unexplained else 0


def add(total: Figures, part: Figures) -> None:
    total.expressions += part.expressions
    total.by_interval += part.by_interval
    total.instants += part.instants
    total.occurrences += part.occurrences
    total.refereed += part.refereed
    total.unexplained += part.unexplained


def page(figures: Figures, seed: int, seconds: float) -> str:
    refereed = sum(figures.refereed.values())
    faults = [
        f"| {zone} | {len([each for each in changes(zone) if each < LAST])} times | {fault} | {count:,} |"
        for (zone, fault), count in sorted(figures.refereed.items())
    ]
    costs = [f"| `{text}` | {cost(text, 'UTC'):.0f} | {cost(text, 'Europe/Berlin'):.0f} |" for text in TIMED]
    return PAGE.format(
        day=datetime.now(UTC).date(),
        python=platform.python_version(),
        croniter=version("croniter"),
        cronsim=version("cronsim"),
        tzdata=zone_version(),
        expressions=figures.expressions,
        by_interval=figures.by_interval,
        fixed=figures.expressions - figures.by_interval,
        zones=len(ZONES),
        random=RANDOM_INSTANTS,
        first=FIRST.year,
        last=LAST.year - 1,
        following=FOLLOWING,
        seed=seed,
        minutes=seconds / 60,
        instants=figures.instants,
        occurrences=figures.occurrences,
        same=figures.instants - refereed - len(figures.unexplained),
        refereed=refereed,
        unexplained=len(figures.unexplained),
        faults="\n".join(faults),
        read=reading_cost(seed),
        costs="\n".join(costs),
    )


def cost(text: str, zone: str, calls: int = 500) -> float:
    now = next_after(text, datetime(2026, 1, 1, tzinfo=UTC), time_zone=zone)
    started = time.process_time()
    for _ in range(calls):
        assert now is not None
        now = next_after(text, now, time_zone=zone)
    return (time.process_time() - started) / calls * 1e6


def reading_cost(seed: int) -> float:
    rng = random.Random(seed)
    texts = [cron_text(rng) for _ in range(500)]
    spent = 0.0
    for text in texts:
        started = time.process_time()
        try:
            read_cron.__wrapped__(text)
        except ValueError:
            continue
        spent += time.process_time() - started
    return spent / len(texts) * 1e6


def zone_version() -> str:
    """The first line of the system's table is "# version 2026a"; without one the package is used."""
    table = Path("/usr/share/zoneinfo/tzdata.zi")
    if table.exists():
        return table.read_text().split(maxsplit=3)[2]
    return version("tzdata")


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
