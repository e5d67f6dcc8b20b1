"""The jobs of the demo: what is submitted, and how each is doing."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from django.db import transaction

from dashboard.demo.screen import Row
from dashboard.jobs import CallService, ConvertVideo, PackDirectory, QuickJob, RunJob
from jobsaga import submit_job, submit_jobs
from jobsaga.models import JobAttemptSaga, JobHistory, JobSaga

QUICK_JOBS = 10
STEP_SECONDS = 0.2
NOT_PACKED = ("site-packages", "dist-packages", "__pycache__", "config-*")


@dataclass
class Cast:
    """The jobs by their roles. `refresh` reads them from the database, all at once."""

    film: Path
    directory: Path
    quick: list[UUID] = field(default_factory=list)
    convert: UUID | None = None
    canceled: UUID | None = None
    pack: UUID | None = None
    service: UUID | None = None
    run_jobs: list[UUID] = field(default_factory=list)
    _jobs: dict[UUID, JobSaga] = field(default_factory=dict)

    def submit_quick_jobs(self) -> None:
        self.quick = submit_jobs([QuickJob(number) for number in range(QUICK_JOBS)])

    @transaction.atomic
    def submit_long_jobs(self) -> None:
        """In one transaction: they begin when it commits, all or none."""
        target = self.directory / "converted.mp4"
        self.convert = submit_job(ConvertVideo(str(self.film), str(target), threads=1))
        unwanted = self.directory / "canceled.mp4"
        self.canceled = submit_job(ConvertVideo(str(self.film), str(unwanted), preset="veryslow", threads=1))
        library = sysconfig.get_path("stdlib")
        self.pack = submit_job(PackDirectory(library, str(self.directory / "pack"), NOT_PACKED))
        self.service = submit_job(CallService(failures=2))
        parameters = {"step_seconds": STEP_SECONDS}
        self.run_jobs = [
            submit_job(RunJob(name, "Ten steps", input_file_path=str(self.film), parameters=parameters))
            for name in ("first", "second")
        ]

    def refresh(self) -> None:
        found = JobSaga.objects.filter(id__in=self.ids).prefetch_related("attempts__instance")
        self._jobs = {job.id: job for job in found}

    @property
    def ids(self) -> list[UUID]:
        single = (self.convert, self.canceled, self.pack, self.service)
        return [*self.quick, *filter(None, single), *self.run_jobs]

    def job(self, job_id: UUID | None) -> JobSaga:
        assert job_id is not None
        return self._jobs[job_id]

    def state(self, job_id: UUID | None) -> str:
        return self.job(job_id).get_state_display()

    def attempts(self, job_id: UUID | None) -> list[JobAttemptSaga]:
        return sorted(self.job(job_id).attempts.all(), key=lambda attempt: attempt.created_at)

    def is_over(self, job_id: UUID | None) -> bool:
        return self.state(job_id) in ("Completed", "Faulted", "Canceled")

    def log_lines(self, job_id: UUID | None) -> list[JobHistory]:
        """What the job itself logged, in order."""
        return list(JobHistory.objects.filter(job_id=job_id, sequence__isnull=False).order_by("id"))

    def rows(self, names: dict[int, str]) -> list[Row]:
        """The picture; `names` are the workers' by process id."""
        parts = (
            ("Convert a video", self.convert),
            ("Unwanted conversion", self.canceled),
            ("Pack Python's library", self.pack),
            ("Call a failing service", self.service),
        )
        rows = [self._group("Ten quick jobs", self.quick, names)] if self.quick else []
        rows += [self._row(name, job_id, names) for name, job_id in parts if job_id]
        runs = enumerate(self.run_jobs, start=1)
        return rows + [self._row(f"Run job {number}", job_id, names) for number, job_id in runs]

    def _row(self, name: str, job_id: UUID, names: dict[int, str]) -> Row:
        job, attempts = self.job(job_id), self.attempts(job_id)
        state = job.get_state_display()
        limit = job.progress_limit or (1 if state == "Completed" else None)
        value = limit or 0 if state == "Completed" else job.progress_value or 0
        return Row(
            name=name,
            state=state,
            value=round(value),
            limit=round(limit) if limit else None,
            attempts=len(attempts),
            workers=worker_name(attempts[-1], names) if attempts else "",
            message=job.progress_message if state == "Started" else job.reason,
        )

    def _group(self, name: str, ids: list[UUID], names: dict[int, str]) -> Row:
        done = sum(self.is_over(job_id) for job_id in ids)
        attempts = [attempt for job_id in ids for attempt in self.attempts(job_id)]
        workers = sorted({worker_name(attempt, names) for attempt in attempts})
        state = "Completed" if done == len(ids) else "Started" if attempts else "WaitingForSlot"
        return Row(name, state, done, len(ids), workers=", ".join(workers))


def worker_name(attempt: JobAttemptSaga, names: dict[int, str]) -> str:
    return names.get(attempt.instance.pid, "?") if attempt.instance else ""
