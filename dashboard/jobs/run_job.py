"""A job of ten logged steps, of which one runs at a time on all workers together.

When the worker that holds it dies, the job goes on elsewhere, after its last finished step. That it started,
completed or failed is in its history anyway; the job logs its steps, and that it was cancelled.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobsaga import JobCancellation, JobConsumer, JobContext, JobOptions

STEPS = 10
STEP_SECONDS = 5.0
BLOCK = 1024 * 1024


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class RunJob:
    """What to run. The parameter `step_seconds` says how long a step takes at least."""

    job_name: str
    description: str = ""
    created_at: datetime = field(default_factory=_now)
    input_file_path: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


class RunJobConsumer(JobConsumer[RunJob]):
    """A single job at a time; progress in steps."""

    options = JobOptions(global_concurrent_job_limit=1)

    def run(self, context: JobContext[RunJob]) -> dict[str, Any]:
        digests: list[str] = context.try_get_job_state() or []
        try:
            for step in range(len(digests) + 1, STEPS + 1):
                digests.append(process(context.job, step))
                context.cancellation_token.wait(step_seconds(context.job))
                context.raise_if_cancellation_requested()
                context.log(f"Completed step {step}.", status=f"Step {step}")
                context.set_job_progress(step, STEPS)
                context.save_job_state(digests)
        except JobCancellation as cancellation:
            if cancellation.kind == "user":
                context.log("Job cancelled.", status="Cancelled")
            raise
        return {"job_name": context.job.job_name, "digests": [digest for digest in digests if digest]}


def step_seconds(job: RunJob) -> float:
    """How long a step lasts, in seconds."""
    return float(job.parameters.get("step_seconds", STEP_SECONDS))


def process(job: RunJob, step: int) -> str:
    """Do one step's work: the sum of its tenth of the input file. Put your own work here."""
    if job.input_file_path is None:
        return ""
    path = Path(job.input_file_path)
    size = path.stat().st_size
    start, end = size * (step - 1) // STEPS, size * step // STEPS
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(min(BLOCK, end - file.tell())):
            digest.update(block)
    return digest.hexdigest()
