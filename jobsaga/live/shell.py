"""What all pages have around them: navigation, theme, the time of the data, and the headers that protect them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.contrib.messages import get_messages
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobsaga.conf import settings
from jobsaga.live import access, scope, zones
from jobsaga.live.queries.filters import Asking
from jobsaga.live.search import PREFIX, Search, parse
from jobsaga.live.tail import newest
from jobsaga.live.words import for_script
from jobsaga.store.django import database_now

#: The pages of the navigation: address, word and sign.
PAGES = (
    ("now", gettext_noop("Now"), "now"),
    ("jobs", gettext_noop("Jobs"), "jobs"),
    ("types", gettext_noop("Job types"), "types"),
    ("workers", gettext_noop("Workers"), "workers"),
    ("schedules", gettext_noop("Schedules"), "schedules"),
    ("failures", gettext_noop("Failures"), "failures"),
    ("activity", gettext_noop("Activity"), "activity"),
    ("health", gettext_noop("Health"), "health"),
)
#: Where the socket is, below the site's root; and how often a page without one reads itself again, in seconds.
SOCKET = "ws/jobsaga/"
POLL = 4
THEME_COOKIE = "jobsaga_theme"
THEMES = ("light", "dark")


#: What fills a page: gives the context of its template, or an answer of its own.
View = Callable[..., Mapping[str, Any] | HttpResponseBase]
Respond = Callable[..., HttpResponseBase]


def page(template: str, active: str) -> Callable[[View], Respond]:
    """Make a view of what fills *template*, for those who may see jobs. *active* is its place in the navigation."""

    def decorate(view: View) -> Respond:
        @wraps(view)
        def respond(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            refused = access.refusal(request)
            if refused is not None:
                return refused
            with zones.as_chosen(request), scope.seen_by(access.viewer(request)):
                around = shell(request, active)  # first: its cursor must be no newer than what is shown
                found = view(request, **kwargs)
                if isinstance(found, HttpResponseBase):
                    return found
                context = {**around, **found}
                status = context.pop("status", 200)
                answer = TemplateResponse(request, f"jobsaga/live/{template}.html", context, status=status)
                answer.render()  # here, where the time zone is the viewer's
            return guarded(answer)

        return respond

    return decorate


def scoped(view: Respond) -> Respond:
    """A view that is no page, and reads and changes only what its user sees."""

    @wraps(view)
    def respond(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        with scope.seen_by(access.viewer(request)):
            return view(request, **kwargs)

    return respond


def shell(request: HttpRequest, active: str) -> dict[str, Any]:
    """The context of ``base.html``."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return {
        "ns": namespace(request),
        "pages": PAGES,
        "active": active,
        "cursor": newest(settings.DATABASE),
        "socket": socket(request),
        "poll": POLL,
        "here": request.get_full_path(),
        "notes": get_messages(request),
        "theme": theme if theme in THEMES else "",
        "admin_index": admin_index(request),
        "may_submit": access.may(request, "jobsaga.submit_job"),
        "may_see_payload": access.may(request, access.PAYLOAD),
        "now": now(),
        "zone": str(zones.chosen(request) or ""),
        "words": for_script(),
        "site_zone": zones.of_site(),
    }


def socket(request: HttpRequest) -> str:
    """The address of the socket, where the site runs under ASGI; else the page reads itself again and again."""
    return f"{get_script_prefix()}{SOCKET}" if isinstance(request, ASGIRequest) else ""


def now() -> Any:
    """The database's time: what the rows are compared with."""
    return database_now(connections[settings.DATABASE])


def asking(types: tuple[str, ...], at: Any) -> Asking:
    """What a search needs to know."""
    return Asking(settings.DATABASE, at, timezone.get_current_timezone(), types)


def searched(request: HttpRequest, text: str) -> Search:
    """What is searched for. Who may not see properties may not guess them either."""
    search = parse(text)
    if any(term.key.startswith(PREFIX) for term in search.terms) and not access.may(request, access.PAYLOAD):
        return Search(search.text, (), (_("You may not search by properties."),))
    return search


def namespace(request: HttpRequest) -> str:
    """The pages' own namespace, in the admin or wherever the site has included them."""
    match = request.resolver_match
    return match.namespace if match else "jobsaga_live"


def go(request: HttpRequest, name: str, *args: Any) -> str:
    """The address of another page in the same place."""
    return reverse(f"{namespace(request)}:{name}", args=args)


def admin_index(request: HttpRequest) -> str:
    """Where the admin begins, for those who may enter it; else nothing."""
    if not getattr(request.user, "is_staff", False):
        return ""
    try:
        return reverse(f"{namespace(request).rpartition(':')[0] or 'admin'}:index")
    except NoReverseMatch:
        return ""


def guarded(response: TemplateResponse) -> TemplateResponse:
    """Never kept by a cache, framed by nobody, and with a content policy that lets only our own files run."""
    add_never_cache_headers(response)
    response.headers["Content-Security-Policy"] = policy()
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def policy() -> str:
    """Scripts and styles from where the site's static files are, and nothing else."""
    host = urlsplit(static("jobsaga/live/live.css"))
    files = f"'self' {host.scheme or 'https'}://{host.netloc}" if host.netloc else "'self'"
    return (
        f"default-src 'none'; script-src {files}; style-src {files}; img-src 'self' data:; font-src {files}; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types jobsaga-live"
    )
