"""Who gets a slot: the last step of a turn, and the only one that needs job types.

Types that another saga host holds are left for the next lap. Under the lock the held slots are counted
(in the database, less what this turn has released), the waiting jobs are locked in their order, and each is
told that there may be room; the job type's rule decides, the distribution strategy only proposes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from uuid import UUID

from jobsaga.engine.turn import Turn
from jobsaga.messages import (
    AllocateJobSlot,
    JobSlotAllocated,
    JobSlotReleased,
    JobSlotUnavailable,
    JobSlotWaitElapsed,
    Message,
    SetConcurrentJobLimit,
)
from jobsaga.sagas import JOB_TYPE, Job, JobStates, JobType
from jobsaga.sagas.machine import Send
from jobsaga.sagas.states import JobTypeStates
from jobsaga.store.base import Transaction

logger = logging.getLogger("jobsaga.engine")

Strategy = Callable[[JobType, AllocateJobSlot], UUID | None]


def default_strategy(job_type: JobType, request: AllocateJobSlot) -> UUID | None:
    """The instance with the fewest active jobs, then the one that was used longest ago."""
    free = [each for each in job_type.instances.values() if each.active < job_type.limit_of(each)]
    if not free:
        return None
    choice = min(
        free, key=lambda each: (each.active, each.used_at is not None, each.used_at, each.instance_id)
    )
    return choice.instance_id


class Allocation:
    """The allocation of one turn. ``left_over`` holds the types that could not be served in it, ``unheard`` the
    announcements that such a type has not heard.
    """

    def __init__(
        self,
        turn: Turn,
        tx: Transaction,
        strategy: Strategy,
        batch: int,
        reaches: Callable[[UUID], bool] = lambda _: True,
    ) -> None:
        self.turn, self.tx, self.strategy, self.batch = turn, tx, strategy, batch
        #: Whether a message to this instance would arrive now: if not, it gets no slot.
        self.reaches = reaches
        self.left_over: set[str] = set()
        self.unheard: list[SetConcurrentJobLimit] = []
        self._types: dict[str, JobType] = {}

    def serve(self, names: Iterable[str], *, fill: bool = True) -> None:
        """Tell these types what was released and announced, and give out what is free if *fill*.

        A type that hears an announcement is filled in the next lap: whether the instance lives is asked then.
        """
        turn = self.turn
        told: list[JobSlotReleased | SetConcurrentJobLimit] = [*turn.released, *turn.limits]
        announced = {each.job_type for each in turn.limits}
        wanted = {*names, *(each.job_type for each in told)}
        if not wanted:
            return
        if announced:
            self.tx.create_job_types(sorted(announced))
        locked = self.tx.job_types(sorted(wanted), turn.now)
        self._types = dict(locked.rows)
        self.left_over |= locked.busy | (announced if fill else wanted)
        self.unheard = [each for each in turn.limits if each.job_type in locked.busy]
        for message in told:
            self._tell(message.job_type, message)
        for name in sorted(self._types):
            if fill and name not in announced:
                self._fill(name)
            self._rest(name)
        self._note_changes(locked.rows)

    def _tell(self, name: str, message: Message, chosen: UUID | None = None) -> list[Send]:
        if name not in self._types:
            return []
        outcome = JOB_TYPE.step(self._types[name], message, self.turn.env(chosen=chosen))
        self._types[name] = outcome.saga
        return [effect for effect in outcome.effects if isinstance(effect, Send)]

    def _rest(self, name: str) -> None:
        """It may have missed that its last slot was released, while another host had it."""
        job_type = self._types[name]
        if job_type.state is JobTypeStates.ACTIVE and job_type.active == 0:
            self._types[name] = job_type.but(state=JobTypeStates.IDLE)

    def _fill(self, name: str) -> None:
        room = min(self._within_reach(name).room, self.batch)
        if room <= 0:
            return
        candidates = self._candidates(name, room)
        for job in candidates[:room]:
            self._offer_safely(name, job)
        if room == self.batch or len(candidates) > room:
            self.left_over |= {name} if self._within_reach(name).room else set()

    def _within_reach(self, name: str) -> JobType:
        """The type with the instances that can be told to start something."""
        job_type = self._types[name]
        near = {key: each for key, each in job_type.instances.items() if self.reaches(key)}
        return job_type if len(near) == len(job_type.instances) else job_type.but(instances=near)

    def _candidates(self, name: str, room: int) -> list[Job]:
        """The first waiting jobs, of the database and of this turn, whose checkpoint could be locked too."""
        turn = self.turn
        known = sum(job.state is JobStates.WAITING_FOR_SLOT for job in turn.jobs.before.values())
        turn.jobs.hold({job.id: job for job in self.tx.waiting_jobs(name, room + 1 + known)})
        waiting = sorted(self._waiting(name), key=lambda job: (-job.priority, job.queued_at, job.id))[
            : room + 1
        ]
        unknown = [job.id for job in waiting if job.was_tried and job.id not in turn.checkpoints.now]
        locked = self.tx.checkpoints(unknown)
        turn.checkpoints.hold(locked.rows)
        if locked.busy:
            self.left_over.add(name)
        return [job for job in waiting if job.id not in locked.busy]

    def _waiting(self, name: str) -> Iterator[Job]:
        for job in self.turn.jobs.now.values():
            if _waits(job) and job.job_type == name:
                yield job

    def _offer_safely(self, name: str, job: Job) -> None:
        """A job that cannot even be offered a slot keeps no other from getting one."""
        mark, job_type = self.turn.mark(), self._types[name]
        try:
            self._offer(name, job)
        except Exception:
            logger.exception("Job %s could not be started: it is left waiting", job.id)
            self.turn.undo(mark)
            self._types[name] = job_type

    def _offer(self, name: str, job: Job) -> None:
        """There may be room: let the job ask, the strategy propose, the type decide, the job hear it."""
        turn = self.turn
        outcome = turn.step_job(JobSlotWaitElapsed(job_id=job.id))
        for request in outcome:
            assert isinstance(request.message, AllocateJobSlot)
            for reply in self._tell(name, request.message, self._choose(name, request.message)):
                assert isinstance(reply.message, JobSlotAllocated | JobSlotUnavailable)
                turn.apply(reply.message)

    def _choose(self, name: str, request: AllocateJobSlot) -> UUID | None:
        try:
            return self.strategy(self._within_reach(name), request)
        except Exception:
            logger.exception(
                "The distribution strategy of %s failed: job %s gets no slot now", name, request.job_id
            )
            return None

    def _note_changes(self, before: dict[str, JobType]) -> None:
        changes = self.turn.changes
        for name, after in self._types.items():
            was = before[name]
            if after is was:
                continue
            changes.job_types.append((was, after))
            for key, instance in after.instances.items():
                old = was.instances.get(key)
                if old is not instance:
                    changes.type_instances.append((old, instance))
        changes.removed_type_instances += [
            instance
            for name, after in self._types.items()
            for key, instance in before[name].instances.items()
            if key not in after.instances
        ]


def _waits(job: Job) -> bool:
    return job.state is JobStates.WAITING_FOR_SLOT and job.slot is None
