"""Who may see and do what. Every page, and every address of the API, asks here."""

from __future__ import annotations

from typing import Any

from django.conf import settings as site_settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from jobsaga.live import scope

VIEW = "jobsaga.view_jobsaga"
#: What was submitted, saved and returned; the properties; and what the lists say of a message.
PAYLOAD = "jobsaga.view_job_payload"
LONGEST_REASON = 1000


def refusal(request: HttpRequest, permission: str = VIEW) -> HttpResponseBase | None:
    """What a user gets who may not do this: the way to log in, or PermissionDenied. None: it is allowed."""
    user = request.user
    if user.is_active and user.has_perm(permission):
        return None
    if user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.get_full_path(), login_address())


def login_address() -> str:
    """Where users log in: the site's LOGIN_URL; the admin's page where the site has kept Django's default and
    has no such page.
    """
    from django.urls import NoReverseMatch, Resolver404, resolve, reverse

    address = str(site_settings.LOGIN_URL)
    if address != "/accounts/login/":
        return address
    try:
        resolve(address)
    except Resolver404:
        try:
            return reverse("admin:login")
        except NoReverseMatch:
            pass
    return address


def viewer(request: HttpRequest) -> scope.Viewer:
    """Whose eyes the rows are read for."""
    token = token_of(request)
    return scope.Viewer(request.user, token.types if token else ())


def token_of(request: HttpRequest) -> Any:
    """The token of the API with which the request came; None: it came with a session."""
    return getattr(request, "jobsaga_token", None)


def name_of(request: HttpRequest) -> str:
    """Who asks, for the history: a user, and the token that spoke for them."""
    token = token_of(request)
    name = request.user.get_username()
    return f"{name} ({token.name})"[:200] if token else name[:200]


def reason_of(request: HttpRequest) -> str:
    """Why, as it was typed into a form."""
    return request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the user of this request may do this, and with a token: whether that is for it too."""
    token = token_of(request)
    allowed = token is None or token.allows(permission)
    return bool(allowed and request.user.is_active and request.user.has_perm(permission))
