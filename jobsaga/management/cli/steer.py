"""``cancel``, ``retry``, ``finalize`` and ``run``: what people ask of one job."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from uuid import UUID

from jobsaga.client import JobState, cancel_job, finalize_job, retry_job, run_job
from jobsaga.client.state import NOT_FOUND
from jobsaga.management.cli.job_ids import add_job_id, whole_id
from jobsaga.management.cli.output import Output, keys, moment, short
from jobsaga.management.cli.verb import FAILED, OK, Verb
from jobsaga.sagas.states import JobStates

Steering = Callable[[UUID, Namespace], JobState]


def add_actor(parser: ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who asks, for the history (your login name)")


def actor(options: Namespace) -> str:
    """Who asks: as given, or the login name; nothing where there is none, as in many containers."""
    if options.by is not None:
        return str(options.by)
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def add_arguments(parser: ArgumentParser) -> None:
    add_job_id(parser)
    add_actor(parser)
    add_reason(parser)


def add_reason(parser: ArgumentParser) -> None:
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the history")


def run(steer: Steering, options: Namespace, output: Output, *, asked: str = "on its way") -> int:
    return answer(steer(whole_id(options.job_id), options), output, asked=asked)


def answer(state: JobState, output: Output, *, asked: str = "on its way") -> int:
    """Say what came of a command; the exit code."""
    if output.as_json:
        output.json(state)
    elif not state.refused:
        output.line(f"{state.job_id}  {_now(state, output, asked)}")
        if state.remark:
            output.remark(state.remark)
    if state.refused:
        output.remark(f"Refused, the job is {state.current_state}: {state.refused}.")
        return FAILED
    return OK


def _now(state: JobState, output: Output, asked: str) -> str:
    if state.current_state == NOT_FOUND:
        return "Finalized"
    if state.is_finished:
        return output.painted(state.current_state)
    if state.current_state == JobStates.WAITING_TO_START.label:
        return f"{state.current_state}, starts {moment(state.next_start_date)}"
    return f"{state.current_state}, {asked}: jobsaga watch {short(state.job_id)}"


def _cancel(job_id: UUID, options: Namespace) -> JobState:
    return cancel_job(job_id, options.reason, by=actor(options))


def _retry(job_id: UUID, options: Namespace) -> JobState:
    return retry_job(job_id, options.reason, by=actor(options))


def _finalize(job_id: UUID, options: Namespace) -> JobState:
    return finalize_job(job_id, options.reason, by=actor(options))


def _run(job_id: UUID, options: Namespace) -> JobState:
    return run_job(job_id, options.reason, by=actor(options))


GIVES = f"the job: {keys(JobState)}. refused says why nothing was done."
CANCEL = Verb(
    "cancel",
    "End a job as Canceled. One that waits ends at once; one that runs is asked to stop, and forced if it does not.",
    GIVES,
    add_arguments,
    partial(run, _cancel, asked="and asked to stop"),
)
RETRY = Verb(
    "retry",
    "Run a faulted or canceled job again, with its saved state; or one that waits for its retry at once.",
    GIVES,
    add_arguments,
    partial(run, _retry),
)
FINALIZE = Verb(
    "finalize",
    "Remove an ended job with its attempts and saved state. Its history stays.",
    GIVES,
    add_arguments,
    partial(run, _finalize),
)
RUN = Verb("run", "Run a job now that waits for its time.", GIVES, add_arguments, partial(run, _run))
