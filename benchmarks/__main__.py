"""Measure jobsaga: ``make bench``, or ``python -m benchmarks`` with options. Exit code 1 if anything went wrong.

Each run has a fresh database and a worker of its own. With ``--repeat`` the runs are interleaved, so that a
busy minute of the machine does not fall on one of them alone, and the table shows medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.table import table
from tests.databases import TITLES, server_url, why_unavailable

ISOLATIONS = ("thread", "async", "process")
CONCURRENCY = (10, 100)


class Run(NamedTuple):
    """What is measured."""

    database: str
    isolation: str
    concurrency: int

    def __str__(self) -> str:
        return f"{TITLES[self.database]}, {self.isolation}, {self.concurrency} at once"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    chosen = list(TITLES) if options.database == "all" else [options.database]
    missing = {name: reason for name in chosen if (reason := why_unavailable(name))}
    for name, reason in missing.items():
        print(f"{TITLES[name]} is not measured: {reason}", file=sys.stderr)
    if options.database in missing:
        return 1
    runs = [
        Run(database, isolation, concurrency)
        for database in chosen
        if database not in missing
        for isolation in options.isolation or ISOLATIONS
        for concurrency in options.concurrency or CONCURRENCY
    ]
    results = list(_measure(runs, options))
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    problems = [f"{result['name']}: {problem}" for result in results for problem in result["problems"]]
    print(
        *problems or ["All jobs Completed, no slot held, no attempt open, nothing wrong in any log."],
        sep="\n",
    )
    return 1 if problems else 0


def _measure(runs: list[Run], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="jobsaga-bench-") as directory:
        for number, run in enumerate(runs * options.repeat):
            print(f"{run} ...", file=sys.stderr, flush=True)
            name = f"jobsaga_bench_{os.getpid()}_{number}"
            url = (
                f"sqlite:///{directory}/{name}.sqlite3"
                if run.database == "sqlite"
                else f"{server_url(run.database).rpartition('/')[0]}/{name}"
            )
            yield {"name": str(run), **run._asdict(), "jobs": options.jobs, **_once(run, url, options)}


def _once(run: Run, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """One run in a process of its own, since a process has one settings module. Its errors go to our own."""
    numbers = map(str, (run.concurrency, options.jobs, options.probes))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.once", run.isolation, *numbers],
        env={**os.environ, "JOBSAGA_BENCH_DATABASE": url},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        result = {"problems": [f"the run ended with exit code {done.returncode} and without a result"]}
    return result


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--database", choices=[*TITLES, "all"], default="all", help="all: those that answer")
    parser.add_argument(
        "--isolation",
        choices=ISOLATIONS,
        action="append",
        help="where jobs run; may be repeated; without it all",
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        action="append",
        metavar="N",
        help="jobs at once; may be repeated; else 10 and 100",
    )
    parser.add_argument("--jobs", type=int, default=2000, metavar="N", help="to be drained (%(default)s)")
    parser.add_argument("--probes", type=int, default=100, metavar="N", help="of idle latency (%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="each run so often")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers of all runs there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
