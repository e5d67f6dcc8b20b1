"""Pause and resume a job type, and change its limits for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST

from jobsaga.client import override_job_limit, pause_job_type, resume_job_type, revert_job_limit
from jobsaga.exceptions import InvalidMessage, UnknownJobType
from jobsaga.live import access, shell
from jobsaga.live.steering import back, tell

PAUSE, LIMIT = "jobsaga.pause_job_type", "jobsaga.limit_job_type"
#: Permission, and what is said afterwards: it is asked of the saga hosts, who do it in a moment.
VERBS = {
    "pause": (PAUSE, gettext_noop("No more jobs of this type are started; those that run go on.")),
    "resume": (PAUSE, gettext_noop("Jobs of this type are started again.")),
    "limit": (LIMIT, gettext_noop("The limits are changed for a while.")),
    "revert": (LIMIT, gettext_noop("The limits are as the workers have announced them.")),
}
LARGEST = 100_000
DURATIONS = ((30, "30 min"), (120, "2 h"), (480, "8 h"), (1440, "1 day"))


class Asked(NamedTuple):
    """Who asks, and why."""

    by: str
    reason: str


@require_POST
def steer(request: HttpRequest, name: str, verb: str) -> HttpResponseBase:
    """One of the verbs for a type."""
    if (refused := access.refusal(request)) is not None:
        return refused
    if verb not in VERBS:
        raise Http404(f"There is no action {verb}.")
    permission, done = VERBS[verb]
    if not access.may(request, permission):
        raise PermissionDenied
    asked = Asked(access.name_of(request), access.reason_of(request))
    try:
        ask(request, name, verb, asked)
    except (UnknownJobType, InvalidMessage) as error:
        tell(request, "warning", _("Nothing was done: %(why)s") % {"why": error})
    else:
        tell(request, "success", _(done))
    return back(request, shell.go(request, "type", name))


def ask(request: HttpRequest, name: str, verb: str, asked: Asked) -> None:
    """Ask it of the saga hosts; other limits are what was typed. Raises UnknownJobType, InvalidMessage."""
    if verb == "pause":
        pause_job_type(name, asked.reason, by=asked.by)
    elif verb == "resume":
        resume_job_type(name, asked.reason, by=asked.by)
    elif verb == "revert":
        revert_job_limit(name, asked.reason, by=asked.by)
    else:
        override_job_limit(
            name,
            _number(request, "per_worker"),
            global_concurrent_job_limit=_number(request, "in_all"),
            duration=timedelta(minutes=_number(request, "minutes") or DURATIONS[0][0]),
            reason=asked.reason,
            by=asked.by,
        )


def _number(request: HttpRequest, field: str) -> int | None:
    text = request.POST.get(field, "").strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > 6 or int(text) > LARGEST:
        raise InvalidMessage(field, f"must be a whole number up to {LARGEST:,}, not {text[:20]!r}")
    return int(text)
