"""Kill the worker that holds a RunJob, in the middle of its steps, and print what became of the two jobs.

A program of its own, because it needs the site's settings: `python -m tests.demo.run_job_moves DIRECTORY`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django

from dashboard.demo.house import prepare
from dashboard.demo.workers import running
from tests.processes import wait_for

STEP_SECONDS = 0.5


def main(directory: Path) -> None:
    prepare(directory)
    django.setup()
    from django.core.management import call_command

    from dashboard.jobs import RunJob
    from jobsaga import submit_job
    from jobsaga.models import JobAttemptSaga, JobHistory, JobSaga

    def lines(job_id: object) -> list[str]:
        logged = JobHistory.objects.filter(job_id=job_id, sequence__isnull=False).order_by("id")
        return list(logged.values_list("status", flat=True))

    def states() -> set[str]:
        return {job.get_state_display() for job in JobSaga.objects.all()}

    call_command("migrate", verbosity=0)
    with (
        running("a", directory / "a.log", "runjobworker") as a,
        running("b", directory / "b.log", "runjobworker") as b,
    ):
        job = RunJob("moves", parameters={"step_seconds": STEP_SECONDS})
        ids = [submit_job(job), submit_job(job)]
        first = wait_for(lambda: next((each for each in ids if "Step 3" in lines(each)), None), 30, "step 3")
        holder = JobAttemptSaga.objects.get(job_id=first).instance
        next(worker for worker in (a, b) if worker.pid == holder.pid).kill()
        wait_for(lambda: states() == {"Completed"}, 60, f"both jobs, last seen {states()}")
        attempts = JobAttemptSaga.objects.order_by("started_at").select_related("instance")
        print(
            json.dumps(
                {
                    "pids": {"killed": holder.pid, "other": ({a.pid, b.pid} - {holder.pid}).pop()},
                    "attempts": [
                        {
                            "first": attempt.job_id == first,
                            "pid": attempt.instance.pid,
                            "started": attempt.started_at.timestamp(),
                            "ended": attempt.ended_at.timestamp(),
                        }
                        for attempt in attempts
                    ],
                    "lines": [lines(first), *(lines(each) for each in ids if each != first)],
                }
            )
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
