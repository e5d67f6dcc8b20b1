"""jobsaga: long-running jobs for Django that survive crashes.

The names below are loaded when they are first asked for, so that ``from jobsaga import submit_job`` may stand
in any module of a site, also in one that is imported before ``django.setup()``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobsaga.client import JobState as JobState
    from jobsaga.client import acancel_job as acancel_job
    from jobsaga.client import afinalize_job as afinalize_job
    from jobsaga.client import aget_job_state as aget_job_state
    from jobsaga.client import aretry_job as aretry_job
    from jobsaga.client import arun_job as arun_job
    from jobsaga.client import asubmit_job as asubmit_job
    from jobsaga.client import asubmit_jobs as asubmit_jobs
    from jobsaga.client import cancel_job as cancel_job
    from jobsaga.client import finalize_job as finalize_job
    from jobsaga.client import get_job_state as get_job_state
    from jobsaga.client import retry_job as retry_job
    from jobsaga.client import run_job as run_job
    from jobsaga.client import submit_job as submit_job
    from jobsaga.client import submit_jobs as submit_jobs
    from jobsaga.consumers import JobConsumer as JobConsumer
    from jobsaga.consumers import job_consumer as job_consumer
    from jobsaga.exceptions import AttemptSuperseded as AttemptSuperseded
    from jobsaga.exceptions import JobCancellation as JobCancellation
    from jobsaga.options import JobOptions as JobOptions
    from jobsaga.options import ProgressBuffer as ProgressBuffer
    from jobsaga.sagas.retry import Retry as Retry
    from jobsaga.worker.context import JobContext as JobContext

_HOMES = {
    "jobsaga.client": (
        "JobState",
        "submit_job",
        "submit_jobs",
        "cancel_job",
        "retry_job",
        "run_job",
        "finalize_job",
        "get_job_state",
        "asubmit_job",
        "asubmit_jobs",
        "acancel_job",
        "aretry_job",
        "arun_job",
        "afinalize_job",
        "aget_job_state",
    ),
    "jobsaga.consumers": ("JobConsumer", "job_consumer"),
    "jobsaga.exceptions": ("AttemptSuperseded", "JobCancellation"),
    "jobsaga.options": ("JobOptions", "ProgressBuffer"),
    "jobsaga.sagas.retry": ("Retry",),
    "jobsaga.worker.context": ("JobContext",),
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - the table is the list


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'jobsaga' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
