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
from jobsaga.client.state import JobState

__all__ = [
    "JobState", "acancel_job", "afinalize_job", "aget_job_state", "aretry_job", "arun_job", "asubmit_job",
    "asubmit_jobs", "cancel_job", "finalize_job", "get_job_state", "retry_job", "run_job", "submit_job", "submit_jobs",
]  # fmt: skip
