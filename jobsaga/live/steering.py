"""The addresses behind the buttons. Each is a POST with a CSRF token, checks the permission of its action, and
sends people back to the page they came from with a sentence about what came of it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.http.response import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from jobsaga.conf import settings
from jobsaga.live import access, scope, shell
from jobsaga.live.actions import ACTIONS, MOST, Action, perform, sentences
from jobsaga.live.queries import jobs as job_lists
from jobsaga.live.queries import types as type_queries


@require_POST
@shell.scoped
def do(request: HttpRequest, job_id: UUID, verb: str) -> HttpResponseBase:
    """One action on one job, if it is still as it was shown."""
    action, refused = _action(request, verb)
    if action is None:
        return refused
    version = request.POST.get("expected_version", "")
    outcome = perform(
        action, [job_id], by=access.name_of(request), reason=access.reason_of(request), alias=settings.DATABASE,
        expected_version=int(version) if version.isdecimal() and len(version) < 19 else None,
    )  # fmt: skip
    _tell(request, action, outcome)
    return back(request, shell.go(request, "job", job_id))


@require_POST
@shell.scoped
def do_many(request: HttpRequest) -> HttpResponseBase:
    """One action on the jobs that were selected, or on all that a search finds; first a page that asks."""
    action, refused = _action(request, request.POST.get("verb", ""))
    if action is None:
        return refused
    text = request.POST.get("q", "")
    ids, more = _chosen(request, text)
    if not ids:
        messages.warning(request, _("No job was selected."), fail_silently=True)
        return back(request, shell.go(request, "jobs"))
    if request.POST.get("sure") != "yes":
        return _ask(request, action, ids, text, more=more)
    _tell(
        request,
        action,
        perform(
            action, ids, by=access.name_of(request), reason=access.reason_of(request), alias=settings.DATABASE
        ),
    )
    return back(request, shell.go(request, "jobs"))


def _action(request: HttpRequest, verb: str) -> tuple[Action | None, HttpResponseBase]:
    """The action of this name, if the user may do it; else what they get instead."""
    if (refused := access.refusal(request)) is not None:
        return None, refused
    action = ACTIONS.get(verb)
    if action is None:
        raise Http404(f"There is no action {verb}.")
    if not access.may(request, action.permission):
        raise PermissionDenied
    return action, HttpResponseRedirect("")


def _chosen(request: HttpRequest, text: str) -> tuple[list[UUID], bool]:
    """The ids that were selected, or those that the search finds now; and whether there are more than are taken."""
    if request.POST.get("all") != "yes":
        return [each for each in map(_uuid, request.POST.getlist("job")) if each][:MOST], False
    known = type_queries.read(settings.DATABASE, shell.now(), waiting=False)
    search, asking = shell.searched(request, text), shell.asking(known.names, shell.now())
    rows = job_lists.matching(search, asking, scope.jobs(settings.DATABASE))
    ids = list(rows.order_by("id").values_list("id", flat=True)[: MOST + 1])
    return ids[:MOST], len(ids) > MOST


def _ask(request: HttpRequest, action: Action, ids: list[UUID], text: str, *, more: bool) -> HttpResponseBase:
    """The page that says how many jobs it is about, by state."""
    context: dict[str, Any] = {
        **shell.shell(request, "jobs"), "action": action, "ids": ids, "q": text, "more": more, "most": MOST,
        "next": _next(request, shell.go(request, "jobs")),
    }  # fmt: skip
    return shell.guarded(TemplateResponse(request, "jobsaga/live/sure.html", context))


def _tell(request: HttpRequest, action: Action, outcome: Any) -> None:
    for level, text in sentences(action, outcome):
        tell(request, level, text)


def tell(request: HttpRequest, level: str, text: str) -> None:
    """A sentence on the next page."""
    kind = messages.SUCCESS if level == "success" else messages.WARNING
    messages.add_message(request, kind, text, fail_silently=True)


def back(request: HttpRequest, otherwise: str) -> HttpResponseRedirect:
    """Where the user came from, if that is a page of this site."""
    return HttpResponseRedirect(_next(request, otherwise))


def _next(request: HttpRequest, otherwise: str) -> str:
    wanted = request.POST.get("next", "")
    here = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if wanted and here else otherwise


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
