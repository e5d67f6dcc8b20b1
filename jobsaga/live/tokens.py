"""Tokens of the API: made, shown once, and recognised by their hash.

A token is 32 random bytes, so its SHA-256 needs no salt and no stretching, and an index finds it. When it was used
last is written once a minute at most: a program that asks all the time costs no write for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from django.db.models import Q

from jobsaga.clock import SystemClock, injected_clock
from jobsaga.live.models import SCOPES, ApiToken

PREFIX = "jobsaga_"
BYTES = 32
#: Nothing longer is looked at.
LONGEST = 200
NOTED_EVERY = timedelta(minutes=1)


def now() -> datetime:
    """The time of this machine: tokens may live in another database than jobs."""
    return (injected_clock() or SystemClock()).now()


def make(
    name: str,
    user: Any,
    scopes: Sequence[str],
    *,
    types: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """A new token, and its text, which nobody can read again. Raises ValueError for scopes that there are not."""
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        raise ValueError(f"scopes are {', '.join(SCOPES)}, not {', '.join(unknown) or 'none'}")
    text = PREFIX + secrets.token_urlsafe(BYTES)
    token = ApiToken.objects.create(
        name=name, user=user, digest=_digest(text), scopes=sorted(set(scopes)), job_types=list(types),
        created_at=now(), expires_at=expires_at,
    )  # fmt: skip
    return token, text


def recognised(text: str) -> ApiToken | None:
    """The valid token of this text, of an active user."""
    if not text.startswith(PREFIX) or len(text) > LONGEST or not text.isascii():
        return None
    digest, at = _digest(text), now()
    token = ApiToken.objects.select_related("user").filter(digest=digest).first()
    if token is None or not compare_digest(token.digest, digest):
        return None
    if not token.is_valid(at) or not token.user.is_active:
        return None
    _note_use(token, at)
    return token


def revoke(tokens: Any) -> int:
    """Let these (a queryset) be good for nothing from now on; how many were, until now."""
    return int(tokens.filter(revoked_at=None).update(revoked_at=now()))


def _note_use(token: ApiToken, at: datetime) -> None:
    earlier = at - NOTED_EVERY
    if token.last_used_at is None or token.last_used_at < earlier:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=earlier)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=at)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
