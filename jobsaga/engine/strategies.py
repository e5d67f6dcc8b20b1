"""Which distribution strategy a job type has, and what becomes of its answers.

The site's own code speaks here, under the type's lock. Whatever is wrong with it means "no slot" and is logged
once for each type and kind of mistake: the same job asks again in every lap.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from uuid import UUID

from jobsaga.messages import AllocateJobSlot
from jobsaga.properties import Properties
from jobsaga.sagas import JobType
from jobsaga.sagas.distribution import (
    JobDistributionStrategy,
    JobInstanceInfo,
    JobSlotRequest,
    JobTypeInfo,
    busy_order,
)

logger = logging.getLogger("jobsaga.engine")

DEFAULT = "default"
#: The job type property that names a strategy, as in MassTransit's documentation.
PROPERTY = "DistributionStrategy"


class Strategies:
    """The strategies of one saga host: *known* classes, by the name of a job type, by a name that job types give in
    their property, or "default".
    """

    def __init__(self, known: Mapping[str, type[JobDistributionStrategy]] | None = None) -> None:
        self._known = dict(known or {})
        self._made: dict[str, JobDistributionStrategy | None] = {}
        self._logged: set[tuple[str, str]] = set()

    def of(self, job_type: JobType) -> JobDistributionStrategy | None:
        """The strategy of this type: by its name, by its property, or the default one. None: the built-in."""
        if not self._known and not job_type.properties:
            return None
        if job_type.name in self._known:
            return self._make(job_type.name)
        named = Properties(job_type.properties).get(PROPERTY)
        if isinstance(named, str) and named in self._known and named != DEFAULT:
            return self._make(named)
        if named is not None and DEFAULT not in self._known:
            self._complain(
                job_type.name,
                f"asks for the distribution strategy {named!r}, which JOBSAGA['DISTRIBUTION_STRATEGIES'] does not have"
                " where this saga host runs: it gets the usual one",
            )
        return self._make(DEFAULT) if DEFAULT in self._known else None

    def choose(
        self, strategy: JobDistributionStrategy | None, job_type: JobType, request: AllocateJobSlot
    ) -> UUID | None:
        """The instance that *strategy* proposes, if it may be followed."""
        if strategy is None:
            return least_busy(job_type)
        try:
            chosen = strategy.is_job_slot_available(_request(request), _info(job_type))
        except Exception as error:  # noqa: BLE001 - the site's code: whatever it raises
            kind = f"raised {type(error).__name__}"
            self._complain(job_type.name, f"has a distribution strategy that {kind}: no slot", kind, error)
            return None
        return chosen if chosen is None or self._may_be_followed(job_type, chosen) else None

    def _may_be_followed(self, job_type: JobType, chosen: object) -> bool:
        instance = job_type.instances.get(chosen) if isinstance(chosen, UUID) else None
        if instance is None or instance.drained:
            self._complain(
                job_type.name,
                f"has a distribution strategy that chose {chosen!r}, which is none of its instances: no slot",
                "unknown instance",
            )
            return False
        if instance.active >= job_type.limit_of(instance):
            self._complain(
                job_type.name,
                f"has a distribution strategy that chose {chosen}, which has no room: no slot",
                "full instance",
            )
            return False
        return True

    def _make(self, name: str) -> JobDistributionStrategy | None:
        if name not in self._made:
            try:
                self._made[name] = self._known[name]()
            except Exception:
                logger.exception(
                    "The distribution strategy %r could not be made: the usual one is used", name
                )
                self._made[name] = None
        return self._made[name]

    def _complain(self, name: str, text: str, kind: str = "", error: Exception | None = None) -> None:
        if (name, kind or text) not in self._logged:
            self._logged.add((name, kind or text))
            logger.error("Job type %s %s. This is logged once.", name, text, exc_info=error)


def least_busy(job_type: JobType) -> UUID | None:
    """What ``JobDistributionStrategy`` does, on the record itself: this is the hot path."""
    free = [each for each in job_type.instances.values() if each.active < job_type.limit_of(each)]
    if not free:
        return None
    return min(free, key=lambda each: busy_order(each.active, each.used_at, each.instance_id)).instance_id


def _request(request: AllocateJobSlot) -> JobSlotRequest:
    return JobSlotRequest(
        job_id=request.job_id,
        job_type=request.job_type,
        properties=Properties(request.properties),
        concurrency_key=request.concurrency_key,
        priority=request.priority,
        run=request.run,
        retry_attempt=request.retry_attempt,
    )


def _info(job_type: JobType) -> JobTypeInfo:
    per_instance = job_type.override_job_limit
    return JobTypeInfo(
        name=job_type.name,
        properties=Properties(job_type.properties),
        concurrent_job_limit=job_type.concurrent_job_limit if per_instance is None else per_instance,
        global_concurrent_job_limit=job_type.global_limit,
        active=job_type.active,
        instances=tuple(
            JobInstanceInfo(
                id=each.instance_id,
                host=each.host,
                properties=Properties(each.properties),
                concurrent_job_limit=job_type.limit_of(each),
                active=each.active,
                used_at=each.used_at,
            )
            for each in job_type.instances.values()
            if not each.drained
        ),
    )
