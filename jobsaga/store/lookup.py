"""A job by a part of its id.

The ids of one day begin alike, since they begin with the time. So people use the end: the last eight digits
are random. A whole id is found by the index; a part of one costs a walk over all ids.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from jobsaga.models import JobSaga

FEWEST_DIGITS = 4
DIGITS = 32
#: How many digits stand before each hyphen of an id.
HYPHENS = (8, 12, 16, 20)


def id_like(text: str) -> Q:
    """The jobs whose id this is, or begins or ends with it. Hyphens may be left out.

    Raises ValueError for what is no part of an id, or too little of one.
    """
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch(f"[0-9a-f]{{{FEWEST_DIGITS},{DIGITS}}}", digits):
        raise ValueError(
            f"{text!r} is no id of a job and no part of one: give at least {FEWEST_DIGITS} hex digits"
        )
    if len(digits) == DIGITS:
        return Q(id=UUID(digits))
    return Q(id__startswith=_beginning(digits)) | Q(id__endswith=_end(digits))


def jobs_like(alias: str, text: str, limit: int) -> QuerySet[JobSaga, Any]:
    """The newest of these jobs, at most *limit*. Raises ValueError as ``id_like``."""
    return JobSaga.objects.using(alias).filter(id_like(text)).order_by("-id")[:limit]


def _beginning(digits: str) -> str:
    whole = str(UUID(digits.ljust(DIGITS, "0")))
    return whole[: len(digits) + sum(before < len(digits) for before in HYPHENS)]


def _end(digits: str) -> str:
    whole = str(UUID(digits.rjust(DIGITS, "0")))
    return whole[-len(digits) - sum(DIGITS - before < len(digits) for before in HYPHENS) :]
