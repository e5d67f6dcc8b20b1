"""jobsaga: long-running jobs for Django that survive crashes.

The names below are loaded when they are first asked for, so that ``from jobsaga import submit_job`` may stand
in any module of a site, also in one that is imported before ``django.setup()``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobsaga.client import JobArtifact as JobArtifact
    from jobsaga.client import JobState as JobState
    from jobsaga.client import aadd_or_update_recurring_job as aadd_or_update_recurring_job
    from jobsaga.client import acancel_job as acancel_job
    from jobsaga.client import acancel_recurring_job as acancel_recurring_job
    from jobsaga.client import add_or_update_recurring_job as add_or_update_recurring_job
    from jobsaga.client import adrain_instance as adrain_instance
    from jobsaga.client import aexplain_job as aexplain_job
    from jobsaga.client import afinalize_job as afinalize_job
    from jobsaga.client import afinalize_recurring_job as afinalize_recurring_job
    from jobsaga.client import aget_job_artifacts as aget_job_artifacts
    from jobsaga.client import aget_job_state as aget_job_state
    from jobsaga.client import aget_recurring_job_state as aget_recurring_job_state
    from jobsaga.client import aoverride_job_limit as aoverride_job_limit
    from jobsaga.client import apause_job_type as apause_job_type
    from jobsaga.client import aresume_job_type as aresume_job_type
    from jobsaga.client import aresume_recurring_job as aresume_recurring_job
    from jobsaga.client import aretry_job as aretry_job
    from jobsaga.client import arevert_job_limit as arevert_job_limit
    from jobsaga.client import arun_job as arun_job
    from jobsaga.client import arun_recurring_job as arun_recurring_job
    from jobsaga.client import aschedule_job as aschedule_job
    from jobsaga.client import asubmit_job as asubmit_job
    from jobsaga.client import asubmit_jobs as asubmit_jobs
    from jobsaga.client import aundrain_instance as aundrain_instance
    from jobsaga.client import cancel_job as cancel_job
    from jobsaga.client import cancel_recurring_job as cancel_recurring_job
    from jobsaga.client import drain_instance as drain_instance
    from jobsaga.client import explain_job as explain_job
    from jobsaga.client import finalize_job as finalize_job
    from jobsaga.client import finalize_recurring_job as finalize_recurring_job
    from jobsaga.client import get_job_artifacts as get_job_artifacts
    from jobsaga.client import get_job_state as get_job_state
    from jobsaga.client import get_recurring_job_state as get_recurring_job_state
    from jobsaga.client import override_job_limit as override_job_limit
    from jobsaga.client import pause_job_type as pause_job_type
    from jobsaga.client import resume_job_type as resume_job_type
    from jobsaga.client import resume_recurring_job as resume_recurring_job
    from jobsaga.client import retry_job as retry_job
    from jobsaga.client import revert_job_limit as revert_job_limit
    from jobsaga.client import run_job as run_job
    from jobsaga.client import run_recurring_job as run_recurring_job
    from jobsaga.client import schedule_job as schedule_job
    from jobsaga.client import submit_job as submit_job
    from jobsaga.client import submit_jobs as submit_jobs
    from jobsaga.client import undrain_instance as undrain_instance
    from jobsaga.consumers import JobConsumer as JobConsumer
    from jobsaga.consumers import job_consumer as job_consumer
    from jobsaga.consumers import recurring as recurring
    from jobsaga.exceptions import AttemptSuperseded as AttemptSuperseded
    from jobsaga.exceptions import JobCancellation as JobCancellation
    from jobsaga.options import JobOptions as JobOptions
    from jobsaga.options import ProgressBuffer as ProgressBuffer
    from jobsaga.sagas.distribution import JobDistributionStrategy as JobDistributionStrategy
    from jobsaga.sagas.distribution import JobInstanceInfo as JobInstanceInfo
    from jobsaga.sagas.distribution import JobSlotRequest as JobSlotRequest
    from jobsaga.sagas.distribution import JobTypeInfo as JobTypeInfo
    from jobsaga.sagas.retry import Retry as Retry
    from jobsaga.schedule import Daily as Daily
    from jobsaga.schedule import Every as Every
    from jobsaga.schedule import Monthly as Monthly
    from jobsaga.schedule import Weekly as Weekly
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
        "JobArtifact",
        "aget_job_artifacts",
        "explain_job",
        "get_job_artifacts",
        "asubmit_job",
        "asubmit_jobs",
        "acancel_job",
        "aretry_job",
        "arun_job",
        "afinalize_job",
        "aget_job_state",
        "aexplain_job",
        "schedule_job",
        "add_or_update_recurring_job",
        "run_recurring_job",
        "cancel_recurring_job",
        "resume_recurring_job",
        "finalize_recurring_job",
        "get_recurring_job_state",
        "aschedule_job",
        "aadd_or_update_recurring_job",
        "arun_recurring_job",
        "acancel_recurring_job",
        "aresume_recurring_job",
        "afinalize_recurring_job",
        "aget_recurring_job_state",
        "override_job_limit",
        "revert_job_limit",
        "pause_job_type",
        "resume_job_type",
        "drain_instance",
        "undrain_instance",
        "aoverride_job_limit",
        "arevert_job_limit",
        "apause_job_type",
        "aresume_job_type",
        "adrain_instance",
        "aundrain_instance",
    ),
    "jobsaga.consumers": ("JobConsumer", "job_consumer", "recurring"),
    "jobsaga.exceptions": ("AttemptSuperseded", "JobCancellation"),
    "jobsaga.options": ("JobOptions", "ProgressBuffer"),
    "jobsaga.sagas.distribution": (
        "JobDistributionStrategy",
        "JobSlotRequest",
        "JobTypeInfo",
        "JobInstanceInfo",
    ),
    "jobsaga.sagas.retry": ("Retry",),
    "jobsaga.schedule": ("Every", "Daily", "Weekly", "Monthly"),
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
