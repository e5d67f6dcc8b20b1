"""``show``: all there is about one job."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from uuid import UUID

from jobsaga.client import JobState, get_job_artifacts, get_job_state
from jobsaga.client.state import NOT_FOUND
from jobsaga.conf import settings
from jobsaga.exceptions import JobNotFound
from jobsaga.management.cli.job_ids import add_job_id, whole_id
from jobsaga.management.cli.jobs import count, pace, progress
from jobsaga.management.cli.output import Output, compact, keys, moment, number, plain, short, span
from jobsaga.management.cli.records import AttemptLine, HistoryLine, JobDetails
from jobsaga.management.cli.verb import OK, Verb
from jobsaga.models import JobAttemptSaga, JobHistory, JobSaga
from jobsaga.sagas.states import AttemptStates, JobStates


def add_arguments(parser: ArgumentParser) -> None:
    add_job_id(parser)
    parser.add_argument(
        "--history", type=count, default=50, metavar="N", help="only the newest N lines of the history (50)"
    )


def run(options: Namespace, output: Output) -> int:
    job = details(whole_id(options.job_id), options.history)
    if output.as_json:
        output.json(job)
    else:
        _print(job, output)
    return OK


def details(job_id: UUID, lines: int) -> JobDetails:
    """All there is about a job; of one that is gone, its history. Raises JobNotFound if there is none either."""
    state = get_job_state(job_id)
    past = history(job_id, lines)
    stored = JobSaga.objects.using(settings.DATABASE).filter(pk=job_id).first()
    if stored is None and not past:
        raise JobNotFound(job_id)
    return JobDetails(
        **{name: getattr(state, name) for name in JobState.__dataclass_fields__},
        message=stored.message if stored else None,
        priority=stored.priority if stored else 0,
        submitted_by=stored.submitted_by if stored else "",
        cancel_requested_by=stored.cancel_requested_by if stored else "",
        artifacts={name: each.reference for name, each in get_job_artifacts(job_id).items()},
        attempts=attempts(job_id),
        history=past,
    )


def attempts(job_id: UUID) -> list[AttemptLine]:
    """The tries of a job, in order."""
    rows = JobAttemptSaga.objects.using(settings.DATABASE).filter(job_id=job_id).order_by("created_at", "id")
    return [
        AttemptLine(
            attempt_id=each.id,
            current_state=AttemptStates(each.state).label,
            run=each.run,
            retry_attempt=each.retry_attempt,
            worker=str(each.instance) if each.instance else "",
            instance_id=each.instance_id,
            holds_slot=each.holds_slot,
            created=each.created_at,
            started=each.started_at,
            ended=each.ended_at,
            duration=each.duration,
            outcome=each.outcome,
            reason=each.reason,
        )
        for each in rows.select_related("instance")
    ]


def history(job_id: UUID, lines: int) -> list[HistoryLine]:
    """The newest lines of a job's history, in order of time: log lines may be stored a little later."""
    rows = JobHistory.objects.using(settings.DATABASE).filter(job_id=job_id).order_by("-id")[:lines]
    return [
        HistoryLine(
            at=each.at,
            kind=each.kind,
            is_log=each.sequence is not None,
            attempt_id=each.attempt_id,
            from_state=label(each.from_state),
            to_state=label(each.to_state),
            status=each.status,
            message=each.message,
            actor=each.actor,
            data=each.data,
        )
        for each in sorted(rows, key=lambda row: (row.at, row.id))
    ]


def label(state: int | None) -> str:
    """The name of a job's state."""
    return "" if state is None else JobStates(state).label


def _print(job: JobDetails, output: Output) -> None:
    if job.current_state == NOT_FOUND:
        output.line(
            f"{job.job_id}  is gone: it was finalized, or removed after JOB_RETENTION. Its history is left."
        )
    else:
        output.line(f"{job.job_id}  {job.job_type}  {output.painted(job.current_state)}")
    output.fields(_facts(job))
    if job.fault and job.fault.get("traceback"):
        output.heading("Fault")
        output.line(job.fault["traceback"].rstrip())
    if job.artifacts:
        output.heading("Artifacts")
        output.fields(job.artifacts.items())
    if job.attempts:
        output.heading("Attempts")
        output.table(
            ("ID", "STATE", "RETRY", "WORKER", "STARTED", "TOOK", "REASON"), map(_attempt, job.attempts)
        )
    if job.history:
        output.heading("History")
        output.table(("AT", "ATTEMPT", "STATUS", "BY", "WHAT"), map(_history, job.history))


def _facts(job: JobDetails) -> Iterator[tuple[str, str]]:
    by = f" by {job.submitted_by}" if job.submitted_by else ""
    asked_by = f" by {job.cancel_requested_by}" if job.cancel_requested_by else ""
    yield "Title", job.title
    yield "Waits", job.waiting_for
    yield "Submitted", moment(job.submitted) + by
    yield "Started", moment(job.started)
    yield "Finished", moment(job.finished) + (f" after {span(job.duration)}" if job.duration else "")
    yield "Goes on at", moment(job.next_start_date)
    yield "Cancel asked", moment(job.cancel_requested) + asked_by if job.cancel_requested else ""
    yield "Reason", job.reason
    yield "Priority", str(job.priority or "")
    yield "Retries", str(job.last_retry_attempt or "")
    yield "Progress", _progress(job)
    yield "Pace", pace(job)
    yield "Properties", compact(job.properties or None)
    yield "Message", compact(job.message)
    yield "Saved state", compact(job.job_state)
    yield "Result", compact(job.result)


def _progress(job: JobDetails) -> str:
    if job.progress_value is None:
        return ""
    of = f" ({number(job.progress_value)} of {number(job.progress_limit)})" if job.progress_limit else ""
    return f"{progress(job.progress_value, job.progress_limit)}{of}  {job.progress_message}".rstrip()


def _attempt(attempt: AttemptLine) -> tuple[str, ...]:
    return (
        short(attempt.attempt_id),
        attempt.outcome or attempt.current_state,
        str(attempt.retry_attempt or ""),
        attempt.worker,
        moment(attempt.started),
        span(attempt.duration),
        attempt.reason,
    )


def _history(line: HistoryLine) -> tuple[str, ...]:
    said = line.message if line.is_log else " ".join(filter(None, (line.kind, line.message)))
    data = compact(plain(line.data)) if line.data else ""
    return (
        moment(line.at),
        short(line.attempt_id),
        line.status or line.to_state,
        line.actor,
        f"{said} {data}".rstrip(),
    )


SHOW = Verb(
    "show",
    "All there is about one job: its attempts, its history with its own log lines, its saved state, its fault. "
    "Of a job that is gone, its history.",
    f"{keys(JobDetails)}. Each attempt: {keys(AttemptLine)}. Each line of history: {keys(HistoryLine)}.",
    add_arguments,
    run,
)
