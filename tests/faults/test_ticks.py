"""A schedule of one second, four saga hosts, and a random SIGKILL about every second: no tick twice, none missed.

The hosts are processes of their own, and the worker is another, which is left alone: what is tried here is who takes
an occurrence, not what becomes of its run. Sometimes all hosts are killed at once. Ticks that came while none lived
may be missed, and are followed by one run; so may those that came, with the one after them, while a run took its time.

``JOBSAGA_TRIALS`` makes it that many times longer, ``JOBSAGA_SEED`` another one. ``make soak-schedule`` is 300 ticks,
and writes what it saw into docs/soak.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db import connections

from jobsaga import Every, add_or_update_recurring_job, get_job_state
from jobsaga.models import DeadLetter, JobAttemptSaga, JobHistory
from jobsaga.schedule import occurrences
from tests.faults.conftest import Figure, wait_for_workers
from tests.faults.ledger import ALIAS, OPEN, Ledger
from tests.jobsapp.jobs.faults import Deed
from tests.processes import Site, Worker

TRIALS = int(os.environ.get("JOBSAGA_TRIALS", "1"))
SEED = int(os.environ.get("JOBSAGA_SEED", "3"))
SOAK = os.environ.get("JOBSAGA_SOAK")
HOSTS = 4
SECOND = timedelta(seconds=1)
#: A tick is owed if some host was up all the time from it until so much later.
OWED_WITHIN = SECOND
#: All hosts die at once with every so many strikes.
OUTAGE_EVERY = 40


def now() -> datetime:
    """The database is on this machine."""
    return datetime.now(UTC)


@dataclass
class Host:
    """One life of a saga host. It is up from when the test has seen its first word in the log."""

    worker: Worker
    up_at: datetime | None = None
    killed_at: datetime | None = None

    @property
    def up(self) -> bool:
        if self.up_at is None and "saga host is ready" in self.worker.log():
            self.up_at = now() + SECOND / 2
        return self.killed_at is None and self.was_up(now())

    def was_up(self, at: datetime) -> bool:
        return self.up_at is not None and self.up_at <= at and (self.killed_at is None or at < self.killed_at)


@dataclass
class Hosts:
    """Those that live, and those that lived."""

    site: Site
    random: Random
    living: list[Host] = field(default_factory=list)
    lives: list[Host] = field(default_factory=list)
    strikes: list[int] = field(default_factory=list)

    def owe(self, tick: datetime) -> bool:
        moments = [tick + n * OWED_WITHIN / 20 for n in range(21)]
        return all(any(host.was_up(at) for host in self.lives) for at in moments)

    @property
    def up(self) -> list[Host]:
        return [host for host in self.living if host.up]

    def start(self) -> None:
        while len(self.living) < HOSTS:
            host = Host(self.site.worker("--sagas-only"))
            self.living.append(host)
            self.lives.append(host)

    def wait_until_up(self) -> None:
        self.site.wait_for(lambda: self.up, 60, what="a saga host")

    def strike(self) -> None:
        """Kill some of them, and start as many. One that is surely up stays, unless all are to go."""
        outage = len(self.strikes) % OUTAGE_EVERY == OUTAGE_EVERY - 1
        stays = None if outage else self.random.choice(self.up)
        others = [host for host in self.living if host is not stays]
        victims = others if outage else self.random.sample(others, self.random.randint(1, len(others)))
        for victim in victims:
            victim.killed_at = now()
            self.site.kill_tree(victim.worker)
            self.living.remove(victim)
        self.strikes.append(len(victims))
        if outage:
            time.sleep(self.random.uniform(1, 3))  # nobody looks
        self.start()
        if outage:
            self.wait_until_up()


@pytest.mark.timeout(120 + 30 * TRIALS)
def test_promise_8_each_tick_is_run_once_while_saga_hosts_are_killed(
    quick: Site, ledger: Ledger, figure: Figure
) -> None:
    vendor = connections[ALIAS].vendor
    ticks = TRIALS * (15 if vendor == "postgresql" else 6)
    hosts = Hosts(quick, Random(SEED))
    hosts.start()
    quick.worker("--jobs-only", "--job-type", "jobsapp.Deed")
    wait_for_workers(quick, 1, 60)  # five processes start at once
    hosts.wait_until_up()
    first = (now() + 2 * SECOND).replace(microsecond=0)
    last = first + (ticks - 1) * SECOND
    job_id = add_or_update_recurring_job("tick", Deed(), Every(seconds=1), start=first, end=last)
    deadline = time.monotonic() + ticks + 30
    while get_job_state(job_id).current_state != "Completed":
        assert time.monotonic() < deadline, f"{get_job_state(job_id)}\n{quick.log()}"
        time.sleep(hosts.random.uniform(0.1, 1.4))  # the random moment
        if hosts.up:
            hosts.strike()
    report = Report.of(
        job_id, ledger, hosts, occurrences("* * * * * *", first - SECOND, end=last, limit=ticks)
    )
    report.write(vendor)
    figure(f"{ticks} ticks, {sum(hosts.strikes)} hosts killed on {vendor}: at most late by", max(report.late))
    assert report.problems == [], f"JOBSAGA_SEED={SEED}, strikes {hosts.strikes}\n{quick.log()}"


@dataclass
class Report:
    """What was run, for which tick, and how late."""

    ticks: list[dict[str, Any]]
    strikes: list[int]
    problems: list[str]

    @property
    def late(self) -> list[float]:
        return [tick["late"] for tick in self.ticks if tick["late"] is not None]

    @classmethod
    def of(cls, job_id: Any, ledger: Ledger, hosts: Hosts, expected: list[datetime]) -> Report:
        attempts = {
            each.id: each
            for each in JobAttemptSaga.objects.using(ALIAS).filter(job_id=job_id).order_by("created_at")
        }
        begun = Counter(attempts[stay.attempt].scheduled_for for stay in ledger.stays(job_id))
        taken = Counter(
            JobHistory.objects.using(ALIAS)
            .filter(job_id=job_id, kind="JobSlotWaitElapsed")
            .values_list("run", flat=True)
        )
        overrun = {
            tick
            for each in attempts.values()
            if each.ended_at is not None and each.ended_at - each.created_at > SECOND
            for tick in expected
            if each.created_at < tick and tick + SECOND <= each.ended_at
        }
        first_start = {each.scheduled_for: each.created_at for each in reversed(attempts.values())}
        ticks = [
            {
                "tick": tick.isoformat(),
                "owed": hosts.owe(tick) and tick not in overrun,
                "runs": begun[tick],
                "late": (first_start[tick] - tick).total_seconds() if tick in first_start else None,
            }
            for tick in expected
        ]
        return cls(ticks, hosts.strikes, [
            *(f"no tick: {at}" for at in begun if at not in expected),
            *(f"twice: {each}" for each in ticks if each["runs"] > 1),
            *(f"missed: {each}" for each in ticks if each["owed"] and each["runs"] == 0),
            *(f"before its time: {each}" for each in ticks if (each["late"] or 0) < 0),
            *(f"run {run} was taken {count} times" for run, count in taken.items() if count > 1),
            *(f"open: attempt {each.id}" for each in attempts.values() if each.state in OPEN or each.holds_slot),
            *(f"dead letter: {each}" for each in DeadLetter.objects.using(ALIAS).all()),
        ])  # fmt: skip

    def write(self, vendor: str) -> None:
        """For ``make soak-schedule``: everything, so that others can count it again."""
        if SOAK is None:
            return
        late = sorted(self.late)
        figures = {
            "ticks": len(self.ticks),
            "owed": sum(tick["owed"] for tick in self.ticks),
            "saga hosts killed": f"{sum(self.strikes)}, at {len(self.strikes)} moments",
            "runs": sum(tick["runs"] for tick in self.ticks),
            "ticks that were run twice": sum(tick["runs"] > 1 for tick in self.ticks),
            "missed while a host lived": sum(tick["owed"] and not tick["runs"] for tick in self.ticks),
            "missed while none lived": sum(not tick["owed"] and not tick["runs"] for tick in self.ticks),
            "late, in the middle": f"{late[len(late) // 2]:.3f} s",
            "late, 95 of 100": f"less than {late[len(late) * 95 // 100]:.3f} s",
            "late, at most": f"{late[-1]:.3f} s",
            "problems": len(self.problems),
        }
        rows = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
        page = PAGE.format(
            day=now().date(), vendor=vendor, seed=SEED, rows=rows, raw="\n".join(map(json.dumps, self.ticks))
        )
        Path(SOAK).mkdir(parents=True, exist_ok=True)
        (Path(SOAK) / "schedule.md").write_text(page)


PAGE = """---
orphan: true
---

# Soak: a job every second, and saga hosts that are killed

Written by `make soak-schedule` on {day}: four saga hosts and one worker on {vendor}, seed {seed}. About each
second one to three of the hosts are killed (SIGKILL) and others started; at every fortieth such moment all of them,
and for one to three seconds none is started. A tick is *owed* if some host was up all the time from it until a second
later, and it did not come, together with the next one, while a run took its time.

| | |
| --- | --- |
{rows}

Each tick; "late" is in seconds, from its time until its attempt was made:

```
{raw}
```
"""
