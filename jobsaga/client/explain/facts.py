"""What the rows say around one job. Each fact is one statement, asked at most once, and only if a rule wants it.

None of them walks the queue, however long it is: places in it are counted up to ``MANY`` from the ends of index
ranges, slots are read by the index of those that are held, durations are those of the last jobs that ended.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connections
from django.utils import timezone

from jobsaga.client.explain.explanation import Explanation, Holder
from jobsaga.client.explain.wording import moment
from jobsaga.clock import injected_clock
from jobsaga.ids import job_type_id
from jobsaga.models import JobAttemptSaga, JobHistory, JobInstance, JobSaga, JobTypeInstance, JobTypeSaga, sql
from jobsaga.models.workers import InstanceState
from jobsaga.sagas.records import JobType, TypeInstance
from jobsaga.sagas.states import JobStates
from jobsaga.store import estimates, line
from jobsaga.store.rows import COLUMNS, records

#: How far places in the queue are counted.
MANY = 1000
#: Among how many of the jobs that ended last one of the type is looked for.
LAST_ENDED = 100
#: A saga host looks every second: what lies longer, nobody looks at.
LATE = timedelta(seconds=10)


class Facts:
    """The facts around *job*, as they are when they are first asked for."""

    def __init__(self, alias: str, job: JobSaga) -> None:
        self.alias, self.job = alias, job
        self.zone: tzinfo = timezone.get_current_timezone()

    @property
    def state(self) -> JobStates:
        """The state in which the job was read."""
        return JobStates(self.job.state)

    @cached_property
    def now(self) -> datetime:
        """The database's time."""
        clock = injected_clock()
        return clock.now() if clock else sql.now(connections[self.alias])

    @cached_property
    def attempt(self) -> JobAttemptSaga | None:
        """The attempt that the job is about: the one that holds its slot, the current, or the last."""
        attempts = JobAttemptSaga.objects.using(self.alias).select_related("instance")
        if known := self.job.slot or self.job.attempt_id:
            return attempts.filter(pk=known).first()
        return attempts.filter(job_id=self.job.pk).order_by("-created_at").first()

    @property
    def announced(self) -> bool:
        """Whether a worker has ever announced the type: saga hosts make its row then."""
        return self._type_row is not None

    @cached_property
    def _type_row(self) -> JobType | None:
        rows = JobTypeSaga.objects.using(self.alias).filter(name=self.job.job_type)
        return next(iter(records(JobType, rows.values_list(*COLUMNS[JobType]))), None)

    @property
    def job_type(self) -> JobType:
        """Its limits, override and pause; workers and slots are not counted in it."""
        name = self.job.job_type
        return self._type_row or JobType(id=job_type_id(name), name=name)

    @cached_property
    def crew(self) -> list[JobTypeInstance]:
        """The live workers that run the type."""
        return list(
            self._instances.filter(
                instance__state=InstanceState.RUNNING, instance__lease_expires_at__gt=self.now
            )
        )

    @property
    def able(self) -> list[JobTypeInstance]:
        """Those of them that can read the job's message: the others are of an older release."""
        return [each for each in self.crew if each.message_version >= self.job.message_version]

    @cached_property
    def last_seen(self) -> JobInstance | None:
        """The worker of the type that was heard of last; None if there was none, or it has left in good order."""
        found = self._instances.order_by("-instance__lease_expires_at").first()
        return found.instance if found else None

    @property
    def _instances(self) -> Any:
        instances = JobTypeInstance.objects.using(self.alias).filter(job_type=self.job.job_type)
        return instances.select_related("instance")

    @cached_property
    def live_workers(self) -> int:
        """How many workers live, whatever they run."""
        live = JobInstance.objects.using(self.alias).filter(
            state=InstanceState.RUNNING, lease_expires_at__gt=self.now
        )
        return live.count()

    @cached_property
    def held(self) -> list[tuple[Any, Holder]]:
        """The slots of the type that are held, each with its instance's id, the longest first."""
        rows = JobAttemptSaga.objects.using(self.alias).filter(holds_slot=True, job_type=self.job.job_type)
        columns = (
            "job_id",
            "id",
            "created_at",
            "concurrency_key",
            "instance_id",
            "instance__host",
            "instance__pid",
        )
        return [
            (
                instance_id,
                Holder(
                    job_id=job_id,
                    attempt_id=attempt_id,
                    since=since,
                    key=key,
                    worker=f"{host}:{pid}" if host else "",
                ),
            )
            for job_id, attempt_id, since, key, instance_id, host, pid in rows.order_by(
                "created_at", "id"
            ).values_list(*columns)
        ]

    @cached_property
    def allotment(self) -> JobType:
        """The type with the workers that can read it and all held slots, as the saga hosts count them."""
        by_instance = Counter(instance_id for instance_id, _ in self.held)
        instances = {
            each.instance_id: TypeInstance(
                job_type=each.job_type,
                instance_id=each.instance_id,
                concurrent_job_limit=each.concurrent_job_limit,
                concurrency_cap=each.concurrency_cap,
                active=by_instance[each.instance_id],
                drained=each.instance.drained_at is not None,
            )
            for each in self.able
        }
        keys = Counter(holder.key for _, holder in self.held if holder.key)
        return self.job_type.but(instances=instances, active=len(self.held), keys=keys)

    @cached_property
    def overdue_since(self) -> datetime | None:
        """The earliest deadline of a job, if a saga host at work would have looked at it long ago."""
        late = JobSaga.objects.using(self.alias).filter(due_at__lt=self.now - LATE).order_by("due_at")
        return late.values_list("due_at", flat=True).first()

    @cached_property
    def in_line_since(self) -> datetime:
        """Since when the job waits for a slot this time; ``queued_at`` is kept from one try to the next."""
        came = JobHistory.objects.using(self.alias).filter(job_id=self.job.pk, to_state=self.job.state)
        since: datetime = came.order_by("-id").values_list("at", flat=True).first() or self.job.submitted_at
        return since

    @cached_property
    def last_end(self) -> datetime | None:
        """When a job of the type ended last, if it is among the last of all."""
        ended = JobSaga.objects.using(self.alias).filter(finished_at__isnull=False).order_by("-finished_at")
        rows = ended.values_list("job_type", "finished_at")[:LAST_ENDED]
        return next((at for name, at in rows if name == self.job.job_type), None)

    @cached_property
    def usual_duration(self) -> timedelta | None:
        """Half of the runs of late took no longer; None if there were none."""
        return estimates.usual_duration(self.alias, self.job)

    @cached_property
    def ahead(self) -> Counter[str]:
        """The jobs that are before it in the line, by their concurrency key: of each kind at most one too many."""
        return line.ahead(self.alias, self.job.job_type, self._place, MANY + 1)

    @cached_property
    def ahead_in_key(self) -> int:
        """Those of its own concurrency key."""
        key = self.job.concurrency_key
        return line.ahead(self.alias, self.job.job_type, self._place, MANY + 1, concurrency_key=key).total()

    @property
    def _place(self) -> tuple[int, datetime | None, UUID]:
        return self.job.priority, self.job.queued_at, self.job.pk

    def say(self, code: str, sentence: str, **facts: Any) -> Explanation:
        """An explanation of this job."""
        return Explanation(
            job_id=self.job.pk,
            job_type=self.job.job_type,
            current_state=self.state.label,
            at=self.now,
            code=code,
            sentence=f"{sentence}.",
            **facts,
        )

    def at(self, time: datetime) -> str:
        """A time in words, in the site's zone."""
        return moment(time, self.now, self.zone)
