"""Submit a job by a form, or one again with the same input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.http.response import HttpResponseRedirect
from django.utils.translation import gettext as _

from jobsaga.client import submit_job
from jobsaga.conf import settings
from jobsaga.consumers import JobConsumerDefinition, consumers
from jobsaga.exceptions import InvalidMessage, UnknownJobType
from jobsaga.live import access, forms, scope, shell
from jobsaga.live.steering import tell
from jobsaga.models import JobSaga

SUBMIT = "jobsaga.submit_job"


@shell.page("submit", "types")
def submit(request: HttpRequest, name: str) -> Mapping[str, Any] | HttpResponseBase:
    """The form of a job type; posted, a job."""
    if not access.may(request, SUBMIT):
        raise PermissionDenied
    definition = _definition(name)
    fields = forms.fields_of(definition)
    context: dict[str, Any] = {"definition": definition, "fields": fields, "priority": "0"}
    if request.method == "POST":
        return _submitted(request, definition, context)
    source = _source(request, name)
    if source is not None:
        forms.filled(fields, source.message or {})
        context |= {"priority": str(source.priority), "source": source}
    return context


def _submitted(
    request: HttpRequest, definition: JobConsumerDefinition, context: dict[str, Any]
) -> Mapping[str, Any] | HttpResponseBase:
    fields: list[forms.Field] = context["fields"]
    context["priority"] = request.POST.get("priority", "0").strip() or "0"
    message = forms.read(fields, request.POST)
    source = _source(request, definition.type_name)
    if message is not None:
        try:
            job_id = submit_job(
                definition.type_name, message, priority=_priority(context["priority"]),
                properties=source.properties if source else None, submitted_by=access.name_of(request),
            )  # fmt: skip
        except InvalidMessage as error:
            if not forms.blame(fields, error.path, error.problem):
                context["problem"] = str(error)
        else:
            tell(request, "success", _("The job was submitted."))
            return HttpResponseRedirect(shell.go(request, "job", job_id))
    return {**context, "source": source, "status": 422}


def _definition(name: str) -> JobConsumerDefinition:
    try:
        return consumers.for_type_name(name)
    except UnknownJobType:
        raise Http404(f"No consumer of the name {name} is registered here.") from None


def _source(request: HttpRequest, name: str) -> JobSaga | None:
    """The job that is submitted again, for those who may see its input."""
    wanted = request.POST.get("again") or request.GET.get("again", "")
    if not wanted or not access.may(request, access.PAYLOAD):
        return None
    try:
        key = UUID(wanted)
    except ValueError:
        return None
    return scope.jobs(settings.DATABASE).filter(pk=key, job_type=name).first()


def _priority(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidMessage("priority", f"must be a whole number, not {text[:40]!r}") from None
