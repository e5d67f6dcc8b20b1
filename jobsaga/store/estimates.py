"""How long a job usually takes, by what has run before: for jobs that say nothing of their progress yet."""

from __future__ import annotations

from datetime import timedelta
from statistics import median

from jobsaga.models import JobAttemptSaga, JobSaga
from jobsaga.sagas.states import JobStates

#: How many ended jobs are looked at, of whatever type: the question is asked often, and must stay cheap.
LOOKED_AT = 200


def usual_duration(alias: str, job: JobSaga) -> timedelta | None:
    """The median of the earlier runs of a recurring job, or of the jobs of its type that ended last."""
    if job.recurring:
        runs = JobAttemptSaga.objects.using(alias).filter(job_id=job.pk, outcome="Completed")
        found = list(runs.order_by("-created_at").values_list("duration", flat=True)[:LOOKED_AT])
    else:
        ended = JobSaga.objects.using(alias).filter(finished_at__isnull=False).order_by("-finished_at")
        rows = ended.values_list("job_type", "state", "duration")[:LOOKED_AT]
        found = [
            took for name, state, took in rows if name == job.job_type and state == JobStates.COMPLETED.value
        ]
    known = [each for each in found if each is not None]
    return median(known) if known else None  # type: ignore[type-var]
