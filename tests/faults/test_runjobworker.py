"""``manage.py runjobworker`` as users run it: its options, its speed, its processes."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from jobsaga import get_job_state, submit_job, submit_jobs
from jobsaga.management import hosting
from jobsaga.models import JobSaga
from tests.faults.conftest import SLACK, Figure, state_of, wait_for_workers
from tests.faults.ledger import ALIAS, Ledger, boottime, problems
from tests.jobsapp.jobs.faults import Deed, RareDeed, SoloDeed, TaskDeed, ThreadDeed
from tests.processes import Site, Worker

#: How many times longer the tests that count run: make test leaves it at 1, a soak sets it.
TRIALS = int(os.environ.get("JOBSAGA_TRIALS", "1"))
COMPLETED = JobSaga.objects.using(ALIAS).filter(completed_at__isnull=False)


@pytest.mark.sqlite
def test_until_idle_ends_when_everything_has(site: Site, ledger: Ledger) -> None:
    site.jobsaga["SUSPECT_JOB_RETRY_COUNT"] = 1
    site.jobsaga["SUSPECT_JOB_RETRY_DELAY"] = 2
    jobs = submit_jobs([Deed("tick", {"seconds": 0.2}) for _ in range(6)])
    poison = submit_job(Deed("die"))
    site.manage("runjobworker", "--until-idle")
    assert [state_of(job_id) for job_id in jobs] == ["Completed"] * 6
    assert (state_of(poison), len(ledger.stays(poison))) == ("Faulted", 2)
    assert problems(ledger, [*jobs, poison]) == []


@pytest.mark.sqlite
def test_it_sees_its_children_end_although_who_started_it_ignores_such_news(
    site: Site, ledger: Ledger
) -> None:
    site.command = (sys.executable, "-c", IGNORING)
    site.jobsaga["SUSPECT_JOB_RETRY_COUNT"] = 0
    poison, program = submit_job(Deed("die")), submit_job(Deed("end_a_program", {"code": 3}))
    site.manage("runjobworker", "--until-idle")
    assert state_of(poison) == "Faulted"
    assert "killed by signal 9" in get_job_state(poison).reason
    assert get_job_state(program).result == 3


IGNORING = (
    "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
    "os.execv(sys.executable, [sys.executable, '-m', 'django', *sys.argv[1:]])"
)


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--concurrency", "0", "whole number from 1 on, not '0'"),
        ("--concurrency", "-2", "whole number from 1 on, not '-2'"),
        ("--grace", "-1", "seconds from 0 on, not '-1'"),
        ("--grace", "nan", "seconds from 0 on, not 'nan'"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(option: str, value: str, why: str) -> None:
    with pytest.raises(CommandError, match=rf"{option}: must be a .*{why}"):
        call_command("runjobworker", f"{option}={value}")


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def table_names(*_: object) -> list[str]:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connections[ALIAS].introspection, "table_names", table_names)
    with pytest.raises(CommandError, match=rf"The database '{ALIAS}' cannot be used: connection refused$"):
        call_command("runjobworker")


def test_saga_hosts_that_end_at_once_follow_one_another_more_and_more_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[float] = []
    now = 1000.0

    class Ended:
        code = 1

        def __init__(self, **_: object) -> None:
            begun.append(now)

    monkeypatch.setattr(hosting, "SagaProcess", Ended)
    monkeypatch.setattr("jobsaga.management.hosting.time.monotonic", lambda: now)
    beside = hosting.SagasBeside("process")
    while now < 1100:
        beside.look_after()
        now += 0.25
    assert [int(after - before) for before, after in pairwise(begun)] == [1, 2, 4, 8, 16, 30, 30]
    for seconds in (30, 100, 0.5):  # the next one lives long enough
        now += seconds
        beside.look_after()
    assert begun[-2:] == [1130, 1230.5]


@pytest.mark.sqlite
@pytest.mark.parametrize("isolation", ["inline", "thread", "process"])
def test_isolation_says_where_jobs_run(site: Site, ledger: Ledger, isolation: str) -> None:
    jobs = [submit_job(kind("count_threads")) for kind in (Deed, ThreadDeed)]
    task = submit_job(TaskDeed())
    worker = site.worker("--isolation", isolation, "--until-idle")
    assert worker.process.wait(40) == 0, worker.log()
    results: list[Any] = [get_job_state(job_id).result for job_id in jobs]
    assert state_of(task) == "Completed"
    pids = {stay.pid for stay in ledger.stays()}
    assert {each["main_thread"] for each in results} == {isolation != "thread"}
    assert (pids == {worker.pid}) is (isolation == "inline")
    if isolation == "thread":
        assert len(pids) == 1


def test_promise_7_ten_short_jobs_of_limit_1_follow_on_one_another(
    site: Site, ledger: Ledger, figure: Figure
) -> None:
    site.worker()
    first = submit_job(SoloDeed())
    site.wait_for(lambda: state_of(first) == "Completed", what="the worker to be warm")
    began = boottime()
    jobs = submit_jobs([SoloDeed("sleep", {"seconds": 0.05}) for _ in range(10)])
    site.wait_for(lambda: COMPLETED.filter(id__in=jobs).count() == 10, what="all ten to end")
    took = boottime() - began
    figure("ten jobs of 50 ms took", took)
    assert took < 2 * SLACK
    assert ledger.most_at_once(ledger.stays()) == 1
    assert problems(ledger, [first, *jobs]) == []


@pytest.mark.sqlite
def test_promise_1_limits_hold_on_each_worker_and_on_all_together(site: Site, ledger: Ledger) -> None:
    """RareDeed: two on each worker, three in all; with --concurrency 1 one on each."""
    site.worker()
    site.worker()
    site.worker("--concurrency", "1")
    wait_for_workers(site, 3)
    jobs = submit_jobs([kind("tick", {"seconds": 0.3}) for kind in (RareDeed, Deed) for _ in range(12)])
    site.wait_for(lambda: COMPLETED.filter(id__in=jobs).count() == len(jobs), what="all to end")
    rare = [stay for stay in ledger.stays() if stay.type == "RareDeed"]
    others = [stay for stay in ledger.stays() if stay.type == "Deed"]
    assert ledger.most_at_once(rare) == 3
    assert 4 < ledger.most_at_once(others) <= 4 + 4 + 1
    assert problems(ledger, jobs) == []


@pytest.mark.postgresql
def test_children_are_used_again_and_memory_stays_flat(site: Site, ledger: Ledger, figure: Figure) -> None:
    """100 jobs on 4 slots use at most 5 processes; then more of them (a soak: thousands) leave no process larger."""
    worker = site.worker()
    run(site, 100)
    pids = {stay.pid for stay in ledger.stays()}
    assert len(pids) <= 5
    run(site, 100)
    before = memory(worker)
    run(site, 300 * TRIALS)
    after = memory(worker)
    grown = {pid: after[pid] - before[pid] for pid in before.keys() & after.keys()}
    assert len(grown) >= 3, "parent, fork server and saga host at least"
    figure(f"after {300 * TRIALS} jobs the process that grew most has grown by", max(grown.values()), "MB")
    assert max(grown.values()) < 4 * TRIALS**0.5, f"MB by process: {grown}"


def run(site: Site, count: int) -> None:
    wanted = COMPLETED.count() + count
    submit_jobs([Deed() for _ in range(count)])
    site.wait_for(lambda: COMPLETED.count() == wanted, 120 * TRIALS, f"{count} jobs to end")


def memory(worker: Worker) -> dict[int, float]:
    """The private memory of each of its processes, in MB."""
    return {pid: private_megabytes(pid) for pid in worker.tree()}


def private_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024
