"""How long the pages, the API and the admin's lists take on a large site: ``make bench-pages``.

A database of its own on PostgreSQL is filled (minutes), each address is asked for several times, and each statement
is timed. What takes longer than the promise is explained by the database itself. ``--keep`` leaves the database
there, for the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.databases import server_url, settings_for

PROMISE_MS = 100
NAME = "jobsaga_bench_pages"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    url = f"{server_url('postgresql').rpartition('/')[0]}/{NAME}"
    os.environ.update(JOBSAGA_TEST_DATABASE=url, DJANGO_SETTINGS_MODULE="tests.settings")
    is_new = _create(url)
    import django

    django.setup()
    from django.core.management import call_command

    if is_new:
        from benchmarks.rows import fill

        call_command("migrate", verbosity=0)
        fill(options.jobs)
    lines = [_measure(name, address, options.repeat) for name, address in _addresses()]
    report = _report(lines)
    print(report)
    if options.out:
        Path(options.out).with_suffix(".json").write_text(json.dumps(lines, indent=1) + "\n")
        Path(options.out).write_text(report)
    if not options.keep:
        _drop(url)
    return 1 if any(line["slowest_ms"] > PROMISE_MS for line in lines) else 0


def _server(url: str) -> Any:
    import psycopg

    known = settings_for(url)
    return psycopg.connect(
        host=known["HOST"], port=known["PORT"] or None, user=known["USER"], password=known["PASSWORD"],
        dbname="postgres", autocommit=True,
    )  # fmt: skip


def _create(url: str) -> bool:
    with _server(url) as server:
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
            return False
        server.execute(f'CREATE DATABASE "{NAME}"')
    return True


def _drop(url: str) -> None:
    from django.db import connections

    connections.close_all()
    with _server(url) as server:
        server.execute(f'DROP DATABASE "{NAME}"')


def _addresses() -> list[tuple[str, str]]:
    """What is asked for: every page, the searches that people do, the API's lists, and the admin's."""
    from jobsaga.models import JobSaga
    from jobsaga.sagas.states import JobStates

    def one(state: JobStates) -> Any:
        return JobSaga.objects.filter(state=state.value).order_by("-id").values_list("id", flat=True)[0]

    deep = JobSaga.objects.order_by("id").values_list("id", flat=True)[1000]
    running, ended, failed, waiting = map(
        one, (JobStates.STARTED, JobStates.COMPLETED, JobStates.FAULTED, JobStates.WAITING_FOR_SLOT)
    )
    pages = {
        "Now": "", "Jobs": "jobs/", "Jobs, far back": f"jobs/?before={deep}", "Job types": "types/",
        "Job type": "types/app1.Type1/", "Workers": "workers/", "Schedules": "schedules/", "Failures": "failures/",
        "Activity": "activity/", "Activity of people": "activity/?by=people", "Health": "health/",
        "Dead letters": "letters/", "Job that runs": f"jobs/{running}/", "Job that has ended": f"jobs/{ended}/",
        "Job that failed": f"jobs/{failed}/", "Job that waits": f"jobs/{waiting}/",
        **{f"Jobs, `{q}`": "jobs/?q=" + q for q in SEARCHES},
    }  # fmt: skip
    lists = {f"API {name}".replace(str(ended), "ID").replace(str(running), "ID"): f"/api/{name}" for name in (
        "jobs", f"jobs/{ended}", "v1/jobs", "v1/jobs?q=state:faulted", f"v1/jobs/{running}", "v1/types", "v1/workers",
        "v1/stats", "v1/health", "v1/metrics",
    )}  # fmt: skip
    admin = {f"Admin {name}": f"/admin/jobsaga/{name}/" for name in (
        "jobsaga", "jobattemptsaga", "jobhistory", "jobtypesaga", "jobinstance", "deadletter",
    )}  # fmt: skip
    admin["Admin job"] = f"/admin/jobsaga/jobsaga/{ended}/change/"
    return [*((name, f"/jobs/{path}") for name, path in pages.items()), *lists.items(), *admin.items()]


SEARCHES = (
    "state:running", "state:waiting", "state:faulted", "state:completed type:Type3", "type:Type7", "id:7f3a91c2",
    "error:TimeoutError", "error:nowhere", "reason:nowhere", "prop.tenant:t17", "prop.tenant:nobody", "attempts:>1",
    "attempts:>9", "age:>2h", "run:>5m", "run:>30d", "finished:<24h", "nowhere-at-all",
)  # fmt: skip


def _measure(name: str, address: str, repeat: int) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = _client()
    took, asked, slow = [], [], {}
    for turn in range(repeat + 1):
        with CaptureQueriesContext(connection) as seen:
            begun = time.perf_counter()
            answer = client.get(address)
            took_ms = (time.perf_counter() - begun) * 1000
        if turn == 0:
            continue  # the first one fills the caches
        took.append(took_ms)
        ours = [each for each in seen.captured_queries if "jobsaga_" in each["sql"]]
        asked.append(len(ours))
        for number, each in enumerate(ours):
            slow.setdefault((number, each["sql"][:90]), []).append((float(each["time"]) * 1000, each["sql"]))
    worst = max(slow.values(), key=lambda each: statistics.median(ms for ms, _ in each), default=[(0.0, "")])
    line: dict[str, Any] = {
        "name": name, "address": address, "status": answer.status_code, "p50_ms": round(statistics.median(took), 1),
        "max_ms": round(max(took), 1), "statements": max(asked),
        "slowest_ms": round(statistics.median(ms for ms, _ in worst), 1), "slowest": worst[0][1],
    }  # fmt: skip
    if line["slowest_ms"] > PROMISE_MS:
        line["explained"] = _explained(line["slowest"])
    print(
        f"{line['p50_ms']:9.1f} {line['slowest_ms']:9.1f} {line['statements']:4} {answer.status_code} {name}",
        flush=True,
    )
    return line


def _client() -> Any:
    from django.contrib.auth import get_user_model
    from django.test import Client

    users = get_user_model().objects
    user = users.filter(username="ada").first() or users.create_superuser("ada")
    client = Client()
    client.force_login(user)
    return client


def _explained(sql: str) -> list[str]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}".replace("%", "%%"), [])
        return [row[0] for row in cursor.fetchall()]


def _report(lines: list[dict[str, Any]]) -> str:
    """As Markdown: the figures, then what the database says of the statements that were slow."""
    from jobsaga.models import JobHistory, JobSaga

    jobs, history, load = JobSaga.objects.count(), JobHistory.objects.count(), os.getloadavg()[1]
    said = [
        "---", "orphan: true", "---", "", "# The pages on a large site", "",
        f"PostgreSQL with {jobs:,} jobs and {history:,} lines of history. Each address was asked for several times in",
        "one process, and its statements for jobsaga's tables were timed. `make bench-pages` writes this page.", "",
        f"The machine has {os.cpu_count()} cores; its load in the last five minutes was {load:.1f}. Where that is more",
        "than the cores, the times are mostly those of waiting for one.", "",
        "| What | Page p50 ms | Page max ms | Statements | Slowest statement ms |", "|---|--:|--:|--:|--:|",
        *(f"| {line['name']} | {line['p50_ms']} | {line['max_ms']} | {line['statements']} | {line['slowest_ms']} |"
          for line in lines), "",
    ]  # fmt: skip
    slow = [line for line in lines if line["slowest_ms"] > PROMISE_MS]
    if not slow:
        said.append(f"No statement took longer than {PROMISE_MS} ms.")
    for line in slow:
        said += [f"## {line['name']}", "", "```text", line["slowest"], "", *line["explained"], "```", ""]
    return "\n".join(said).rstrip() + "\n"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--repeat", type=int, default=5, metavar="N", help="each address so often (%(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="leave the database for the next time")
    parser.add_argument(
        "--out", metavar="FILE", help="write the report here, and all numbers beside it as JSON"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
