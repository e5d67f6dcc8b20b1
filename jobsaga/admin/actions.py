"""The verbs for jobs in the admin's list: the same as on the live page, with the same permissions.

Django asks ``has_cancel_permission`` and the like of the admin before it offers or follows an action.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest

from jobsaga.conf import settings
from jobsaga.live import access, scope
from jobsaga.live.actions import ACTIONS, MOST, Action, perform, sentences

LEVELS = {"success": messages.SUCCESS, "warning": messages.WARNING}
DoMany = Callable[[Any, HttpRequest, QuerySet[Any]], None]


class ReasonForm(ActionForm):
    """Beside the choice of an action: why, for the history."""

    reason = forms.CharField(required=False, max_length=access.LONGEST_REASON, label="Reason:")


def list_action(action: Action) -> DoMany:
    """The action for a list of the admin: at most ``MOST`` jobs at once."""

    @admin.action(description=f"{action.label} the selected jobs", permissions=[action.name])
    def do(model_admin: Any, request: HttpRequest, rows: QuerySet[Any]) -> None:
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[: MOST + 1])
        with scope.seen_by(access.viewer(request)):
            outcome = perform(
                action,
                ids[:MOST],
                by=access.name_of(request),
                reason=access.reason_of(request),
                alias=settings.DATABASE,
            )
        for level, text in sentences(action, outcome):
            model_admin.message_user(request, text, LEVELS[level])
        if len(ids) > MOST:
            model_admin.message_user(request, f"Only {MOST} jobs are taken at once.", messages.WARNING)

    do.__name__ = f"{action.name}_jobs"
    return do


class Steering:
    """The ``has_..._permission`` that Django asks for."""

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whether the user may cancel jobs."""
        return request.user.has_perm(ACTIONS["cancel"].permission)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the user may retry jobs."""
        return request.user.has_perm(ACTIONS["retry"].permission)

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Whether the user may run scheduled jobs now."""
        return request.user.has_perm(ACTIONS["run"].permission)

    def has_finalize_permission(self, request: HttpRequest) -> bool:
        """Whether the user may remove ended jobs."""
        return request.user.has_perm(ACTIONS["finalize"].permission)
