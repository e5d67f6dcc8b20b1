"""Jobs that do nothing, one for each place a job can run in; and one that takes 50 ms, one at a time."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from jobsaga import JobConsumer, JobContext, JobOptions, job_consumer

MANY = 10_000


@dataclass
class InThread:
    """*port*: where to say at once that user code runs; 0: nowhere."""

    port: int = 0


@dataclass
class InProcess:
    """As above."""

    port: int = 0


@dataclass
class InLoop:
    """As above."""

    port: int = 0


@job_consumer(InThread, concurrent_job_limit=MANY, isolation="thread")
def in_thread(context: JobContext[InThread]) -> None:
    say_that_it_runs(context.job.port)


@job_consumer(InProcess, concurrent_job_limit=MANY, isolation="process")
def in_process(context: JobContext[InProcess]) -> None:
    say_that_it_runs(context.job.port)


class InLoopConsumer(JobConsumer[InLoop]):
    options = JobOptions(concurrent_job_limit=MANY)

    async def run(self, context: JobContext[InLoop]) -> None:
        say_that_it_runs(context.job.port)


@dataclass
class OneByOne:
    """A job of a type with limit 1."""


@job_consumer(OneByOne, concurrent_job_limit=1, isolation="thread")
def one_by_one(context: JobContext[OneByOne]) -> None:
    time.sleep(0.05)


def say_that_it_runs(port: int) -> None:
    """A datagram with the time of the machine's monotonic clock, which all processes share."""
    if port:
        now = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(repr(now).encode(), ("127.0.0.1", port))
