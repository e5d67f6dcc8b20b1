"""``watch``: look at a job until it ends.

The exit code says how it ended, so a script may wait for a job as for a process. A job that is gone (it was
finalized, or JOBSAGA removes what has completed) has left its end in its history.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from django.core.management.base import CommandError

from jobsaga.client import JobState, get_job_state
from jobsaga.client.state import NOT_FOUND
from jobsaga.clock import SystemClock
from jobsaga.conf import settings
from jobsaga.exceptions import JobNotFound
from jobsaga.management.cli.job_ids import add_job_id, whole_id
from jobsaga.management.cli.output import Output, keys
from jobsaga.management.cli.screen import screen
from jobsaga.management.cli.verb import FAILED, OK, Verb
from jobsaga.messages import FinalizeJob
from jobsaga.models import JobHistory
from jobsaga.sagas.states import JobStates

LOOK_EVERY = 0.3


def add_timeout(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="give up after so long (exit code 1); the job goes on",
    )


def add_arguments(parser: ArgumentParser) -> None:
    add_job_id(parser)
    add_timeout(parser)


def run(options: Namespace, output: Output) -> int:
    return follow(whole_id(options.job_id), output, options.timeout)


def follow(job_id: UUID, output: Output, timeout: float | None = None) -> int:
    """Show the job until it ends; OK if it has completed. Raises JobNotFound; CommandError after *timeout*."""
    state = JobState(job_id=job_id)
    with screen(output) as picture:
        for state in looks(job_id, timeout):
            picture.show(state)
    picture.end(state)
    return OK if state.current_state == JobStates.COMPLETED.label else FAILED


def looks(job_id: UUID, timeout: float | None) -> Iterator[JobState]:
    """The job, again and again, until it has ended."""
    clock = SystemClock()
    began = clock.monotonic()
    while True:
        state = get_job_state(job_id)
        if state.current_state == NOT_FOUND:
            yield replace(state, current_state=last_state(job_id).label)
            return
        yield state
        if state.is_finished:
            return
        if timeout is not None and clock.monotonic() - began >= timeout:
            raise CommandError(f"The job is still {state.current_state} after {timeout:g} s. It goes on.")
        time.sleep(LOOK_EVERY)


def last_state(job_id: UUID) -> JobStates:
    """How a job ended that is gone, by its history. Raises JobNotFound."""
    changes = JobHistory.objects.using(settings.DATABASE).filter(job_id=job_id, to_state__isnull=False)
    last = changes.order_by("-id").first()
    if last is None or last.to_state is None or last.from_state is None:
        raise JobNotFound(job_id)
    if last.to_state != JobStates.FINAL.value:
        return JobStates(last.to_state)
    return JobStates(last.from_state) if last.kind == FinalizeJob.__name__ else JobStates.COMPLETED


def seconds(text: str) -> float:
    """A number of seconds. Raises ArgumentTypeError."""
    with suppress(ValueError):
        number = float(text)
        if 0 <= number < float("inf"):
            return number
    raise ArgumentTypeError(f"must be a number of seconds from 0 on, not {text!r}")


WATCH = Verb(
    "watch",
    "Show a job's progress until it ends; the exit code is 0 only if it completed.",
    f"a line for each change, the last one is its end. Each is the job: {keys(JobState)}.",
    add_arguments,
    run,
)
