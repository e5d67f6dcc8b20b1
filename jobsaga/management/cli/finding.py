"""What the doctor says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong, or worth knowing."""

    #: error, warning or info
    level: str
    #: A word that stays the same, or the id of a system check.
    code: str
    what: str
    #: How to mend it.
    mend: str = ""
    #: The job type or the endpoint it is about, if it is about one.
    subject: str = ""
    since: datetime | None = None
    #: How many jobs, messages, slots or rows; of jobs and messages 1000 may stand for more.
    count: int | None = None
