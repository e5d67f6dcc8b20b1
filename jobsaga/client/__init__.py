"""What a site's code calls: submit, cancel, retry, finalize, ask.

Everything happens in the caller's transaction on JOBSAGA's database: a job exists exactly when that commits.
A dead broker or a missing worker costs the caller nothing. The twins with an ``a`` are the same for async code.
"""

from jobsaga.client.commands import (
    acancel_job,
    afinalize_job,
    aget_job_state,
    aretry_job,
    arun_job,
    asubmit_job,
    asubmit_jobs,
    cancel_job,
    finalize_job,
    get_job_state,
    retry_job,
    run_job,
    submit_job,
    submit_jobs,
)
from jobsaga.client.recurring import (
    aadd_or_update_recurring_job,
    acancel_recurring_job,
    add_or_update_recurring_job,
    afinalize_recurring_job,
    aget_recurring_job_state,
    aresume_recurring_job,
    arun_recurring_job,
    aschedule_job,
    cancel_recurring_job,
    finalize_recurring_job,
    get_recurring_job_state,
    resume_recurring_job,
    run_recurring_job,
    schedule_job,
)
from jobsaga.client.state import JobState

__all__ = [
    "JobState",
    "aadd_or_update_recurring_job",
    "acancel_job",
    "acancel_recurring_job",
    "add_or_update_recurring_job",
    "afinalize_job",
    "afinalize_recurring_job",
    "aget_job_state",
    "aget_recurring_job_state",
    "aresume_recurring_job",
    "aretry_job",
    "arun_job",
    "arun_recurring_job",
    "aschedule_job",
    "asubmit_job",
    "asubmit_jobs",
    "cancel_job",
    "cancel_recurring_job",
    "finalize_job",
    "finalize_recurring_job",
    "get_job_state",
    "get_recurring_job_state",
    "resume_recurring_job",
    "retry_job",
    "run_job",
    "run_recurring_job",
    "schedule_job",
    "submit_job",
    "submit_jobs",
]  # fmt: skip
