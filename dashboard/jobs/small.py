"""Two small jobs: one that needs a few tries, and one that is over in a moment."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from jobsaga import JobContext, Retry, job_consumer


@dataclass(frozen=True)
class CallService:
    """Call a service that is down for the first `failures` calls."""

    failures: int = 2


@job_consumer(CallService, retry=Retry.interval(3, timedelta(seconds=1)).only(ConnectionError))
def call_service(context: JobContext[CallService]) -> str:
    """Fail as often as was asked for, then answer."""
    call = context.retry_attempt + 1
    if call <= context.job.failures:
        raise ConnectionError(f"call {call}: the service does not answer")
    return f"answered at call {call}"


@dataclass(frozen=True)
class QuickJob:
    """Wait for `milliseconds`, as a short query or a call would."""

    number: int
    milliseconds: int = 50


@job_consumer(QuickJob, concurrent_job_limit=1, global_concurrent_job_limit=1)
def quick_job(context: JobContext[QuickJob]) -> int:
    """One after the other, wherever there is a worker."""
    time.sleep(context.job.milliseconds / 1000)
    return context.job.number
