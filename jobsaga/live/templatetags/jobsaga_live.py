"""The words of the pages in their templates: states, times, numbers, signs, addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import template
from django.template.context import Context
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobsaga.live import pace as paces
from jobsaga.live import svg, wording
from jobsaga.live.icons import icon as drawn
from jobsaga.live.queries.failures import Group
from jobsaga.live.queries.pace import Pace
from jobsaga.live.search import by_error, by_type
from jobsaga.live.wording import Look
from jobsaga.models import JobSaga
from jobsaga.sagas.states import JobStates
from jobsaga.schedule.changes import Clock

register = template.Library()
register.filter("span", wording.span)
register.filter("short", wording.short)
register.filter("pretty", wording.pretty)
register.filter("capped", wording.capped)
register.simple_tag(drawn, name="icon")


@register.filter
def number(value: float | None) -> str:
    """A number as people read it."""
    return "" if value is None else wording.number(value)


@register.filter
def of_type(name: str, more: str = "") -> str:
    """The search for the jobs of a type."""
    return f"{more} {by_type(name)}".strip()


@register.simple_tag(takes_context=True)
def failures_link(context: Context, group: Group, window: str) -> str:
    """The jobs behind a number on the page of failures."""
    state = f"state:faulted finished:<{window}" if window else "state:retrying"
    return go(context, "jobs", q=f"{state} {by_type(group.job_type)} {by_error(group.error)}".strip())


@register.simple_tag(takes_context=True)
def go(context: Context, name: str, *args: Any, **query: Any) -> str:
    """The address of another page in the same place, with a query."""
    address = reverse(f"{context['ns']}:{name}", args=args)
    asked = {key: value for key, value in query.items() if value not in ("", None)}
    return f"{address}?{urlencode(asked)}" if asked else address


@register.simple_tag
def pill(state: int) -> SafeString:
    """A job's state: sign, word and colour."""
    return _pill(wording.look(state))


@register.simple_tag
def attempt_pill(attempt: Any) -> SafeString:
    """An attempt's state or outcome."""
    return _pill(wording.attempt_look(attempt.state, attempt.outcome))


@register.simple_tag
def tone(state: int | None) -> str:
    """The tone of a job's state."""
    return wording.look(state).tone if state else "off"


@register.simple_tag
def word(state: int | None) -> str:
    """The word for a job's state."""
    return wording.look(state).said if state else ""


def _pill(look: Look) -> SafeString:
    return format_html('<span class="pill {}">{}{}</span>', look.tone, drawn(look.icon), look.said)


@register.simple_tag
def bar(job: Any) -> SafeString:
    """How far a job is: a bar where the limit is known, else the number; nothing is invented."""
    value, limit = job.progress_value, job.progress_limit
    part = wording.share(value, limit)
    if part is None:
        said = wording.number(value) if value is not None else ""
        return format_html('<span class="num">{}</span>', said) if said else SafeString("")
    if job.state == JobStates.COMPLETED.value:
        return format_html('<span class="num">{}</span>', wording.number(value))
    return format_html(
        '<span class="barred"><progress class="bar {}" max="1000" value="{}" aria-label="{}"></progress>'
        '<span class="num">{}</span></span>',
        wording.look(job.state).tone, round(part * 1000), _("Progress"), wording.percent(part),
    )  # fmt: skip


@register.simple_tag(takes_context=True)
def left(context: Context, job: Any) -> str:
    """How long a job still needs, about."""
    return paces.left(job, context["now"])


@register.simple_tag(takes_context=True)
def pace_of(context: Context, job: Any) -> dict[str, Any] | None:
    """The rate, the end and the basis of both, for the page of a job."""
    known = paces.pace(job, context["now"])
    if known is None:
        return None
    return {"speed": paces.speed(known.rate) if known.rate and known.rate > 0 else "", "end": known.end,
            "left": paces.left(job, context["now"]), "basis": wording.span(known.basis)}  # fmt: skip


@register.simple_tag
def said(job: Any) -> str:
    """What stands beside the bar."""
    return wording.said(job)


@register.simple_tag
def percent(value: float | None, limit: float | None) -> str:
    """A share in percent."""
    part = wording.share(value, limit)
    return "" if part is None else wording.percent(part)


@register.simple_tag
def failed_share(failed: int, runs: int) -> str:
    """How many of the runs failed."""
    return f"{formats.number_format(round(100 * failed / runs, 1), 1)} %" if runs else ""


@register.simple_tag(takes_context=True)
def when(context: Context, at: datetime | None, style: str = "ago") -> SafeString:
    """A moment: ``ago`` as people say it, ``clock`` to the millisecond, ``minute``, ``both``; its title is exact."""
    if at is None:
        return SafeString("")
    local = timezone.localtime(at)
    exact = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03} {local:%Z}"
    relative = wording.ago(at, context["now"])
    if style == "clock":
        day = "" if local.date() == timezone.localtime(context["now"]).date() else f"{local:%Y-%m-%d} "
        clock = f"{day}{local:%H:%M:%S}.{local.microsecond // 1000:03}"
        return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, clock)
    if style == "minute":
        return format_html(
            '<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, f"{local:%H:%M}"
        )
    if style == "exact":
        return format_html('<time datetime="{}">{}</time>', at.isoformat(), exact)
    if style == "both":
        return format_html(
            '<time datetime="{}">{}</time> <span class="muted" data-ago="{}">{}</span>',
            at.isoformat(), f"{local:%Y-%m-%d %H:%M:%S} {local:%Z}", at.isoformat(), relative,
        )  # fmt: skip
    return format_html(
        '<time datetime="{}" title="{}" data-ago="{}">{}</time>',
        at.isoformat(),
        exact,
        at.isoformat(),
        relative,
    )


@register.simple_tag(takes_context=True)
def since(context: Context, at: datetime | None, until: datetime | None = None) -> SafeString:
    """How long something takes already, or took."""
    if at is None:
        return SafeString("")
    if until is not None:
        return format_html("{}", wording.span(until - at))
    return format_html('<span data-since="{}">{}</span>', at.isoformat(), wording.span(context["now"] - at))


@register.simple_tag
def sparkline(pace: Pace) -> SafeString:
    """How the last runs of a type ended, and how long they took."""
    if not pace.last:
        return SafeString("")
    counts = Counter(wording.look(state).said for state, _ in pace.last)
    said = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    runs = [svg.Run(wording.look(state).tone, duration) for state, duration in reversed(pace.last)]
    title = ngettext("The last run: %(said)s", "The last %(count)d runs: %(said)s", len(runs))
    return svg.sparkline(runs, title % {"count": len(runs), "said": said})


@register.simple_tag
def towers(jobs: Sequence[JobSaga]) -> list[tuple[JobSaga, SafeString]]:
    """The jobs, each with its bar."""
    runs = [svg.Run(wording.look(job.state).tone, job.duration) for job in jobs]
    drawn_runs = zip(jobs, runs, svg.heights(runs), strict=True)
    return [(job, svg.tower(run.tone, height)) for job, run, height in drawn_runs]


@register.simple_tag
def clock_note(clock: Clock | None) -> SafeString:
    """What the clock does when a recurring job runs."""
    words = {
        Clock.BACK_ONCE: _("the clock goes back: it runs once"),
        Clock.BACK_TWICE: _("the clock goes back: it runs both times"),
        Clock.FORWARD: _("the clock goes forward: it runs when it goes on"),
    }
    return format_html('<span class="clock">{}</span>', words[clock]) if clock else SafeString("")


@register.simple_tag
def lasted(value: timedelta | None) -> str:
    """A duration; a dash where there is none."""
    return wording.span(value) or "-"


@register.simple_tag
def short_type(name: str, *, last_only: bool = False) -> SafeString:
    """A job type: the app in grey, the name in full. *last_only*: where there is little room."""
    app, dot, last = name.rpartition(".")
    if last_only:
        return format_html('<span class="type" title="{}">{}</span>', name, last)
    return format_html('<span class="type"><span class="muted">{}{}</span>{}</span>', app, dot, last)


@register.simple_tag(takes_context=True)
def job_link(context: Context, job_id: UUID) -> SafeString:
    """The end of a job's id, as a link."""
    address = reverse(f"{context['ns']}:job", args=[job_id])
    return format_html('<a class="id" href="{}" title="{}">{}</a>', address, job_id, wording.short(job_id))
