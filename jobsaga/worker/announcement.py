"""What an instance says of its job types to the sagas: how many it takes at once, and what they are to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from jobsaga.consumers import JobConsumerDefinition
from jobsaga.messages import LimitKind, SetConcurrentJobLimit


def announcement(
    definition: JobConsumerDefinition,
    kind: LimitKind,
    instance_id: UUID,
    *,
    at_most: int | None = None,
    properties: Mapping[str, Any] | None = None,
) -> SetConcurrentJobLimit:
    """*at_most*: whatever the options say. *properties*: the instance's own, over those of the options."""
    options = definition.options
    limit = options.concurrent_job_limit
    return SetConcurrentJobLimit(
        job_type=definition.type_name,
        kind=kind,
        instance_id=instance_id,
        concurrent_job_limit=min(limit, at_most) if at_most else limit,
        concurrency_cap=at_most,
        global_concurrent_job_limit=options.global_concurrent_job_limit,
        concurrency_per_key=options.concurrency_per_key if options.concurrency_key else None,
        job_type_properties=options.job_type_properties.to_dict(),
        instance_properties={**options.instance_properties.to_dict(), **(properties or {})},
        message_version=definition.message_version,
    )
