"""An instance with process jobs, one of which has started a program, and a thread job, for a test that kills it."""

from __future__ import annotations

import json
import sys

import django


def main() -> None:
    django.setup()
    from jobsaga.worker.children import ChildProcesses
    from tests.worker.driving import Driver

    executor = ChildProcesses(label="doomed")
    job, thread = Driver(executor, "process"), Driver(executor, "thread")
    program = job.log_of(job.start("run_a_subprocess"), "started").data or {}
    hog = job.log_of(job.start("hold_the_gil"), "counting").data or {}
    sleeper = thread.log_of(thread.start("sleep"), "sleeping").data or {}
    server = executor._nursery._server
    assert server is not None
    pids = {
        "server": server.pid,
        "job": program["pid"],
        "program": program["child"],
        "shared": sleeper["pid"],
        "hog": hog["pid"],
    }
    print(json.dumps(pids), flush=True)
    while True:
        executor.poll(1)


if __name__ == "__main__":
    sys.exit(main())
