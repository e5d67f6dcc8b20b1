"""One run: ``python -m benchmarks.once ISOLATION CONCURRENCY JOBS PROBES``. Prints its numbers as a line of JSON.

The database is named by JOBSAGA_BENCH_DATABASE; it must not exist yet, and is removed at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any


def main() -> int:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    isolation, (concurrency, jobs, probes) = sys.argv[1], map(int, sys.argv[2:])
    with fresh_database() as server:
        numbers, problems = run(isolation, concurrency, jobs, probes)
    print(json.dumps({"server": server, **numbers, "problems": problems}))
    return 1 if problems else 0


@contextmanager
def fresh_database() -> Iterator[str]:
    """Make it, with all tables; in the end remove it. Gives which server it is, and how it commits."""
    from django.db import connection

    from jobsaga.store.sqlite import prepare

    prepare("default")
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield f"{connection.display_name} {_version(connection)}: {_durability(connection)}"
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def _version(connection: Any) -> str:
    return ".".join(map(str, connection.get_database_version()))


def _durability(connection: Any) -> str:
    """Whether a commit waits for the disk, in the words of the database."""
    questions = {
        "sqlite": {"journal_mode": "PRAGMA journal_mode", "synchronous": "PRAGMA synchronous"},
        "postgresql": {"fsync": "SHOW fsync", "synchronous_commit": "SHOW synchronous_commit"},
        "mysql": {"innodb_flush_log_at_trx_commit": "SELECT @@innodb_flush_log_at_trx_commit"},
    }[connection.vendor]
    answers = []
    with connection.cursor() as cursor:
        for name, question in questions.items():
            cursor.execute(question)
            answers.append(f"{name} {cursor.fetchone()[0]}")
    return ", ".join(answers)


def run(isolation: str, concurrency: int, jobs: int, probes: int) -> tuple[dict[str, Any], list[str]]:
    """All phases, and what was wrong after them."""
    from benchmarks import checks, phases
    from benchmarks.jobs import InLoop, InProcess, InThread
    from benchmarks.workers import Worker

    make = {"thread": InThread, "async": InLoop, "process": InProcess}[isolation]
    singles, both = min(jobs, 500), min(jobs, 1000)
    numbers = phases.submit_single(make, singles) | phases.submit_bulk(make, jobs)
    with tempfile.TemporaryDirectory() as directory:
        worker = Worker(Path(directory, "worker.log"), "--concurrency", str(concurrency))
        problems: list[str] = []
        try:
            for phase in (
                partial(phases.drain, worker, singles + jobs),
                partial(phases.idle_latency, make, probes),
                partial(phases.both_at_once, make, both),
                phases.one_by_one,
            ):
                numbers |= phase()
            if code := worker.stop():
                problems.append(f"the worker's exit code is {code}")
        except (phases.Stalled, subprocess.TimeoutExpired) as error:
            problems.append(str(error))
        finally:
            worker.close()
        problems += checks.problems(singles + jobs + probes + both + phases.ONE_BY_ONE)
        problems += checks.bad_lines(worker.log())
        if problems:
            print(worker.log()[-20_000:], file=sys.stderr)
    return numbers, problems


if __name__ == "__main__":
    sys.exit(main())
