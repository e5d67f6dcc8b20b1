"""The verbs in the admin's lists of jobs, job types and dead letters: the same as on the live pages, with the same
permissions.

Django asks ``has_cancel_permission`` and the like of the admin before it offers or follows an action.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest

from jobsaga.conf import settings
from jobsaga.exceptions import InvalidMessage, UnknownJobType
from jobsaga.live import access, letters, limits, scope
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


class LimitsForm(ReasonForm):
    """What other limits are, and for how long, too."""

    per_worker = forms.CharField(required=False, max_length=6, label="Per worker:")
    in_all = forms.CharField(required=False, max_length=6, label="In all:")
    minutes = forms.ChoiceField(required=False, choices=limits.DURATIONS, label="For:")


def type_action(verb: str, label: str, permission: str) -> DoMany:
    """The action for the list of job types; limits are those of ``LimitsForm``."""

    @admin.action(description=f"{label} the selected job types", permissions=[permission])
    def do(model_admin: Any, request: HttpRequest, rows: QuerySet[Any]) -> None:
        asked = limits.Asked(access.name_of(request), access.reason_of(request))
        done = limits.VERBS[verb][1]
        for name in rows.order_by("name").values_list("name", flat=True)[:MOST]:
            try:
                limits.ask(request, name, verb, asked)
            except (UnknownJobType, InvalidMessage) as error:
                model_admin.message_user(request, f"{name}: Nothing was done: {error}", messages.WARNING)
            else:
                model_admin.message_user(request, f"{name}: {done}", messages.SUCCESS)

    do.__name__ = f"{verb}_types"
    return do


TYPE_ACTIONS = (
    type_action("pause", "Pause", "pause"),
    type_action("resume", "Resume", "pause"),
    type_action("limit", "Change for a while the limits of", "limit"),
    type_action("revert", "End the other limits of", "limit"),
)


def letter_action(verb: str, description: str) -> DoMany:
    """The action for the list of dead letters."""

    @admin.action(description=description, permissions=[verb])
    def do(model_admin: Any, request: HttpRequest, rows: QuerySet[Any]) -> None:
        by, reason = access.name_of(request), access.reason_of(request)
        with scope.seen_by(access.viewer(request)):
            ids = list(rows.order_by("pk").values_list("pk", flat=True)[:MOST])
            outcomes = Counter(letters.settle_one(each, verb, by, reason) for each in ids)
        for (level, text), n in outcomes.items():
            model_admin.message_user(request, text if n == 1 else f"{n} letters: {text}", LEVELS[level])

    do.__name__ = f"{verb}_letters"
    return do


LETTER_ACTIONS = (
    letter_action("replay", "Hand the selected dead letters in again"),
    letter_action("discard", "Throw the selected dead letters away"),
)


class SteeringTypes:
    """The ``has_..._permission`` that Django asks for."""

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Whether the user may pause and resume job types."""
        return request.user.has_perm(limits.PAUSE)

    def has_limit_permission(self, request: HttpRequest) -> bool:
        """Whether the user may change limits."""
        return request.user.has_perm(limits.LIMIT)


class SettlingLetters:
    """The ``has_..._permission`` that Django asks for."""

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Whether the user may hand dead letters in again."""
        return request.user.has_perm(letters.PERMISSIONS["replay"])

    def has_discard_permission(self, request: HttpRequest) -> bool:
        """Whether the user may throw dead letters away."""
        return request.user.has_perm(letters.PERMISSIONS["discard"])


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
