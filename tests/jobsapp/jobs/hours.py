"""Jobs with limits, a captured log, and many items: for the tests of jobs that run for hours."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections

from jobsaga import JobConsumer, JobContext, JobOptions, Retry
from tests.jobsapp.models import Mark

ALIAS = settings.JOBSAGA["DATABASE"]
OPTIONS: dict[str, Any] = {
    "concurrent_job_limit": 100,
    "job_cancellation_timeout": 0.5,
    "stall_timeout": 1,
    "retry": Retry.interval(2, 7),
    "log_level": "INFO",
    "capture_output": True,
}


@dataclass
class Hour:
    """What to do: the name of a function below, and its arguments. In a process."""

    what: str
    args: dict[str, Any] = field(default_factory=dict)


class HourInThread(Hour):
    pass


class HourInTask(Hour):
    pass


class SmallHour(Hour):
    """May use 400 MB."""


class SilentHour(Hour):
    """Nothing of it is captured."""


class PlainHour(Hour):
    """As nobody says otherwise."""


@dataclass
class Import:
    """Goes over the items, and writes one row for each."""

    pause: float = 0


class ImportConsumer(JobConsumer[Import]):
    options = JobOptions(job_cancellation_timeout=2, retry=Retry.immediate(1000))

    def run(self, context: JobContext[Import]) -> object:
        marks = Mark.objects.using(ALIAS)
        for item in context.iterate(marks.filter(text="item"), chunk=50, seconds=0.2):
            marks.create(job_id=context.job_id, text=f"did {item.pk}", process_id=os.getpid())
            time.sleep(context.job.pause)
        return None


class HourConsumer(JobConsumer[Hour]):
    options = JobOptions(**OPTIONS)

    def run(self, context: JobContext[Any]) -> object:
        return HOURS[context.job.what](context, **context.job.args)


class HourInThreadConsumer(JobConsumer[HourInThread]):
    options = JobOptions(**OPTIONS, isolation="thread")
    run = HourConsumer.run


class HourInTaskConsumer(JobConsumer[HourInTask]):
    options = JobOptions(**OPTIONS)

    async def run(self, context: JobContext[Any]) -> object:
        return await sync_to_async(HOURS[context.job.what])(context, **context.job.args)


class SmallHourConsumer(JobConsumer[SmallHour]):
    options = JobOptions(concurrent_job_limit=100, retry=Retry.interval(2, 7), max_memory="400M")
    run = HourConsumer.run


class PlainHourConsumer(JobConsumer[PlainHour]):
    run = HourConsumer.run


class SilentHourConsumer(JobConsumer[SilentHour]):
    options = JobOptions(concurrent_job_limit=100, capture_output=False)
    run = HourConsumer.run


def stand_still(context: JobContext[Any]) -> object:
    time.sleep(60)
    return None


def claim_to_be_alive(context: JobContext[Any]) -> object:
    """Says the same again and again."""
    while True:
        context.set_job_progress(5, 10, "still waiting")
        time.sleep(0.05)


def get_on(context: JobContext[Any], seconds: float) -> object:
    end = time.monotonic() + seconds
    for _ in context.track(iter(lambda: time.monotonic() < end, False)):
        time.sleep(0.02)
    return "got on"


def eat(context: JobContext[Any], megabytes: int) -> object:
    """Little by little."""
    eaten = []
    while len(eaten) < megabytes:
        eaten.append(os.urandom(1) * 1_000_000)
        time.sleep(0.002)
    return len(eaten)


def eat_at_once(context: JobContext[Any], megabytes: int) -> object:
    return len(bytearray(megabytes * 1_000_000))


def hang_in_a_query(context: JobContext[Any]) -> object:
    connection = connections[ALIAS]
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    tables = ", ".join(f"seq_1_to_100000 t{number}" for number in range(4))
    queries = {
        "postgresql": "SELECT pg_sleep(60)",
        "mysql": f"SELECT count(*) FROM {tables}",
        "sqlite": endless,
    }
    with connection.cursor() as cursor:
        context.log("asking", pid=os.getpid())
        cursor.execute(queries[connection.vendor])
        return cursor.fetchone()


def write_to_logging(context: JobContext[Any]) -> object:
    logger = logging.getLogger("tests.hours")
    logger.debug("too small")
    context.log("own line")
    logger.info("first %s", "record")
    thread = threading.Thread(target=logger.info, args=("from a thread",))
    thread.start()
    thread.join()
    try:
        raise ValueError("seen")
    except ValueError:
        logger.exception("caught")
    return None


def write_much(context: JobContext[Any], lines: int, then_fail: bool = False) -> object:
    for number in range(lines):
        context.log(f"line {number}")
    if then_fail:
        raise ValueError("it has said all")
    return None


def speak(context: JobContext[Any], lines: int = 1) -> object:
    for number in range(lines):
        print(f"line {number}")
    subprocess.run(["sh", "-c", "echo from a program >&2; printf 'no end of line'"], check=True)
    return None


def speak_and_die(context: JobContext[Any]) -> object:
    print("goodbye")
    os.abort()


def wait_for_the_token(context: JobContext[Any]) -> object:
    context.cancellation_token.wait(30)
    context.raise_if_cancellation_requested()
    return None


def leave_artifacts(context: JobContext[Any]) -> object:
    for number in (1, 2):
        context.add_artifact("report", f"reports/{number}.pdf")
    context.add_artifact("page", "https://example.org/")
    return None


def nothing(context: JobContext[Any]) -> object:
    return os.getpid()


HOURS: dict[str, Callable[..., object]] = {
    hour.__name__: hour
    for hour in (
        stand_still, claim_to_be_alive, get_on, eat, eat_at_once, hang_in_a_query, write_to_logging, write_much,
        speak, speak_and_die, wait_for_the_token, leave_artifacts, nothing,
    )
}  # fmt: skip
