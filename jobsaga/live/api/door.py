"""The door of the API: a session with its CSRF token, or ``Authorization: Bearer`` with a token of the API.

A browser sends the cookie of a session by itself, from any page, so whatever changes something needs the CSRF token
then. A bearer token nobody sends by accident, so it needs none. Whoever shows a token is who the token says, and
nobody else: a bad one is refused even where a session would do.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from jobsaga.live import access
from jobsaga.live.api.refused import Refused

SCHEME = "bearer"


def enter(request: HttpRequest, permission: str) -> None:
    """Let in who may do this. Raises Refused."""
    shown = request.headers.get("Authorization", "")
    if shown:
        _recognise(request, shown)
    elif not request.user.is_authenticated:
        raise Refused(401, "not-authenticated", "Log in, or send a token: Authorization: Bearer ...")
    else:
        _check_csrf(request)
    needed = (permission,) if shown else (access.VIEW, permission)
    for each in needed:
        if not access.may(request, each):
            raise Refused(403, "not-permitted", _lacking(request, each))


def _recognise(request: HttpRequest, shown: str) -> None:
    scheme, _, text = shown.partition(" ")
    if scheme.casefold() != SCHEME or not apps.is_installed("jobsaga.live"):
        raise Refused(401, "not-authenticated", "Only Authorization: Bearer is understood.")
    from jobsaga.live.tokens import recognised

    token = recognised(text.strip())
    if token is None:
        raise Refused(
            401, "bad-token", "The token is unknown, expired or revoked, or its user may not log in."
        )
    request.user = token.user
    request.jobsaga_token = token  # type: ignore[attr-defined]


def _lacking(request: HttpRequest, permission: str) -> str:
    token = access.token_of(request)
    if token is not None and not token.allows(permission):
        return f"The token is for {', '.join(token.scopes)}, and this needs {permission}."
    return f"You lack the permission {permission}."


class _Check(CsrfViewMiddleware):
    """Says why, instead of answering with a page."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def _check_csrf(request: HttpRequest) -> None:
    check = _Check(lambda request: HttpResponse())
    check.process_request(request)
    reason = check.process_view(request, lambda request: HttpResponse(), (), {})
    if reason:
        raise Refused(403, "csrf", f"{reason} Send the header X-CSRFToken, or use a token of the API.")
