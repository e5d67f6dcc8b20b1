"""``list``: the jobs, the newest first, a page at a time."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import timedelta

from jobsaga.client import JobState
from jobsaga.clock import SystemClock
from jobsaga.conf import settings
from jobsaga.management.cli.job_ids import whole_id
from jobsaga.management.cli.output import Output, keys, moment, number, short, span
from jobsaga.management.cli.records import JobLine
from jobsaga.management.cli.verb import OK, Verb
from jobsaga.models import JobSaga
from jobsaga.sagas.states import STORED_JOB_STATES, JobStates

HEADINGS = ("ID", "STATE", "TYPE", "PROGRESS", "RETRY", "SUBMITTED", "TOOK", "REASON")
TITLE = 3


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--state", action="append", type=state, metavar="NAME", help="only these; may be repeated"
    )
    parser.add_argument("--type", action="append", metavar="TYPE", help="only these; may be repeated")
    parser.add_argument("--limit", type=count, default=20, metavar="N", help="at most so many (20)")
    parser.add_argument("--before", metavar="ID", help="only jobs older than this one: the next page")


def run(options: Namespace, output: Output) -> int:
    jobs = JobSaga.objects.using(settings.DATABASE).order_by("-id").defer("message", "fault", "result")
    if options.state:
        jobs = jobs.filter(state__in=[each.value for each in options.state])
    if options.type:
        jobs = jobs.filter(job_type__in=options.type)
    if options.before:
        jobs = jobs.filter(id__lt=whole_id(options.before))
    found = [line(job) for job in jobs[: options.limit + 1]]
    page = found[: options.limit]
    more = page[-1].job_id if len(found) > len(page) else None
    if output.as_json:
        output.json({"jobs": page, "next": more})
        return OK
    if page:
        output.table(*table(page))
    else:
        output.remark("No such job." if options.state or options.type or options.before else "No jobs.")
    if more:
        output.remark(f"There are more: add --before {short(more)}")
    return OK


def line(job: JobSaga) -> JobLine:
    waits = job.state in (JobStates.WAITING_TO_START.value, JobStates.WAITING_TO_RETRY.value)
    return JobLine(
        job_id=job.id,
        job_type=job.job_type,
        title=job.title,
        current_state=JobStates(job.state).label,
        priority=job.priority,
        submitted=job.submitted_at,
        submitted_by=job.submitted_by,
        started=job.started_at,
        finished=job.finished_at,
        duration=job.duration,
        run=job.run,
        last_retry_attempt=job.retry_attempt,
        progress_value=job.progress_value,
        progress_limit=job.progress_limit,
        progress_message=job.progress_message,
        reason=job.reason,
        next_start_date=job.due_at if waits else None,
    )


def row(job: JobLine) -> tuple[str, ...]:
    return (
        short(job.job_id),
        job.current_state,
        job.job_type,
        progress(job.progress_value, job.progress_limit),
        str(job.last_retry_attempt or ""),
        moment(job.submitted),
        span(job.duration),
        job.reason,
    )


def table(jobs: list[JobLine]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The headings and the rows; with the titles where there are any."""
    if not any(job.title for job in jobs):
        return HEADINGS, list(map(row, jobs))
    rows = [
        (*cells[:TITLE], job.title, *cells[TITLE:]) for job, cells in zip(jobs, map(row, jobs), strict=True)
    ]
    return (*HEADINGS[:TITLE], "TITLE", *HEADINGS[TITLE:]), rows


def progress(value: float | None, limit: float | None) -> str:
    """How far: a share if the limit is known, else the value."""
    if value is None:
        return ""
    return f"{value / limit:.0%}" if limit else number(value)


def pace(job: JobState) -> str:
    """How fast it is, and how long it will take, as people say it."""
    rate = "" if job.rate is None else f"{float(f'{job.rate:.2g}'):,.10g}/s"
    if job.eta is None:
        return rate
    left = max(job.eta - SystemClock().now(), timedelta(0))
    return ", ".join(filter(None, (rate, f"done in about {span(left)}")))


def state(text: str) -> JobStates:
    """A state by its name, whatever the case."""
    for each in STORED_JOB_STATES:
        if each.label.casefold() == text.casefold():
            return each
    raise ArgumentTypeError(
        f"{text!r} is no state of a job; these are: {', '.join(map(str, STORED_JOB_STATES))}"
    )


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


LIST = Verb(
    "list",
    "The jobs, the newest first (in the order of their ids, which begin with the time).",
    f"jobs: objects with {keys(JobLine)}; next: the ID for --before that gives the next page, or null.",
    add_arguments,
    run,
)
