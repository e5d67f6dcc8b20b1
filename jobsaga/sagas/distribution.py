"""Which instance gets a job: what a distribution strategy is told, and what it may answer.

A strategy is a class of the site's own, derived from ``JobDistributionStrategy``. It is asked for one waiting job at
a time, in their order, and only proposes: whether there is a slot is for the job type's own rule to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from jobsaga.properties import Properties


@dataclass(frozen=True, kw_only=True)
class JobSlotRequest:
    """A job that waits for a slot. ``retry_attempt`` is 0 at its first try."""

    job_id: UUID
    job_type: str
    properties: Properties
    concurrency_key: str = ""
    priority: int = 0
    run: int = 1
    retry_attempt: int = 0


@dataclass(frozen=True, kw_only=True)
class JobInstanceInfo:
    """A worker that lives and may be given jobs of the type. ``properties`` are what its worker said of itself."""

    id: UUID
    host: str
    properties: Properties
    #: How many jobs of the type it may run now, and how many it runs.
    concurrent_job_limit: int
    active: int
    #: When it was last given one. Aware, by the database's clock.
    used_at: datetime | None = None

    @property
    def has_room(self) -> bool:
        """Whether it may be given one more."""
        return self.active < self.concurrent_job_limit


@dataclass(frozen=True, kw_only=True)
class JobTypeInfo:
    """The job type as it is at this moment. The limits are those that hold now: an override is in them."""

    name: str
    properties: Properties
    concurrent_job_limit: int
    global_concurrent_job_limit: int | None
    #: Slots held by any instance, also by those that are lost.
    active: int
    instances: tuple[JobInstanceInfo, ...]


class JobDistributionStrategy:
    """Says which instance a waiting job goes to. As it is: to the one that runs the fewest jobs of the type, of
    those to the one that was given one longest ago.

    Derive from it, and name the class in ``JOBSAGA["DISTRIBUTION_STRATEGIES"]`` where the saga hosts run. One object
    is made for each saga host. It is asked while the job type is locked, so a slow answer keeps all jobs of the type
    waiting; it may read the database, and should write nothing.
    """

    def is_job_slot_available(self, request: JobSlotRequest, job_type: JobTypeInfo) -> UUID | None:
        """The id of the instance that the job should go to; None: to none of them now.

        What raises, or names an instance that is not there or has no room, counts as None, and is logged.
        """
        return self.least_busy(job_type.instances)

    @staticmethod
    def least_busy(instances: Iterable[JobInstanceInfo]) -> UUID | None:
        """Of these instances, among those with room: the least busy, then the one unused for longest."""
        free = [each for each in instances if each.has_room]
        return min(free, key=lambda each: busy_order(each.active, each.used_at, each.id)).id if free else None


def busy_order(active: int, used_at: datetime | None, instance_id: UUID) -> tuple[Any, ...]:
    """The order in which instances are chosen."""
    return (active, used_at is not None, used_at, instance_id)
