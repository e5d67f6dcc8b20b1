"""``recurring``: the jobs that run again and again, their next runs, and what is asked of one of them."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from jobsaga.client import (
    JobState,
    cancel_recurring_job,
    finalize_recurring_job,
    resume_recurring_job,
    run_recurring_job,
)
from jobsaga.client.declared import sync_recurring_jobs
from jobsaga.client.site import Site
from jobsaga.conf import settings
from jobsaga.exceptions import InvalidSchedule
from jobsaga.management.cli.output import Output, keys
from jobsaga.management.cli.records import RecurringLine
from jobsaga.management.cli.steer import actor, add_actor, add_reason, answer
from jobsaga.management.cli.verb import FAILED, OK, Verb
from jobsaga.models import JobAttemptSaga, JobSaga
from jobsaga.sagas.states import JobStates
from jobsaga.schedule import describe, occurrences


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--next", type=_count, default=1, metavar="N", help="how many next runs are shown (1)"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    sync = actions.add_parser("sync", help="bring what @recurring declares in the code into the database")
    sync.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    for name, (_, text) in STEERING.items():
        action = actions.add_parser(name, help=text)
        action.add_argument("job_type", metavar="TYPE", help="the job type, as app_label.MessageClass")
        action.add_argument("name", metavar="NAME", help="the recurring job's name")
        if name != "resume":
            add_reason(action)
        add_actor(action)
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS)


def run_recurring(options: Namespace, output: Output) -> int:
    if options.action == "sync":
        return _sync(output)
    if options.action is not None:
        return answer(STEERING[options.action][0](options), output)
    lines = recurring_lines(settings.DATABASE, options.next)
    if output.as_json:
        output.json({"recurring": lines})
    elif lines:
        output.table(
            ("TYPE", "NAME", "STATE", "SCHEDULE", "RUNS", "LAST", "NEXT"), [_row(line) for line in lines]
        )
    else:
        output.remark(
            "There is no recurring job. add_or_update_recurring_job() adds one; so does @recurring on a consumer."
        )
    return OK


def recurring_lines(alias: str, count: int) -> list[RecurringLine]:
    """All recurring jobs, those that have ended too, with their next *count* runs."""
    now = Site().now()
    jobs = JobSaga.objects.using(alias).exclude(recurring_name="").order_by("job_type", "recurring_name")
    return [_line(job, now, count) for job in jobs]


def _line(job: JobSaga, now: datetime, count: int) -> RecurringLine:
    alive = job.recurring and job.next_start_at is not None
    attempts = JobAttemptSaga.objects.using(job._state.db).filter(job_id=job.id).order_by("-created_at")
    last = attempts.first()
    return RecurringLine(
        job_id=job.id,
        job_type=job.job_type,
        name=job.recurring_name,
        alive=alive,
        current_state=JobStates(job.state).label,
        cron=job.cron,
        schedule=_in_words(job),
        time_zone=job.time_zone,
        start=job.start_at,
        end=job.end_at,
        misfire=job.misfire,
        declared=job.declared,
        runs=job.run,
        last_scheduled_for=last.scheduled_for if last else None,
        last_started=last.started_at if last else None,
        last_outcome=last.outcome if last else "",
        next_runs=_next_runs(job, count) if alive else [],
    )


def _in_words(job: JobSaga) -> str:
    """What an older release has stored may mean nothing to this one: then as it is."""
    try:
        return describe(job.cron, job.time_zone)
    except InvalidSchedule:
        return f"{job.cron} ({job.time_zone})"


def _next_runs(job: JobSaga, count: int) -> list[datetime]:
    assert job.next_start_at is not None
    later = occurrences(
        job.cron,
        job.next_start_at,
        time_zone=job.time_zone,
        start=job.start_at,
        end=job.end_at,
        limit=count - 1,
    )
    return [job.next_start_at, *later][:count]


def _row(line: RecurringLine) -> tuple[str, ...]:
    zone = ZoneInfo(line.time_zone)
    ended = "" if line.alive else " (ended)"
    return (
        line.job_type,
        line.name,
        line.current_state + ended,
        line.schedule,
        str(line.runs),
        line.last_outcome or "-",
        ", ".join(_at(each, zone) for each in line.next_runs) or "-",
    )


def _at(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}"


def _sync(output: Output) -> int:
    found = sync_recurring_jobs()
    if output.as_json:
        output.json(
            {
                "differences": [
                    {
                        "action": each.action,
                        "job_type": each.job_type,
                        "name": each.name,
                        "detail": each.detail,
                    }
                    for each in found
                ]
            }
        )
    for each in found:
        if not output.as_json:
            output.line(str(each))
    if not found:
        output.remark("The recurring jobs are as the code says.")
    return FAILED if any(each.action == "refuse" for each in found) else OK


def _run_now(options: Namespace) -> JobState:
    return run_recurring_job(options.job_type, options.name, options.reason, by=actor(options))


def _cancel(options: Namespace) -> JobState:
    return cancel_recurring_job(options.job_type, options.name, options.reason, by=actor(options))


def _resume(options: Namespace) -> JobState:
    return resume_recurring_job(options.job_type, options.name, by=actor(options))


def _finalize(options: Namespace) -> JobState:
    return finalize_recurring_job(options.job_type, options.name, options.reason, by=actor(options))


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"must be from 1 to 100, not {value}")
    return value


STEERING: dict[str, tuple[Callable[[Namespace], JobState], str]] = {
    "run": (_run_now, "run it now, once more than its schedule says"),
    "cancel": (_cancel, "end the recurrence and the run that is under way (one run only: jobsaga cancel)"),
    "resume": (_resume, "let a recurrence that was canceled go on, as it was"),
    "finalize": (_finalize, "remove a recurrence that has ended"),
}

RECURRING = Verb(
    "recurring",
    "The recurring jobs: their schedules in plain words, their last and next runs.",
    f"recurring: objects with {keys(RecurringLine)}; sync gives differences; the others a job as show does.",
    add_arguments,
    run_recurring,
)
