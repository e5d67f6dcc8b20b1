"""The pages. Each asks ``queries`` and fills a template; a reload always shows the truth."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase
from django.http.response import HttpResponseRedirect
from django.utils.http import urlencode

from jobsaga.clock import SystemClock
from jobsaga.conf import settings
from jobsaga.live import access, queries, shell, svg
from jobsaga.live.actions import ACTIONS, buttons
from jobsaga.live.compare import compare
from jobsaga.live.explain import explain
from jobsaga.live.limits import DURATIONS, LIMIT, PAUSE
from jobsaga.live.queries import activity as activity_queries
from jobsaga.live.queries import counts as count_queries
from jobsaga.live.queries import failures as failure_queries
from jobsaga.live.queries import health as health_queries
from jobsaga.live.queries import job as job_queries
from jobsaga.live.queries import jobs as jobs_queries
from jobsaga.live.queries import now as now_queries
from jobsaga.live.queries import pace as pace_queries
from jobsaga.live.queries import schedules as schedule_queries
from jobsaga.live.queries import types as type_queries
from jobsaga.live.queries import workers as worker_queries
from jobsaga.live.search import STATES, Search, by_error, by_type, parse
from jobsaga.live.wording import attempt_look
from jobsaga.models import JobAttemptSaga


@shell.page("now", "now")
def now(request: HttpRequest) -> dict[str, Any]:
    """What needs someone, what runs, what waits and why."""
    found = now_queries.read(settings.DATABASE, shell.now(), with_message=access.may(request, access.PAYLOAD))
    bars = [
        svg.Column(
            (("good", each.completed), ("off", each.canceled), ("bad", each.faulted)),
            each.at.strftime("%H:%M"),
        )
        for each in found.minutes
    ]
    ended = sum(each.completed + each.faulted + each.canceled for each in found.minutes)
    chart = svg.columns(bars, f"{ended} jobs ended in the last 60 minutes")
    if found.drawn_since is not None:
        ended = queries.COUNTED + 1  # said as "10,000+"
    return {"page": found, "chart": chart, "ended": ended, "now": found.now, "counted": queries.COUNTED}


@shell.scoped
def find(request: HttpRequest) -> HttpResponseBase:
    """Go to the job whose id was typed, or search for what it was."""
    refused = access.refusal(request)
    if refused is not None:
        return refused
    text = request.GET.get("q", "").strip()
    try:
        found = UUID(text)
        return HttpResponseRedirect(shell.go(request, "job", found))
    except ValueError:
        pass
    search = shell.searched(request, f"id:{text}")
    matches = jobs_queries.page(search, shell.asking((), shell.now()), size=2, with_message=False).jobs
    if len(matches) == 1:
        return HttpResponseRedirect(shell.go(request, "job", matches[0].id))
    return HttpResponseRedirect(f"{shell.go(request, 'jobs')}?{urlencode({'q': text})}")


@shell.page("jobs", "jobs")
def jobs(request: HttpRequest) -> dict[str, Any]:
    """The list, searched and by pages. All of it is in the address."""
    at = shell.now()
    known = type_queries.read(settings.DATABASE, at, waiting=False)
    search = shell.searched(request, request.GET.get("q", ""))
    asking = shell.asking(known.names, at)
    with_message = access.may(request, access.PAYLOAD)
    try:
        before, after = (_cursor(request, name) for name in ("before", "after"))
        found = jobs_queries.page(search, asking, before=before, after=after, with_message=with_message)
    except jobs_queries.BadCursor:
        raise Http404("There is no such page of this list.") from None
    for each in found.jobs:
        reasons = explain(each, known.around(each.job_type, each.message_version))
        each.why = reasons[0] if reasons else None  # type: ignore[attr-defined]
    counted = count_queries.counts(settings.DATABASE, at)
    return {
        "page": found, "search": search, "counts": counted, "counted": queries.COUNTED, "types": known.names,
        "chosen_type": _only(search, "type"), "chosen_state": _only(search, "state").casefold(), "now": at,
        "states": sorted(STATES),
        "actions": [each for each in ACTIONS.values() if access.may(request, each.permission)],
    }  # fmt: skip


@shell.page("job", "jobs")
def job(request: HttpRequest, job_id: UUID) -> dict[str, Any]:
    """One job, also when only its history is left."""
    at = shell.now()
    found = job_queries.read(settings.DATABASE, job_id, at)
    if found is None:
        return {"job_id": job_id, "page": None, "status": 404, "now": at}
    lanes = svg.lanes([_stretch(found, each, at) for each in found.attempts])
    stored, fault = found.job, (found.job.fault or {}) if found.job else {}
    recurs = stored is not None and bool(stored.recurring_name)
    return {
        "page": found, "job": stored, "job_id": job_id, "now": at,
        "lanes": list(zip(found.attempts, lanes, strict=True)),
        "compared": compare(found.attempts, request.GET.get("left", ""), request.GET.get("right", "")),
        "asked_to_compare": "left" in request.GET,
        "errors": [(n, each) for n, each in enumerate(found.attempts, start=1) if each.fault],
        "meaning": schedule_queries.meaning(stored) if stored and recurs else "",
        "next_runs": schedule_queries.next_runs(stored, at) if stored and recurs else [],
        "registered": stored is not None and found.around is not None and found.around.registered,
        "buttons": buttons(stored, request.user) if stored else [],
        "same_type": by_type(stored.job_type) if stored else "",
        "same_error": f"{by_type(stored.job_type)} {by_error(fault.get('type', ''))}" if stored else "",
    }  # fmt: skip


@shell.page("types", "types")
def types(request: HttpRequest) -> dict[str, Any]:
    """All job types: limits, slots, queues, durations."""
    at = shell.now()
    known = type_queries.read(settings.DATABASE, at)
    for name, pace in pace_queries.paces(settings.DATABASE).items():
        if name in known.lines:
            known.lines[name].pace = pace
    lines = sorted((known.lines[name] for name in known.names), key=lambda line: line.is_idle)
    return {"lines": lines, "now": at}


@shell.page("type", "types")
def job_type(request: HttpRequest, name: str) -> dict[str, Any]:
    """One job type: who holds which slot."""
    at = shell.now()
    known = type_queries.read(settings.DATABASE, at)
    line = known.lines.get(name)
    if line is None:
        raise Http404(f"There is no job type {name}.")
    line.pace = pace_queries.paces(settings.DATABASE).get(name, line.pace)
    reason = now_queries.why(line, known) if line.waiting else None
    with_message = access.may(request, access.PAYLOAD)
    slots = type_queries.slots(settings.DATABASE, name, at, with_message=with_message)
    asking = shell.asking((name,), at)
    recent = jobs_queries.page(parse(by_type(name)), asking, size=10, with_message=with_message).jobs
    return {
        "durations": DURATIONS,
        "may_pause": access.may(request, PAUSE),
        "may_limit": access.may(request, LIMIT),
        "line": line,
        "reason": reason,
        "slots": slots,
        "recent": recent,
        "now": at,
    }


@shell.page("workers", "workers")
def workers(request: HttpRequest) -> dict[str, Any]:
    """The worker processes, and what each runs."""
    at = shell.now()
    with_message = access.may(request, access.PAYLOAD)
    number = request.GET.get("page", "")
    found = worker_queries.read(settings.DATABASE, at, with_message=with_message, number=number)
    return {"page": found, "shown_jobs": worker_queries.SHOWN_JOBS, "now": at}


@shell.page("schedules", "schedules")
def schedules(request: HttpRequest) -> dict[str, Any]:
    """The recurring jobs: what their schedules mean, and when they run next."""
    found, more = schedule_queries.read(settings.DATABASE)
    may_run = access.may(request, ACTIONS["run"].permission)
    return {"schedules": found, "more": more, "shown": schedule_queries.SHOWN, "may_run": may_run}


@shell.page("failures", "failures")
def failures(request: HttpRequest) -> dict[str, Any]:
    """What went wrong, by type and exception."""
    at = shell.now()
    groups, more = failure_queries.read(settings.DATABASE, at)
    windows = [name for name, _ in failure_queries.WINDOWS]
    return {"groups": groups, "more": more, "windows": windows, "cap": failure_queries.GROUPED, "now": at}


@shell.page("activity", "activity")
def activity(request: HttpRequest) -> dict[str, Any]:
    """Everything that happened; what people did to jobs; what operators did to job types, workers and dead letters."""
    before, after = (_number(request, name) for name in ("before", "after"))
    by = request.GET.get("by", "")
    if by == "operators":
        return {
            "page": activity_queries.of_operators(settings.DATABASE, before=before, after=after),
            "by": by,
        }
    found = activity_queries.page(
        settings.DATABASE, people=by == "people", before=before, after=after,
        with_message=access.may(request, access.PAYLOAD),
    )  # fmt: skip
    return {"page": found, "by": by if by == "people" else ""}


@shell.page("health", "health")
def health(request: HttpRequest) -> dict[str, Any]:
    """Whether the site is well."""
    at, local = shell.now(), SystemClock().now()
    checks = health_queries.read(settings.DATABASE, at, local)
    worst = next((tone for tone in ("bad", "warn") if any(each.state == tone for each in checks)), "good")
    return {"checks": checks, "worst": worst, "now": at}


def _cursor(request: HttpRequest, name: str) -> jobs_queries.Cursor | None:
    text = request.GET.get(name, "")
    return jobs_queries.Cursor.read(text) if text else None


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    if text and not (text.isdecimal() and len(text) < 19):
        raise Http404("There is no such page of this list.")
    return int(text) if text else None


def _only(search: Search, key: str) -> str:
    """The one value that is searched for under *key*, if there is just one."""
    values = search.values(key)
    return values[0] if len(values) == 1 else ""


def _stretch(found: job_queries.JobPage, attempt: JobAttemptSaga, at: datetime) -> svg.Stretch:
    """An attempt on the scale of time; the first one with the wait before it."""
    first = found.attempts and found.attempts[0] is attempt
    waited = found.job.submitted_at if first and found.job else attempt.created_at
    tone = attempt_look(attempt.state, attempt.outcome).tone
    return svg.Stretch(waited, attempt.started_at, attempt.ended_at or at, tone)
