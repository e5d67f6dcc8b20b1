"""Run the tests on every database: ``python -m tests.lanes [LANE...] [--no-processes] [-- PYTEST ARGUMENTS]``.

A lane is one database. The first runs all tests, the others again those that use the database. A lane whose
server does not answer is skipped, with the number of its tests and the reason; in CI that is a failure.
Tests with real processes come last in each lane and one at a time: they wait more than they compute, and
some of them measure.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field

from tests.databases import TITLES, why_unavailable

NO_TESTS = 5  # pytest's exit code when nothing was selected
CORES = str(min(os.cpu_count() or 1, 4))


@dataclass(frozen=True)
class Lane:
    """One way to run the tests: a kind of database, and whether jobsaga's rows are apart from the default one."""

    name: str
    database: str
    all_tests: bool = False
    processes: bool = True
    environment: dict[str, str] = field(default_factory=dict)

    def pytest(
        self, *args: str, database: str = "", capture: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run pytest in this lane, or in its name on another ``database``."""
        only = [] if self.all_tests else ["--only-database", self.database]
        environment = {**os.environ, "JOBSAGA_TEST_DATABASE": database or self.database, **self.environment}
        command = [sys.executable, "-m", "pytest", *only, *args]
        return subprocess.run(command, env=environment, text=True, capture_output=capture, check=False)

    def count(self, args: list[str]) -> int:
        """How many tests it has. They are only collected, on SQLite, so no server is needed."""
        listing = self.pytest("--collect-only", "-q", *args, database="sqlite", capture=True).stdout
        found = re.findall(r"^(?:(\d+)/)?(\d+) tests? collected", listing, re.MULTILINE)
        return int(found[-1][0] or found[-1][1]) if found else 0


LANES = [
    Lane("sqlite", "sqlite", all_tests=True),
    Lane("alias", "sqlite", processes=False, environment={"JOBSAGA_TEST_DEFAULT_DATABASE": "sqlite"}),
    Lane("postgresql", "postgresql"),
    Lane("mariadb", "mariadb"),
]


def run(lane: Lane, args: list[str], processes: bool) -> str:
    """Run one lane; gives "passed", "FAILED" or "no tests"."""
    phases = [["-m", "not process", "-n", CORES]]
    if processes and lane.processes:
        phases.append(["-m", "process"])
    codes = set()
    for phase in phases:
        print(f"\n== {lane.name}: {phase[1]}", flush=True)
        codes.add(lane.pytest(*phase, *args).returncode)
    # With a selection of the caller's own a phase or a lane may be empty; without one, that is a mistake.
    if args and codes == {NO_TESTS}:
        return "no tests"
    return "passed" if codes <= ({0, NO_TESTS} if args else {0}) else "FAILED"


def main() -> int:
    options, args = _arguments()
    lanes = [lane for lane in LANES if not options.lanes or lane.name in options.lanes]
    missing = {lane.name: reason for lane in lanes if (reason := why_unavailable(lane.database))}
    if missing and os.environ.get("CI") == "true":
        print(
            *(f"In CI no lane may be missing, but {name}: {why}" for name, why in missing.items()), sep="\n"
        )
        return 1
    lines, results = [], set()
    for lane in lanes:
        started = time.monotonic()
        if lane.name in missing:
            lines.append(
                f"skipped: {lane.count(args)} tests need {TITLES[lane.database]}, but {missing[lane.name]}"
            )
            continue
        result = run(lane, args, options.processes)
        results.add(result)
        lines.append(f"{lane.name}: {result} in {time.monotonic() - started:.0f} s")
    print("\n== lanes", *lines, sep="\n")
    return int("FAILED" in results or results == {"no tests"})


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    given = sys.argv[1:]
    split = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(prog="python -m tests.lanes", description=__doc__)
    parser.add_argument("lanes", nargs="*", metavar="LANE", help=", ".join(lane.name for lane in LANES))
    parser.add_argument("--no-processes", dest="processes", action="store_false")
    options = parser.parse_args(given[:split])
    if unknown := set(options.lanes) - {lane.name for lane in LANES}:
        parser.error(f"no such lane: {', '.join(sorted(unknown))}")
    return options, given[split + 1 :]


if __name__ == "__main__":
    sys.exit(main())
