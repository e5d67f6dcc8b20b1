"""Jobs that keep a ledger: a file outside the database that says what user code really did, and when.

Each line is one write to a file opened with O_APPEND, so that lines of several processes never mix, and what was
written before a kill stays. The tests of faults join it with what the sagas say.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from django.conf import settings
from django.db import transaction

from jobsaga import AttemptSuperseded, JobConsumer, JobContext, JobOptions, Retry

LEDGER = "JOBSAGA_TEST_LEDGER"


def note(context: JobContext[Any], event: str, **more: object) -> None:
    line = {
        "event": event,
        "job": str(context.job_id),
        "attempt": str(context.attempt_id),
        "pid": os.getpid(),
        "at": time.clock_gettime(time.CLOCK_BOOTTIME),
        **more,
    }
    file = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


@dataclass
class Deed:
    """What to do: the name of a function below, and its arguments."""

    what: str = "nothing"
    args: dict[str, Any] = field(default_factory=dict)


class SoloDeed(Deed):
    """One at a time on each worker."""


class RareDeed(Deed):
    """Two at a time on each worker, three in all."""


@dataclass
class KeyedDeed(Deed):
    """One at a time of each tenant, on all workers together."""

    tenant: str = ""


class ThreadDeed(Deed):
    pass


class TaskDeed(Deed):
    pass


class CrowdDeed(Deed):
    """Many at a time, in one event loop."""


class TimedDeed(Deed):
    """Has a second, and one retry."""


class TimedTaskDeed(Deed):
    pass


TIMED: dict[str, Any] = {"job_timeout": 1, "job_cancellation_timeout": 0.5, "retry": Retry.immediate(1)}


class DeedConsumer(JobConsumer[Deed]):
    options = JobOptions(concurrent_job_limit=4, job_cancellation_timeout=2)

    def run(self, context: JobContext[Any]) -> object:
        progress, state = context.last_progress_value, context.try_get_job_state()
        note(context, "start", type=type(context.job).__name__, progress=progress, state=state)
        try:
            return DEEDS[context.job.what](context, **context.job.args)
        finally:
            note(context, "stop")


class SoloDeedConsumer(JobConsumer[SoloDeed]):
    options = JobOptions(concurrent_job_limit=1)
    run = DeedConsumer.run


class RareDeedConsumer(JobConsumer[RareDeed]):
    options = JobOptions(concurrent_job_limit=2, global_concurrent_job_limit=3)
    run = DeedConsumer.run


class KeyedDeedConsumer(JobConsumer[KeyedDeed]):
    options = JobOptions(
        concurrent_job_limit=4, concurrency_key=lambda deed: deed.tenant, concurrency_per_key=1
    )
    run = DeedConsumer.run


class ThreadDeedConsumer(JobConsumer[ThreadDeed]):
    options = JobOptions(concurrent_job_limit=4, job_cancellation_timeout=2, isolation="thread")
    run = DeedConsumer.run


class TimedDeedConsumer(JobConsumer[TimedDeed]):
    options = JobOptions(concurrent_job_limit=4, **TIMED)
    run = DeedConsumer.run


class TaskDeedConsumer(JobConsumer[TaskDeed]):
    options = JobOptions(concurrent_job_limit=4, job_cancellation_timeout=2)

    async def run(self, context: JobContext[Any]) -> object:
        note(context, "start", type=type(context.job).__name__)
        try:
            await asyncio.sleep(context.job.args.get("seconds", 0))
        finally:
            note(context, "stop")
        return None


class CrowdDeedConsumer(JobConsumer[CrowdDeed]):
    options = JobOptions(concurrent_job_limit=50)
    run = TaskDeedConsumer.run


class TimedTaskDeedConsumer(JobConsumer[TimedTaskDeed]):
    options = JobOptions(concurrent_job_limit=4, **TIMED)
    run = TaskDeedConsumer.run


def nothing(context: JobContext[Any]) -> object:
    return None


def sleep(context: JobContext[Any], seconds: float) -> object:
    """Waits, and listens to nobody."""
    time.sleep(seconds)
    return None


def walk(
    context: JobContext[Any], steps: int = 10_000, pause: float = 0.05, until: str = "", rest: float = 0
) -> object:
    """Goes step by step and saves each, until it was told to stop, the file ``until`` is there, or the end.

    With ``rest`` it then touches no database for so many seconds before it saves for the last time.
    """
    first = (context.try_get_job_state() or {"step": 0})["step"]
    for step in range(first, steps):
        if until and os.path.exists(until):
            break
        context.raise_if_cancellation_requested()
        _save(context, {"step": step + 1})
        context.set_job_progress(step + 1, steps)
        note(context, "step", step=step)
        context.cancellation_token.wait(pause)
    if rest:
        time.sleep(rest)
        _save(context, {"step": "rested"})
    return None


def _save(context: JobContext[Any], state: object) -> None:
    try:
        context.save_job_state(state)
    except AttemptSuperseded:
        note(context, "superseded")
        raise


def tick(context: JobContext[Any], seconds: float) -> object:
    """Touches no database, but shows all the time that it runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        context.raise_if_cancellation_requested()
        note(context, "step")
        time.sleep(0.01)
    return None


def die(context: JobContext[Any]) -> object:
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def hold_the_interpreter(context: JobContext[Any], seconds: float) -> object:
    """A catastrophic regular expression: at last one call that lasts so long, in which no other thread runs."""
    for length in count(20):
        started = time.monotonic()
        assert not re.match("(a+)+$", "a" * length + "b")
        held = time.monotonic() - started
        if held >= seconds:
            note(context, "held", seconds=held)
            return held
    return None


def hold_for_ever(context: JobContext[Any]) -> object:
    """In C code that looks at no signal."""
    note(context, "step")
    return sum(range(10**12))


def spin(context: JobContext[Any]) -> object:
    """Python code that only computes."""
    while True:
        pass


def start_a_program(context: JobContext[Any]) -> object:
    program = subprocess.Popen(["sleep", "600"])
    note(context, "program", program=program.pid)
    return program.wait()


def end_a_program(context: JobContext[Any], code: int) -> object:
    return subprocess.run(["sh", "-c", f"exit {code}"], check=False).returncode


def fork_a_copy(context: JobContext[Any]) -> object:
    """It has all descriptors of the job's process, as the workers of multiprocessing have."""
    copy = os.fork()
    if copy == 0:
        time.sleep(600)
        os._exit(0)
    note(context, "program", program=copy)
    return os.waitpid(copy, 0)[1]


def write_into_every_descriptor(context: JobContext[Any]) -> object:
    for number in range(3, 30):
        with suppress(OSError):
            os.write(number, b"hello")
    time.sleep(600)
    return None


def hold_the_checkpoint(context: JobContext[Any], until: str) -> object:
    """Stays in the transaction in which it saved, until the file is there; only once."""
    if context.retry_attempt:
        return "not again"
    with transaction.atomic(using=settings.JOBSAGA["DATABASE"]):
        context.save_job_state({"held": True})
        note(context, "holding")
        while not os.path.exists(until):
            time.sleep(0.02)
    note(context, "committed")
    return "held"


def count_threads(context: JobContext[Any]) -> object:
    """Where it runs, in words."""
    in_main = threading.current_thread() is threading.main_thread()
    return {"pid": os.getpid(), "main_thread": in_main}


DEEDS: dict[str, Callable[..., object]] = {
    deed.__name__: deed
    for deed in (
        nothing, sleep, walk, tick, die, hold_the_interpreter, hold_for_ever, spin, start_a_program,
        hold_the_checkpoint, count_threads, end_a_program, fork_a_copy, write_into_every_descriptor,
    )
}  # fmt: skip
