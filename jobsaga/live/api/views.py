"""One function per address. They ask the same queries as the pages, and steer by the same actions."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase

from jobsaga.client import get_job_state, submit_job
from jobsaga.client.site import LEFT
from jobsaga.clock import SystemClock
from jobsaga.conf import settings
from jobsaga.exceptions import InvalidMessage, UnknownJobType
from jobsaga.live import access, queries, scope, shell
from jobsaga.live.actions import ACTIONS, perform
from jobsaga.live.api import records
from jobsaga.live.api.answers import body, endpoint, json, listed
from jobsaga.live.api.refused import Refused
from jobsaga.live.queries import counts as count_queries
from jobsaga.live.queries import health as health_queries
from jobsaga.live.queries import job as job_queries
from jobsaga.live.queries import jobs as jobs_queries
from jobsaga.live.queries import types as type_queries
from jobsaga.live.queries import workers as worker_queries
from jobsaga.live.search import PREFIX, parse
from jobsaga.sagas.states import JobStates

#: The newest so many events are given, and no more.
NEWEST = 200
EVENTS = 1000
AT_ONCE = 500
LARGEST_PAGE = 200


@endpoint()
def recent_events(request: HttpRequest) -> HttpResponseBase:
    """The newest 200 events of all jobs, the newest first."""
    rows = scope.history(settings.DATABASE).defer("data").order_by("-id")[:NEWEST]
    found = [records.event(row) for row in rows]
    return listed(request, found, found)


@endpoint()
def job_events(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """All events of one job in chronological order; also of a job that is gone."""
    rows = scope.history(settings.DATABASE).defer("data").filter(job_id=job_id)
    ids = array("q", rows.order_by("at", "id").values_list("id", flat=True).iterator())
    if not ids:
        raise Refused(404, "no-such-job", f"Nothing was ever stored of {job_id}.")
    found = (records.event(row) for row in in_order(rows, ids))
    return listed(request, found, list(found) if _is_small(request, ids) else None)


def in_order(rows: Any, ids: Sequence[int]) -> Iterator[Any]:
    """The rows of these ids, some at a time: a job may have said a million things."""
    for start in range(0, len(ids), AT_ONCE):
        part = ids[start : start + AT_ONCE]
        known = {row.pk: row for row in rows.filter(pk__in=list(part))}
        yield from (known[each] for each in part if each in known)


def _is_small(request: HttpRequest, ids: Sequence[int]) -> bool:
    """Whether it is answered as a whole."""
    return len(ids) <= EVENTS and request.GET.get("format", "json") == "json"


@endpoint()
def jobs(request: HttpRequest) -> HttpResponseBase:
    """A page of jobs: ``q`` searches as on the page, ``before`` and ``after`` are cursors."""
    at = shell.now()
    known = type_queries.read(settings.DATABASE, at, waiting=False)
    search = parse(request.GET.get("q", ""))
    if search.problems:
        raise Refused(400, "search-not-understood", " ".join(search.problems))
    if any(term.key.startswith(PREFIX) for term in search.terms) and not access.may(request, access.PAYLOAD):
        raise Refused(403, "not-permitted", f"You lack the permission {access.PAYLOAD}.")
    try:
        before, after = (
            jobs_queries.Cursor.read(text) if (text := request.GET.get(name, "")) else None
            for name in ("before", "after")
        )
        page = jobs_queries.page(
            search,
            shell.asking(known.names, at),
            before=before,
            after=after,
            size=_size(request),
            with_message=False,
        )
    except jobs_queries.BadCursor:
        raise Refused(400, "unknown-cursor", "No page of this list has given out that cursor.") from None
    found = [records.Job(**records.job_fields(job)) for job in page.jobs]
    older, newer = (str(each) if each else None for each in (page.older, page.newer))
    return listed(request, found, records.JobsPage(jobs=found, before=older, after=newer))


@endpoint()
def job(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """All there is about a job that is stored."""
    page = job_queries.read(settings.DATABASE, job_id, shell.now())
    if page is None or page.job is None:
        raise Refused(404, "no-such-job", f"There is no job {job_id}.")
    stored, current = page.job, page.current
    stored.worker = str(current.instance) if current and current.instance else ""  # type: ignore[attr-defined]
    may = access.may(request, access.PAYLOAD)
    detail = records.JobDetail(
        **records.job_fields(stored),
        reasons=[records.reason(each) for each in page.reasons],
        attempts=[records.attempt(each) for each in page.attempts],
        fault=stored.fault,
        input=stored.message if may else None,
        properties=stored.properties if may else None,
        result=stored.result if may else None,
        saved_state=page.saved_state if may else None,
    )
    return json(detail)


@endpoint()
def events(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Events of one job in the order of their numbers, those ``after`` a number; at most 1,000."""
    rows = scope.history(settings.DATABASE).defer("data").filter(job_id=job_id).order_by("id")
    after = request.GET.get("after", "")
    if after:
        if not after.isdecimal() or len(after) > 18:
            raise Refused(400, "unknown-cursor", "after takes the id of an event.")
        rows = rows.filter(id__gt=int(after))
    found = [records.event(row) for row in rows[:EVENTS]]
    if not found and not after:
        raise Refused(404, "no-such-job", f"Nothing was ever stored of {job_id}.")
    return listed(request, found, found)


@endpoint("jobsaga.submit_job", ("POST",))
def submit(request: HttpRequest) -> HttpResponseBase:
    """Submit a job."""
    wanted = body(request, records.Submission, settings.MAX_MESSAGE_BYTES)
    if not scope.knows_type(wanted.job_type):
        raise Refused(403, "not-permitted", f"The token is not for jobs of {wanted.job_type}.")
    try:
        job_id = submit_job(
            wanted.job_type, wanted.message, properties=wanted.properties, priority=wanted.priority,
            submitted_by=access.name_of(request),
        )  # fmt: skip
    except UnknownJobType as error:
        raise Refused(422, "unknown-job-type", str(error)) from None
    except InvalidMessage as error:
        raise Refused(422, "invalid-message", str(error)) from None
    return json(records.Accepted(job_id=str(job_id), state=get_job_state(job_id).current_state), 201)


def _command(verb: str) -> object:
    action = ACTIONS[verb]

    @endpoint(action.permission, ("POST",))
    def command(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
        wanted = body(request, records.Command, 10_000)
        outcome = perform(
            action, [job_id], by=access.name_of(request), reason=wanted.reason.strip()[:1000],
            expected_version=wanted.expected_version, alias=settings.DATABASE,
        )  # fmt: skip
        state = scope.jobs(settings.DATABASE).filter(pk=job_id).values_list("state", flat=True).first()
        if not outcome.changed and state is None:
            raise Refused(404, "no-such-job", f"There is no job {job_id}.")
        refused, remark = next(iter(outcome.left), ""), LEFT if outcome.postponed else ""
        label = JobStates(state).label if state is not None else "Final"
        answer = records.Accepted(job_id=str(job_id), state=label, refused=refused, remark=remark)
        return json(answer, 409 if refused else 202 if remark else 200)

    command.__doc__ = f"{action.label} a job. 409 if nothing was done, with the reason."
    command.__name__ = f"{verb}_job"
    return command


cancel, retry, run, finalize = (_command(verb) for verb in ("cancel", "retry", "run", "finalize"))


@endpoint()
def types(request: HttpRequest) -> HttpResponseBase:
    """All job types."""
    known = type_queries.read(settings.DATABASE, shell.now())
    found = [records.job_type(known.lines[name]) for name in known.names if scope.knows_type(name)]
    return listed(request, found, found)


@endpoint()
def workers(request: HttpRequest) -> HttpResponseBase:
    """The workers that run."""
    there = worker_queries.everyone(settings.DATABASE, shell.now())
    known = (line for line in there if scope.knows_types(each.job_type for each in line.types))
    found = [records.worker(line) for line in known]
    return listed(request, found, found)


@endpoint()
def stats(request: HttpRequest) -> HttpResponseBase:
    """Jobs by state."""
    found = count_queries.counts(settings.DATABASE, shell.now())
    return json(records.Stats(**found._asdict(), counted=queries.COUNTED))


@endpoint()
def health(request: HttpRequest) -> HttpResponseBase:
    """Whether the site is well; 503 if something is wrong."""
    checks = health_queries.read(settings.DATABASE, shell.now(), SystemClock().now())
    found = [records.Check(name=each.name, state=each.state, said=each.said, fix=each.fix) for each in checks]
    return json(found, 503 if any(each.state == "bad" for each in checks) else 200)


@endpoint(methods=("GET", "HEAD", "POST"))
def nothing(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
    """Where there is nothing."""
    raise Refused(404, "no-such-address", "There is nothing at this address.")


def _size(request: HttpRequest) -> int:
    text = request.GET.get("size", "")
    if not text:
        return jobs_queries.PAGE
    if not text.isdecimal() or not 1 <= int(text[:9]) <= LARGEST_PAGE:
        raise Refused(400, "bad-size", f"size is a number from 1 to {LARGEST_PAGE}.")
    return int(text)
