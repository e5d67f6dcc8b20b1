"""A database that drops connections, is away, or is busy: what runs goes on, and ends once."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from uuid import UUID

import pytest
from django.db import OperationalError, connections

from jobsaga import submit_job, submit_jobs
from jobsaga.models import JobInstance
from jobsaga.models.workers import InstanceState
from tests import brokers
from tests.databases import server_url, settings_for
from tests.faults.conftest import attempts_of, state_of, walking
from tests.faults.ledger import ALIAS, Ledger, problems
from tests.jobsapp.jobs.faults import Deed, TaskDeed, ThreadDeed
from tests.processes import Site

HOST = "jobsaga-sagas"


def drop_connections() -> int:
    """End all connections to the test's database but ours; how many."""
    connection = connections[ALIAS]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
            )
            return int(cursor.fetchone()[0])
        cursor.execute(
            "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        )
        ids = [row[0] for row in cursor.fetchall()]
        for each in ids:
            with suppress(OperationalError):  # it has just gone by itself
                cursor.execute("KILL %s", [each])
        return len(ids)


def has_completed(job_id: UUID) -> bool:
    return state_of(job_id) == "Completed"


@pytest.mark.postgresql
@pytest.mark.mariadb
def test_dropped_connections_disturb_no_job(site: Site, ledger: Ledger) -> None:
    """Also not one that saves between two of the drops: outside of a transaction it just connects again."""
    worker = site.worker()
    steady = [submit_job(kind("tick", {"seconds": 4})) for kind in (Deed, ThreadDeed)]
    steady.append(submit_job(TaskDeed(args={"seconds": 4})))
    saving = submit_job(Deed("walk", {"steps": 60}))
    walking(site, ledger, saving)
    site.wait_for(lambda: all(state_of(job_id) == "Started" for job_id in steady), what="all to run")
    quick: list[UUID] = []
    dropped = 0
    for _ in range(3):
        quick += submit_jobs([Deed("tick", {"seconds": 0.2}) for _ in range(2)])
        dropped += drop_connections()
        site.wait_for(partial(has_completed, quick[-2]), what="the next job to end")
    assert dropped >= 9
    jobs = [*steady, saving, *quick]
    site.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), 40, "all to end")
    assert [len(attempts_of(job_id)) for job_id in jobs] == [1] * len(jobs)
    assert worker.alive
    assert JobInstance.objects.using(ALIAS).get().state == InstanceState.RUNNING
    assert problems(ledger, jobs) == []


@pytest.mark.sqlite
def test_a_killed_saga_host_is_started_again(site: Site, ledger: Ledger) -> None:
    worker = site.worker()
    long = submit_job(Deed("tick", {"seconds": 4}))
    site.wait_for(lambda: ledger.stays(long), what="the job to run")
    jobs = [long]
    for _ in range(3):
        jobs += submit_jobs([Deed("tick", {"seconds": 0.05}) for _ in range(20)])
        host = worker.find(HOST)
        assert host is not None
        os.kill(host, signal.SIGKILL)
        site.wait_for(lambda host=host: worker.find(HOST) not in (host, None), what="a new host")  # type: ignore[misc]
    site.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), 60, "all to end")
    assert [len(attempts_of(job_id)) for job_id in jobs] == [1] * len(jobs)
    assert problems(ledger, jobs) == []


@contextmanager
def database_away() -> Iterator[None]:
    """Within the block nobody but this test can reach the test's database (PostgreSQL)."""
    import psycopg

    name = connections[ALIAS].settings_dict["NAME"]
    server = settings_for(server_url("postgresql"))
    connections[ALIAS].close()
    login = {"host": server["HOST"], "port": server["PORT"] or 5432, "user": server["USER"]}
    with psycopg.connect(**login, password=server["PASSWORD"], dbname="postgres", autocommit=True) as outside:
        outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            outside.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND usename = current_user",
                [name],
            )
            yield
        finally:
            outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@pytest.mark.postgresql
def test_a_database_that_is_away_when_jobs_end_turns_no_success_into_failure(
    site: Site, ledger: Ledger
) -> None:
    worker = site.worker()
    jobs = [submit_job(kind("tick", {"seconds": 2})) for kind in (Deed, ThreadDeed)]
    jobs.append(submit_job(TaskDeed(args={"seconds": 2})))
    site.wait_for(lambda: all(state_of(job_id) == "Started" for job_id in jobs), what="all to run")
    with database_away():
        site.wait_for(lambda: all(ledger.stays(job_id)[0].stopped for job_id in jobs), what="the jobs to end")
        if brokers.IS_CHOSEN:  # the reports are at the broker, and the saga host can do nothing with them
            told, failed = site.host, "The saga host could not do its work"
        else:
            told, failed = worker, "Reports could not be sent"
        assert told is not None
        site.wait_for(lambda: told.log().count(failed) >= 3, what="reports to fail")
    site.wait_for(
        lambda: all(state_of(job_id) == "Completed" for job_id in jobs), what="the reports to count"
    )
    assert [len(attempts_of(job_id)) for job_id in jobs] == [1] * 3
    assert worker.alive
    assert problems(ledger, jobs) == []
    later = submit_job(Deed("tick", {"seconds": 0.1}))
    site.wait_for(lambda: state_of(later) == "Completed", what="a later job to run")


@pytest.mark.postgresql
def test_a_worker_without_database_ends_its_jobs_before_others_get_them(quick: Site, ledger: Ledger) -> None:
    """Longer than the lease: it ends them itself, and comes back when the database does."""
    worker = quick.worker()
    job_id = submit_job(Deed("tick", {"seconds": 30}))
    quick.wait_for(lambda: state_of(job_id) == "Started", what="the job to run")
    child = ledger.stays(job_id)[0].pid
    with database_away():
        quick.wait_for(lambda: child not in worker.tree(), 10, "the job to be ended")
    quick.wait_for(lambda: len(ledger.stays(job_id)) == 2, 30, "the job to run again")
    assert worker.alive
    assert attempts_of(job_id)[0].outcome == "Suspect"
    first, second = ledger.stays(job_id)
    assert first.end < second.begin


@pytest.mark.sqlite
def test_a_busy_sqlite_is_no_lost_lease(quick: Site, ledger: Ledger) -> None:
    """Someone writes for longer than the lease; jobs run on, and what they reported counts."""
    worker = quick.worker()
    short, long = (submit_job(Deed("tick", {"seconds": seconds})) for seconds in (1, 8))
    quick.wait_for(lambda: state_of(short) == state_of(long) == "Started", what="both to run")
    with sqlite3.connect(connections[ALIAS].settings_dict["NAME"], isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        quick.wait_for(lambda: ledger.stays(short)[0].stopped, what="the short job to end")
        begin = ledger.stays(long)[0].end
        quick.wait_for(lambda: ledger.stays(long)[0].end > begin + 5, what="the lease to pass")
        other.execute("ROLLBACK")
    other.close()
    quick.wait_for(lambda: state_of(short) == state_of(long) == "Completed", what="both to end")
    assert [len(attempts_of(job_id)) for job_id in (short, long)] == [1, 1]
    assert "lost its lease" not in worker.log()
    assert problems(ledger, [short, long]) == []
