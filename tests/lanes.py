"""Run the tests on every database: ``python -m tests.lanes [LANE...] [--no-processes] [--whole] [-- FOR PYTEST]``.

A lane is one database. The first runs all tests, the others again those that use the database, or that ask it
themselves; those with RabbitMQ its own tests, and of the others those that show most of it (``--whole``: all). A lane
whose server does not answer is skipped, with the number of its tests and the reason; in CI that is a failure. A
RabbitMQ that is installed and does not run is started for the time of the tests.
Tests with real processes come last in each lane: they would starve beside the others, and some of them measure.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests import brokers
from tests.databases import TITLES, why_unavailable
from tests.private_broker import PrivateBroker, why_no_broker, why_no_node

NO_TESTS = 5  # pytest's exit code when nothing was selected
CORES = min(os.cpu_count() or 1, 4)
PROCESS_TESTS_AT_ONCE = str(CORES + 1)


@dataclass(frozen=True)
class Lane:
    """One way to run the tests: a kind of database, and whether jobsaga's rows are apart from the default one."""

    name: str
    database: str
    all_tests: bool = False
    processes: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    #: Which tests it has, if not all.
    paths: tuple[str, ...] = ()

    @property
    def has_broker(self) -> bool:
        """Whether messages go through RabbitMQ."""
        return "JOBSAGA_TEST_TRANSPORT" in self.environment

    @property
    def title(self) -> str:
        """What it needs."""
        return TITLES[self.database] + " and RabbitMQ" * self.has_broker

    def why_missing(self) -> str:
        """Why it cannot run here; empty: it can."""
        return why_unavailable(self.database) or (why_no_node() if self.has_broker else "")

    def pytest(
        self, *args: str, database: str = "", capture: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run pytest in this lane, or in its name on another ``database``."""
        only = [] if self.all_tests else ["--only-database", self.database]
        environment = {**os.environ, "JOBSAGA_TEST_DATABASE": database or self.database, **self.environment}
        chosen = any(os.path.exists(each.partition("::")[0]) for each in args)
        command = [sys.executable, "-m", "pytest", *only, *args, *(() if chosen else self.paths)]
        return subprocess.run(command, env=environment, text=True, capture_output=capture, check=False)

    def count(self, args: list[str]) -> int:
        """How many tests it has. They are only collected, on SQLite, so no server is needed."""
        listing = self.pytest("--collect-only", "-q", *args, database="sqlite", capture=True).stdout
        found = re.findall(r"^(?:(\d+)/)?(\d+) tests? collected", listing, re.MULTILINE)
        return int(found[-1][0] or found[-1][1]) if found else 0


#: With --whole a lane with RabbitMQ has all that submits, decides or runs: half an hour.
WHOLE = tuple(
    f"tests/{each}"
    for each in ("transport", "engine", "client", "conformance", "worker", "hours", "cli", "faults", "remote")
)
RABBITMQ = {"JOBSAGA_TEST_TRANSPORT": "rabbitmq"}
ITS_OWN = (
    "tests/transport/test_rabbitmq.py",
    "tests/transport/test_rabbitmq_broker.py",
    "tests/worker/test_announcing.py",
    "tests/engine/test_twice.py",
    "tests/engine/test_transient.py",
    "tests/conformance/test_one_worker.py",
    "tests/faults/test_killed.py",
)
LOST_WORKERS = "tests/conformance/test_lost_workers.py"
LANES = [
    Lane("sqlite", "sqlite", all_tests=True),
    Lane(
        "alias",
        "sqlite",
        processes=False,
        environment={"JOBSAGA_TEST_DEFAULT_DATABASE": "sqlite"},
        # Whoever asks a database. The engine reaches it by the store alone.
        paths=(
            *(f"tests/{each}" for each in ("client", "live", "store", "cli", "hours", "remote", "transport")),
            "tests/worker",
            "tests/test_admin.py",
        ),
    ),
    Lane("postgresql", "postgresql"),
    Lane("mariadb", "mariadb"),
    Lane(
        "rabbitmq",
        "postgresql",
        environment=RABBITMQ,
        paths=(
            *ITS_OWN,
            "tests/transport/test_rabbitmq_access.py",
            "tests/transport/test_listening.py",
            "tests/engine/test_promises.py",
            f"{LOST_WORKERS}::test_d09_k10_k11_a_worker_vanishes_and_its_jobs_run_elsewhere",
            f"{LOST_WORKERS}::test_e02_a_job_that_does_not_listen_to_the_shutdown",
            f"{LOST_WORKERS}::test_k12_k13_a_stopping_worker_takes_no_more_jobs",
            "tests/transport/test_rabbitmq_events.py",
            "tests/remote/test_client.py",
            "tests/remote/test_requests.py",
            "tests/remote/test_site.py",
            "tests/remote/test_docs.py",
            "tests/faults/test_broker.py",
            "tests/faults/test_events.py",
            "tests/faults/test_topologies.py",
            "tests/hours/test_hour_broker.py",
            "tests/deploy/test_services.py",
        ),
    ),
    Lane(
        "rabbitmq-mariadb",
        "mariadb",
        environment=RABBITMQ,
        paths=(
            *ITS_OWN,
            f"{LOST_WORKERS}::test_e02_shutdown_hands_over_and_restart_resumes",
        ),
    ),
]


def run(lane: Lane, args: list[str], processes: bool) -> str:
    """Run one lane; gives "passed", "FAILED" or "no tests"."""
    others = "" if lane.has_broker else " and not rabbitmq"
    phases = [["-m", f"not process{others}", "-n", str(CORES)]]
    if processes and lane.processes:
        # They wait more than they compute. The next that is free takes what another has not begun.
        phases.append(["-m", f"process{others}", "-n", PROCESS_TESTS_AT_ONCE, "--dist", "worksteal"])
    codes = set()
    for phase in phases:
        print(f"\n== {lane.name}: {phase[1]}", flush=True)
        codes.add(lane.pytest(*phase, *args).returncode)
    # With a selection of the caller's own a phase or a lane may be empty; without one, that is a mistake.
    if args and codes == {NO_TESTS}:
        return "no tests"
    return "passed" if codes <= ({0, NO_TESTS} if args else {0}) else "FAILED"


@contextmanager
def a_broker(lanes: list[Lane]) -> Iterator[None]:
    """See to it that one answers, if it is needed and can be had."""
    if not any(lane.has_broker for lane in lanes) or not why_no_broker() or why_no_node():
        yield
        return
    broker = PrivateBroker(Path(tempfile.mkdtemp(prefix="jobsaga-rabbitmq-")))
    try:
        broker.start()
        os.environ["JOBSAGA_TEST_AMQP_URL"] = broker.url
        yield
    finally:
        broker.close()


def main() -> int:
    options, args = _arguments()
    lanes = [lane for lane in LANES if not options.lanes or lane.name in options.lanes]
    if options.whole:
        lanes = [replace(lane, paths=WHOLE) if lane.has_broker else lane for lane in lanes]
    missing = {lane.name: reason for lane in lanes if (reason := lane.why_missing())}
    if missing and os.environ.get("CI") == "true":
        print(
            *(f"In CI no lane may be missing, but {name}: {why}" for name, why in missing.items()), sep="\n"
        )
        return 1
    with a_broker([lane for lane in lanes if lane.name not in missing]):
        if any(lane.has_broker and lane.name not in missing for lane in lanes) and (wrong := _wrong_broker()):
            print(wrong)
            return 1
        lines, results = _run_all(lanes, missing, args, options.processes)
    print("\n== lanes", *lines, sep="\n")
    return int("FAILED" in results or results == {"no tests"})


def _wrong_broker() -> str:
    """Say which RabbitMQ it is; why it is not the one that the caller means, or an empty string: it is."""
    found, meant = brokers.version(), os.environ.get("JOBSAGA_TEST_RABBITMQ_VERSION", "")
    print(f"== RabbitMQ {found}", flush=True)
    return "" if meant in ("", found) else f"The tests would use RabbitMQ {found}, and {meant} is meant."


def _run_all(
    lanes: list[Lane], missing: dict[str, str], args: list[str], processes: bool
) -> tuple[list[str], set[str]]:
    """One after the other; a line for each, and what came out."""
    lines: list[str] = []
    results: set[str] = set()
    for lane in lanes:
        started = time.monotonic()
        if lane.name in missing:
            lines.append(f"skipped: {lane.count(args)} tests need {lane.title}, but {missing[lane.name]}")
            continue
        result = run(lane, args, processes)
        results.add(result)
        lines.append(f"{lane.name}: {result} in {time.monotonic() - started:.0f} s")
    return lines, results


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    given = sys.argv[1:]
    split = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(prog="python -m tests.lanes", description=__doc__)
    parser.add_argument("lanes", nargs="*", metavar="LANE", help=", ".join(lane.name for lane in LANES))
    parser.add_argument("--no-processes", dest="processes", action="store_false")
    parser.add_argument("--whole", action="store_true", help="all tests over RabbitMQ, not a selection")
    options = parser.parse_args(given[:split])
    if unknown := set(options.lanes) - {lane.name for lane in LANES}:
        parser.error(f"no such lane: {', '.join(sorted(unknown))}")
    return options, given[split + 1 :]


if __name__ == "__main__":
    sys.exit(main())
