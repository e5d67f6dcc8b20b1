"""From a commit to the pages that show it: ``make bench-live``. Exit code 1 if anything was lost or came twice.

On each database a web server with many sockets and a page in Chromium follow writers in processes of their own.
Writers hold some transactions open, so that numbers become visible out of order; one writer is killed in the middle
of a transaction; the server is restarted once, and sockets come back with the number up to which they know.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.once import fresh_database
from benchmarks.sockets import Crowd
from tests.databases import TITLES, server_url, why_unavailable

JOBS, WRITERS = 40, 4
SETTLED = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.one:
        print(json.dumps(_run(options)))
        return 0
    chosen = list(TITLES) if options.database == "all" else [options.database]
    results = []
    for kind in chosen:
        if reason := why_unavailable(kind):
            print(f"{TITLES[kind]} is not measured: {reason}", file=sys.stderr)
            continue
        results.append(_apart(kind, options))
        print(_line(results[-1]), flush=True)
    report = _report(results)
    if options.out:
        Path(options.out).write_text(report)
        Path(options.out).with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    print(report)
    return 1 if any(result["lost"] or result["doubled"] for result in results) else 0


def _apart(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """One database in a process of its own, since a process has one settings module."""
    chosen = kind if kind == "sqlite" else server_url(kind)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.live",
        "--one",
        "--sockets",
        str(options.sockets),
    ]
    done = subprocess.run(
        [*command, "--seconds", str(options.seconds)],
        env={**os.environ, "JOBSAGA_TEST_DATABASE": chosen, "DJANGO_SETTINGS_MODULE": "tests.settings",
             "DJANGO_ALLOW_ASYNC_UNSAFE": "1"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return {"database": TITLES[kind], **json.loads(done.stdout.splitlines()[-1])}


def _run(options: argparse.Namespace) -> dict[str, Any]:
    import django

    django.setup()
    from django.db import connections

    from tests.live.browsing import Server, chromium, session_of, superuser, visit
    from tests.settings import RUN_DIRECTORY

    RUN_DIRECTORY.mkdir(exist_ok=True)

    with fresh_database(), tempfile.TemporaryDirectory() as directory, chromium() as browser:
        jobs = _jobs()
        server = Server.start(Path(directory))
        user = superuser()
        cookie = session_of(user, server)
        crowd = Crowd(server.port, f"{cookie['name']}={cookie['value']}", jobs, options.sockets)
        with visit(browser, server, user) as looking:
            page = looking.go("/jobs/jobs/")
            page.locator('#connection[data-kind="live"]').wait_for()
            page.evaluate(WATCH)
            begin = time.time()
            crowd.start()
            written = _write(server, jobs, options.seconds / 2)
            seen_on_page = [each for each in page.evaluate("window.seen") if each[2] / 1000 > begin]
        server.stop()
        during = time.time()
        Path(directory, "again").mkdir()
        again = Server.start(Path(directory, "again"), port=server.port)
        restarted = time.time()
        crowd.wait_until_back()
        written += _write(again, jobs, options.seconds / 2)
        time.sleep(SETTLED)
        crowd.stop()
        again.stop()
        connections.close_all()  # those of Playwright's own context: nobody else could close them
    return _judged(crowd, written, seen_on_page, away=restarted - during)


#: Notes each version that a row of the page shows, and when.
WATCH = """() => {
  window.seen = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      if (target.dataset?.job) seen.push([target.dataset.job, Number(target.dataset.version), Date.now()]);
    }
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["data-version"] });
}"""


def _jobs() -> list[str]:
    from tests.engine.places import DatabasePlace
    from tests.engine.world import World

    return [str(each) for each in World(DatabasePlace(None)).submit_many(JOBS, "bench.Live")]


def _write(server: Any, jobs: list[str], seconds: float) -> list[dict[str, Any]]:
    """What the writers have committed. The last one is killed halfway, in the middle of a transaction."""
    share = len(jobs) // WRITERS
    writers = [
        server.site.start("benchmarks.writer", str(seconds), *jobs[n * share : (n + 1) * share])
        for n in range(WRITERS)
    ]
    threading.Event().wait(seconds / 2)
    writers[-1].process.kill()
    for each in writers:
        each.process.wait()
    lines = [line for each in writers for line in each.log().splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines]


def _judged(
    crowd: Crowd,
    written: list[dict[str, Any]],
    on_page: list[list[Any]],
    *,
    away: float,
) -> dict[str, Any]:
    delays, doubled, lost = [], 0, 0
    for socket in crowd.sockets:
        doubled += socket.doubled
        seen = [(socket.first_at(each["job"], each["version"], each["at"]), each["at"]) for each in written]
        lost += sum(at is None for at, _ in seen)
        delays += [at - since for at, since in seen if at is not None]
    page = [min(at) - each["at"] for each in written if (at := _shown(on_page, each))]
    return {
        "sockets": len(crowd.sockets), "events": len(written), "socket": _spread(delays), "page": _spread(page),
        "lost": lost, "doubled": doubled, "reconnects": sum(each.reconnects for each in crowd.sockets),
        "server_away_s": round(away, 1), "load": os.getloadavg()[0],
    }  # fmt: skip


def _shown(on_page: list[list[Any]], each: dict[str, Any]) -> list[float]:
    """When the page had this version of the job, or a later one."""
    return [at / 1000 for job, version, at in on_page if job == each["job"] and version >= each["version"]]


def _spread(delays: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(delays) or [0.0]

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000)

    return {"n": len(delays), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0)}


def _line(result: dict[str, Any]) -> str:
    return f"{result['database']}: {result['socket']} page {result['page']} lost {result['lost']}"


HEAD = """---
orphan: true
---

# From a commit to the page

Measured by `make bench-live`, which writes this page. The time begins before the writer's COMMIT and ends when the
message is at the socket, or in Chromium when the row has changed. Writers hold transactions open, so that numbers
appear out of order; one is killed in the middle of a transaction; the web server is restarted halfway.

| Database | Sockets | Commits | Socket p50, p99, max ms | Page p50, p99, max ms | Lost | Twice | Reconnects | Load |
|---|--:|--:|---|---|--:|--:|--:|--:|"""


def _report(results: list[dict[str, Any]]) -> str:
    said = [HEAD]
    for each in results:
        spreads = [[str(each[where][key]) for key in ("p50", "p99", "max")] for where in ("socket", "page")]
        socket, page = map(", ".join, spreads)
        said.append(
            f"| {each['database']} | {each['sockets']} | {each['events']} | {socket} | {page} | {each['lost']} "
            f"| {each['doubled']} | {each['reconnects']} | {each['load']:.1f} |"
        )
    said += [
        "",
        "Load: the machine's, of its two cores, at the end of the run; above 2 others had work on it too.",
    ]
    return "\n".join(said) + "\n"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--database", choices=[*TITLES, "all"], default="all", help="all: those that answer")
    parser.add_argument("--sockets", type=int, default=200, metavar="N", help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=60, metavar="N", help="of writing (%(default)s)")
    parser.add_argument(
        "--out", metavar="FILE", help="write the report here, and all numbers beside it as JSON"
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
