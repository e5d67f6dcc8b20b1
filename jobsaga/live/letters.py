"""Dead letters: read them, hand them in again, or throw them away. Who did it and why is kept, in the history of the
job, or else in that of the job types.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from jobsaga.conf import settings
from jobsaga.live import access, scope, shell
from jobsaga.live.steering import back, tell
from jobsaga.messages import decode
from jobsaga.models import DeadLetter, JobHistory, JobTypeHistory
from jobsaga.store.transactions import begin
from jobsaga.transport import client_transport
from jobsaga.transport.base import SAGA

logger = logging.getLogger(__name__)

PAGE = 50
VIEW = "jobsaga.view_deadletter"
PERMISSIONS = {"replay": "jobsaga.replay_dead_letter", "discard": "jobsaga.discard_dead_letter"}


@shell.page("letters", "health")
def letters(request: HttpRequest) -> dict[str, Any]:
    """The newest dead letters; before a number the older ones."""
    if not access.may(request, VIEW):
        raise PermissionDenied
    rows = scope.of_jobs(DeadLetter.objects.using(settings.DATABASE), settings.DATABASE).order_by("-id")
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(id__lt=int(before))
    found = list(rows[: PAGE + 1])
    older = found[PAGE - 1].id if len(found) > PAGE else None
    may = {name: access.may(request, permission) for name, permission in PERMISSIONS.items()}
    return {"letters": found[:PAGE], "older": older, "may": may}


@require_POST
@shell.scoped
def settle(request: HttpRequest, letter_id: int, verb: str) -> HttpResponseBase:
    """Replay or discard one."""
    if (refused := access.refusal(request)) is not None:
        return refused
    if verb not in PERMISSIONS:
        raise Http404(f"There is no action {verb}.")
    if not access.may(request, PERMISSIONS[verb]):
        raise PermissionDenied
    level, text = settle_one(letter_id, verb, access.name_of(request), access.reason_of(request))
    tell(request, level, text)
    return back(request, shell.go(request, "letters"))


def settle_one(letter_id: int, verb: str, by: str, reason: str) -> tuple[str, str]:
    """In one transaction: the letter goes, and with a replay its message is on its way again. What came of it, with
    its level.
    """
    alias = settings.DATABASE
    with begin(alias):
        rows = scope.of_jobs(DeadLetter.objects.using(alias), alias).filter(pk=letter_id)
        letter = rows.select_for_update().first()
        if letter is None:
            return "warning", _("Nothing was done: somebody else has settled it.")
        if verb == "replay":
            try:
                message = decode(letter.body, "saga")
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                return "warning", _("Nothing was done: it still cannot be read: %(why)s.") % {"why": error}
            client_transport().send([(SAGA, message)])
        _remember(alias, letter, f"DeadLetter{verb.title()}", by, reason)
        rows.delete()
    logger.info("Dead letter %s: %s by %s", letter_id, verb, by)
    return "success", _("It was handed in again.") if verb == "replay" else _("It was thrown away.")


def _remember(alias: str, letter: DeadLetter, kind: str, by: str, reason: str) -> None:
    """Who did it and why, and what the letter had said."""
    at, said = shell.now(), letter.reason[:1000]
    if letter.job_id:
        JobHistory.objects.using(alias).create(
            job_id=letter.job_id, at=at, kind=kind, actor=by, message=reason, data={"dead_letter": said}
        )
    else:
        message = f"{reason} ({said})" if reason else said
        JobTypeHistory.objects.using(alias).create(at=at, kind=kind, actor=by, message=message)
