"""A job's context in the hands of a test: what user code would do in ``run``, the test does itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings

from jobsaga import JobContext, JobOptions
from jobsaga.clock import ManualClock
from jobsaga.messages import Message, StartJob
from jobsaga.models import JobCheckpoint
from jobsaga.worker.context import Host
from jobsaga.worker.runner import Attempt
from tests.jobsapp.models import Mark

ALIAS = settings.JOBSAGA["DATABASE"]
MARKS = Mark.objects.using(ALIAS)


def make_marks(count: int) -> list[str]:
    """So many rows to walk over; their texts, in the order of their keys."""
    texts = [f"item {number}" for number in range(count)]
    MARKS.bulk_create(Mark(text=text) for text in texts)
    return texts


class Hands:
    """One job, and its attempts one after the other, each with what the one before it has saved."""

    def __init__(self, **options: Any) -> None:
        self.job_id: UUID = uuid4()
        self.options = JobOptions(**options)
        self.clock = ManualClock()
        self.said: list[Message] = []
        JobCheckpoint.objects.using(ALIAS).create(job_id=self.job_id)

    @property
    def saved(self) -> Any:
        """What is stored for the job."""
        return JobCheckpoint.objects.using(ALIAS).get(job=self.job_id).state

    def attempt(self) -> JobContext[Any]:
        """The context of a new attempt: from now on it is the current one."""
        start = StartJob(
            job_id=self.job_id,
            attempt_id=uuid4(),
            job_type="jobsapp.ActInProcess",
            instance_id=uuid4(),
            message={"what": "give"},
            job_state=self.saved,
        )
        JobCheckpoint.objects.using(ALIAS).filter(job=self.job_id).update(attempt_id=start.attempt_id)
        host = Host(
            say=self.said.append,
            progress_due=lambda _: None,
            now=self.clock.now,
            monotonic=self.clock.monotonic,
        )
        self.running = Attempt(start, host)
        return self.running._context()

    def supersede(self) -> None:
        """The attempt is given up: its fence moves."""
        JobCheckpoint.objects.using(ALIAS).filter(job=self.job_id).update(attempt_id=None)

    def run(self, work: Callable[[JobContext[Any]], object]) -> Any:
        """The last word on a new attempt that does this."""
        context = self.attempt()
        self.running.call = lambda _: work(context)  # type: ignore[method-assign]
        self.running._context = lambda: context  # type: ignore[method-assign]
        return self.running.run()
