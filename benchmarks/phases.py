"""What is measured. Each phase gives a dict of numbers; the worker runs in processes of its own."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from statistics import quantiles
from typing import Any

from django.conf import settings

from benchmarks.jobs import OneByOne
from benchmarks.workers import Cpu, Worker
from jobsaga import submit_job, submit_jobs
from jobsaga.models import JobSaga

STALLED = 60.0
GLANCE = 0.05
LONGEST_GAP = 0.2
ONE_BY_ONE = 10

Numbers = dict[str, Any]


class Stalled(Exception):
    """Nothing has ended for a long time."""


def submit_single(make: Callable[[], object], count: int) -> Numbers:
    """Submit one at a time, each in a transaction of its own, while no worker runs."""
    times = []
    for _ in range(count):
        begun = time.monotonic()
        submit_job(make())
        times.append(time.monotonic() - begun)
    return {"submit_per_s": count / sum(times), **_percentiles("submit", times)}


def submit_bulk(make: Callable[[], object], count: int) -> Numbers:
    """Submit all in one call."""
    begun = time.monotonic()
    submit_jobs([make() for _ in range(count)])
    return {"bulk_per_s": count / (time.monotonic() - begun)}


def drain(worker: Worker, count: int) -> Numbers:
    """From the moment when a tenth is done, so that the worker's start is not counted, to the last record."""
    first, begun = _wait_until_ended(count // 10)
    before = Cpu.now(worker, settings.DATABASES["default"])
    _, ended = _wait_until_ended(count)
    after = Cpu.now(worker, settings.DATABASES["default"])
    done, seconds = count - first, ended - begun
    numbers = {"drain_per_s": done / seconds, "worker_ms": 1000 * (after.worker - before.worker) / done}
    known = after.worker - before.worker
    if before.server is not None and after.server is not None:
        numbers["server_ms"] = 1000 * (after.server - before.server) / done
        known += after.server - before.server
    numbers["others_cores"] = max(0.0, after.machine - before.machine - known) / seconds
    return numbers


def idle_latency(make: Callable[[int], object], count: int) -> Numbers:
    """From the call of submit_job to the first line of user code, on a worker with nothing else to do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(STALLED)
        times = []
        for _ in range(count):
            time.sleep(random.uniform(0.05, LONGEST_GAP))
            begun = time.monotonic()
            submit_job(make(ear.getsockname()[1]))
            try:
                times.append(float(ear.recv(100)) - begun)
            except TimeoutError:
                raise Stalled(f"a job did not start within {STALLED:.0f} s") from None
    return _percentiles("latency", times)


def both_at_once(make: Callable[[], object], count: int) -> Numbers:
    """Submit one at a time while the worker runs; until the last is recorded."""
    ended = _all_ended()
    begun = time.monotonic()
    for _ in range(count):
        submit_job(make())
    submitted = time.monotonic()
    _, last = _wait_until_ended(ended + count)
    return {"both_per_s": count / (last - begun), "both_submit_per_s": count / (submitted - begun)}


def one_by_one() -> Numbers:
    """Ten jobs of 50 ms, of a type with limit 1: how long until the last is recorded."""
    ended = _all_ended()
    begun = time.monotonic()
    submit_jobs([OneByOne() for _ in range(ONE_BY_ONE)])
    _, last = _wait_until_ended(ended + ONE_BY_ONE)
    return {"one_by_one_s": last - begun}


def _all_ended() -> int:
    """How many jobs there are, once all have ended: the last one of the phase before is not this phase's."""
    return _wait_until_ended(JobSaga.objects.count())[0]


def _ended() -> int:
    return JobSaga.objects.filter(finished_at__isnull=False).count()


def _wait_until_ended(count: int) -> tuple[int, float]:
    """How many had ended then, and when; raises Stalled when nothing goes on."""
    seen, at = -1, time.monotonic()
    while True:
        ended, now = _ended(), time.monotonic()
        if ended >= count:
            return ended, now
        if ended > seen:
            seen, at = ended, now
        elif now - at > STALLED:
            raise Stalled(f"{ended} of {count} jobs have ended, and no other for {STALLED:.0f} s")
        time.sleep(GLANCE)


def _percentiles(name: str, seconds: list[float]) -> Numbers:
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {f"{name}_p50_ms": 1000 * cuts[49], f"{name}_p99_ms": 1000 * cuts[98]}
