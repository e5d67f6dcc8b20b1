"""A distribution strategy for the conformance tests: it is known only where saga hosts run."""

from __future__ import annotations

from uuid import UUID

from jobsaga import JobDistributionStrategy, JobSlotRequest, JobTypeInfo


class ByRegion(JobDistributionStrategy):
    """A job goes to a worker of its region, if one has room."""

    def is_job_slot_available(self, request: JobSlotRequest, job_type: JobTypeInfo) -> UUID | None:
        region = request.properties.get("Region")
        return self.least_busy(each for each in job_type.instances if each.properties.get("Region") == region)
