"""In which time zone a viewer reads times: the site's, UTC, or the one of their browser. A cookie keeps it."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_POST

from jobsaga.live import access

COOKIE = "jobsaga_zone"
A_YEAR = 365 * 86400
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}")


def chosen(request: HttpRequest) -> tzinfo | None:
    """The zone that this viewer has chosen; None: the site's, which is also meant by what is no zone."""
    return _zone(request.COOKIES.get(COOKIE, ""))


def of_site() -> str:
    """The name of the zone that the site itself is in."""
    return timezone.get_default_timezone_name()


def as_chosen(request: HttpRequest) -> AbstractContextManager[object]:
    """Within it times are said in the zone that the viewer has chosen."""
    zone = chosen(request)
    return timezone.override(zone) if zone else nullcontext()


@require_POST
def choose(request: HttpRequest) -> HttpResponseBase:
    """Keep the choice, and go back to the page."""
    from jobsaga.live import shell
    from jobsaga.live.steering import back

    refused = access.refusal(request)
    if refused is not None:
        return refused
    answer = back(request, shell.go(request, "now"))
    name = request.POST.get("zone", "")
    if _zone(name) is None:
        answer.delete_cookie(COOKIE)
    else:
        secure = request.is_secure()
        answer.set_cookie(COOKIE, name, max_age=A_YEAR, samesite="Lax", secure=secure, httponly=True)
    return answer


def _zone(name: str) -> tzinfo | None:
    if not NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory
        return None
