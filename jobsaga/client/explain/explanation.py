"""Why a job waits: one sentence, and the facts it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Holder:
    """An attempt that holds a slot which the job waits for."""

    job_id: UUID
    attempt_id: UUID
    #: When it was given the slot.
    since: datetime
    #: As host:pid; empty if the worker's row is gone.
    worker: str = ""
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a job waits, or what it does instead. Times are aware datetimes of the database's clock.

    ``code`` says which rule holds; the codes stay as they are, the words of ``sentence`` may not. What a rule has
    nothing to do with is None or empty.
    """

    job_id: UUID
    job_type: str
    current_state: str
    #: When this was so.
    at: datetime
    code: str
    sentence: str
    #: False for a job that runs or has ended.
    waits: bool = True
    #: Since when the rule holds.
    since: datetime | None = None
    #: When it ends by itself.
    until: datetime | None = None
    #: Who wanted it so, and why, where a person did.
    by: str = ""
    reason: str = ""
    #: The worker it is about, as host:pid.
    worker: str = ""
    #: The limit that is reached, and how many slots are held of it.
    limit: int | None = None
    held: int | None = None
    #: Those who hold them, the longest first, at most ten.
    holders: tuple[Holder, ...] = ()
    #: The concurrency key that is at its limit.
    key: str = ""
    #: How many jobs are given a slot before this one; None: it is not known, or it means nothing here.
    ahead: int | None = None
    #: Whether there may be more of them: they are not counted any further.
    more_ahead: bool = False
    #: An estimate by how long the last jobs of the type took; None where they allow none.
    estimated_start: datetime | None = None
    #: What mends it, if it is not to be waited for.
    mend: str = ""
    #: What else keeps the job from a slot, in a sentence each.
    also: tuple[str, ...] = ()
