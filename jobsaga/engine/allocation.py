"""Who gets a slot: the last step of a turn, and the only one that needs job types.

Types that another saga host holds are left for the next lap. Under the lock the held slots are counted
(in the database, less what this turn has released), the waiting jobs are locked in their order, and each is
told that there may be room; the job type's rule decides, the distribution strategy only proposes.

A strategy may decline. Then the next jobs are asked for, until there is no room left or a whole batch was
asked; a host remembers whom it has asked, so that its next lap goes on behind them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from jobsaga.engine.strategies import Strategies
from jobsaga.engine.turn import ToType, Turn
from jobsaga.messages import (
    AllocateJobSlot,
    DrainInstance,
    JobLimitOverrideElapsed,
    JobSlotAllocated,
    JobSlotUnavailable,
    JobSlotWaitElapsed,
    Message,
    OverrideJobLimit,
    PauseJobType,
    SetConcurrentJobLimit,
    Steering,
    UndrainInstance,
)
from jobsaga.sagas import JOB_TYPE, Job, JobStates, JobType
from jobsaga.sagas.distribution import JobDistributionStrategy
from jobsaga.sagas.machine import Note, Send
from jobsaga.sagas.states import JobTypeStates
from jobsaga.store.base import Drained, Transaction, TypeHistoryRow, place_in_line

logger = logging.getLogger("jobsaga.engine")

#: What makes the row of a type that nobody has announced yet.
FOUNDING = (SetConcurrentJobLimit, OverrideJobLimit, PauseJobType)
Draining = DrainInstance | UndrainInstance
#: Jobs that a strategy of the site's own is asked about first; after that twice as many each time.
FIRST_ASKED = 20


class Places:
    """Where a host has stopped looking at the waiting jobs of a type, to go on there in its next lap."""

    def __init__(self) -> None:
        #: The jobs that were asked and not started, of types with more of them than one lap can ask; and if these
        #: became too many to be named, the last of them: the walk goes on behind it.
        self.asked: dict[str, tuple[set[UUID], Job | None]] = {}
        #: The concurrency key behind which the walk over very many keys goes on.
        self.keys: dict[str, str | None] = {}


class Allocation:
    """The allocation of one turn. ``left_over`` holds the types that could not be served in it, ``unheard`` what such
    a type has not been told.
    """

    def __init__(
        self,
        turn: Turn,
        tx: Transaction,
        strategies: Strategies,
        batch: int,
        places: Places,
        reaches: Callable[[UUID], bool],
    ) -> None:
        self.turn, self.tx, self.strategies, self.batch, self.places = turn, tx, strategies, batch, places
        #: Whether a message to this instance would arrive now: if not, it gets no slot.
        self.reaches = reaches
        self.left_over: set[str] = set()
        self.unheard: list[Message] = []
        self._types: dict[str, JobType] = {}

    def serve(self, names: Iterable[str], *, fill: bool = True) -> None:
        """Tell these types what was released, announced and asked of them, and give out what is free if *fill*.

        A type that hears an announcement is filled in the next lap: whether the instance lives is asked then.
        """
        turn = self.turn
        told, drains = self._addressed()
        wanted = {*names, *(each.job_type for each in turn.released), *(name for name, _ in told)}
        if not wanted and not drains:
            return
        founded = {name for name, message in told if isinstance(message, FOUNDING)}
        if founded:
            self.tx.create_job_types(sorted(founded))
        locked = self.tx.job_types(sorted(wanted), turn.now)
        self._types = dict(locked.rows)
        announced = {name for name, message in told if isinstance(message, SetConcurrentJobLimit)}
        self.left_over |= locked.busy | (announced if fill else wanted)
        self.unheard = [message for name, message in told if name in locked.busy]
        self._drain(drains)
        for released in turn.released:
            self._tell(released.job_type, released)
        for name, message in told:
            if message not in self.unheard:
                self._tell(name, message)
                self.places.asked.pop(name, None)  # who was declined so far may not be now
        for name in sorted(self._types):
            self._revert(name)
            if fill and name not in announced:
                self._fill(name)
            self._rest(name)
        self._note_changes(locked.rows)

    # What types are told

    def _addressed(self) -> tuple[list[tuple[str, ToType]], list[Draining]]:
        """What each type is to be told; a drain, by every type that the instance runs."""
        drains = [each for each in self.turn.to_types if isinstance(each, Draining)]
        types = self.tx.instances_types({each.instance_id for each in drains}) if drains else {}
        told: list[tuple[str, ToType]] = []
        for message in self.turn.to_types:
            if isinstance(message, Draining):
                told += [(name, message) for name in types.get(message.instance_id, ())]
            else:
                told.append((message.job_type, message))
        return told, drains

    def _drain(self, drains: list[Draining]) -> None:
        """Note it in the instance's row, once all its types are locked: from the commit on it gets nothing more."""
        now = self.turn.now
        for message in drains:
            if message in self.unheard:
                continue
            begins = isinstance(message, DrainInstance)
            drained = Drained(now, message.actor, message.reason) if begins else None
            changed = self.tx.set_drained(message.instance_id, drained)
            if changed is None:
                self.unheard.append(message)
            elif changed:
                self._note(
                    Note(type(message).__name__, message.reason), message, instance_id=message.instance_id
                )

    def _tell(self, name: str, message: Any, chosen: UUID | None = None) -> list[Send]:
        if name not in self._types:
            return []
        outcome = JOB_TYPE.step(self._types[name], message, self.turn.env(chosen=chosen))
        self._types[name] = outcome.saga
        for effect in outcome.effects:
            if isinstance(effect, Note):
                self._note(effect, message, job_type=name)
        return [effect for effect in outcome.effects if isinstance(effect, Send)]

    def _note(self, note: Note, message: Message, **about: Any) -> None:
        actor = message.actor if isinstance(message, Steering) else ""
        row = TypeHistoryRow(at=self.turn.now, kind=note.kind, message=note.text, actor=actor, **about)
        self.turn.changes.type_history.append(row)

    def _revert(self, name: str) -> None:
        """An override whose time is over holds no moment longer, whether a sweep has come or not."""
        due = self._types[name].due_at
        if due is not None and due <= self.turn.now:
            self._tell(name, JobLimitOverrideElapsed(job_type=name))

    def _rest(self, name: str) -> None:
        """It may have missed that its last slot was released, while another host had it."""
        job_type = self._types[name]
        if job_type.state is JobTypeStates.ACTIVE and job_type.active == 0:
            self._types[name] = job_type.but(state=JobTypeStates.IDLE)

    # Slots

    def _fill(self, name: str) -> None:
        """Offer the free slots to the waiting jobs, as many of them as it takes, but no more than a batch."""
        self._leave_out_of_reach(name)
        strategy = self.strategies.of(self._types[name])
        before, last = self.places.asked.pop(name, (set[UUID](), None))
        asked: set[UUID] = set()
        more = True
        while more and len(asked) < self.batch and self._types[name].room > 0:
            wanted = max(self._types[name].room, len(asked), FIRST_ASKED if strategy else 0)
            jobs, more = self._candidates(name, min(wanted, self.batch - len(asked)), before | asked, last)
            with self.tx.guarded() if strategy else nullcontext():
                for job in jobs:
                    if self._types[name].room > 0:
                        asked.add(job.id)
                        self._offer_safely(name, job, strategy)
            keyed = strategy is not None and self._types[name].concurrency_per_key is not None
            more = bool(jobs) and (more or keyed)  # a declined job leaves its key's room to the next
        if self._types[name].room > 0:
            self._remember(name, before, last, asked, more)

    def _leave_out_of_reach(self, name: str) -> None:
        """Who cannot be told to start anything gets nothing, as if it were drained."""
        job_type = self._types[name]
        far = {
            key: each.but(drained=True) for key, each in job_type.instances.items() if not self.reaches(key)
        }
        if far:
            self._types[name] = job_type.but(instances={**job_type.instances, **far})

    def _remember(self, name: str, before: set[UUID], last: Job | None, asked: set[UUID], more: bool) -> None:
        """There is room left: where to go on, and whether at once."""
        jobs = self.turn.jobs.now
        waits = {key for key in asked if jobs[key].state is JobStates.WAITING_FOR_SLOT}
        if more:
            known = before | waits
            if len(known) > 10 * self.batch:
                known, last = set(), max((jobs[key] for key in waits), key=place_in_line, default=last)
            self.places.asked[name] = known, last
        goes_on = self.places.keys.get(name) is not None
        if (more and len(waits) < len(asked)) or ((before or last) and not more) or goes_on:
            self.left_over.add(name)

    def _candidates(self, name: str, limit: int, done: set[UUID], last: Job | None) -> tuple[list[Job], bool]:
        """The first waiting jobs, of the database and of this turn, whose checkpoint could be locked too; whether
        there may be more. Not those in *done*, nor up to the *last*.
        """
        turn = self.turn
        in_hand = {job.id for job in turn.jobs.before.values() if job.state is JobStates.WAITING_FOR_SLOT}
        turn.jobs.hold({job.id: job for job in self._line(name, limit + 1, done | in_hand, last)})
        waiting = sorted((job for job in self._waiting(name) if job.id not in done), key=place_in_line)
        first = waiting[: limit + 1]
        unknown = [job.id for job in first if job.was_tried and job.id not in turn.checkpoints.now]
        locked = self.tx.checkpoints(unknown)
        turn.checkpoints.hold(locked.rows)
        if locked.busy:
            self.left_over.add(name)
        more = len(waiting) > limit or self.places.keys.get(name) is not None
        return [job for job in first if job.id not in locked.busy][:limit], more

    def _line(self, name: str, limit: int, skip: set[UUID], last: Job | None) -> list[Job]:
        job_type = self._types[name]
        if job_type.concurrency_per_key is None:
            return self.tx.waiting_jobs(name, limit, skip, beyond=last)
        jobs, self.places.keys[name] = self.tx.waiting_by_key(
            job_type, limit, skip, self.places.keys.get(name)
        )
        return jobs

    def _waiting(self, name: str) -> Iterator[Job]:
        for job in self.turn.jobs.now.values():
            if _waits(job) and job.job_type == name:
                yield job

    def _offer_safely(self, name: str, job: Job, strategy: JobDistributionStrategy | None) -> None:
        """A job that cannot even be offered a slot keeps no other from getting one."""
        mark, job_type = self.turn.mark(), self._types[name]
        try:
            self._offer(name, job, strategy)
        except Exception:
            logger.exception("Job %s could not be started: it is left waiting", job.id)
            self.turn.undo(mark)
            self._types[name] = job_type

    def _offer(self, name: str, job: Job, strategy: JobDistributionStrategy | None) -> None:
        """There may be room: let the job ask, the strategy propose, the type decide, the job hear it."""
        turn = self.turn
        outcome = turn.step_job(JobSlotWaitElapsed(job_id=job.id))
        for request in outcome:
            assert isinstance(request.message, AllocateJobSlot)
            able = _who_can_read(self._types[name], job.message_version)
            chosen = self.strategies.choose(strategy, able, request.message)
            for reply in self._tell(name, request.message, chosen):
                assert isinstance(reply.message, JobSlotAllocated | JobSlotUnavailable)
                turn.apply(reply.message)

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


def _who_can_read(job_type: JobType, version: int) -> JobType:
    """The type, with those who cannot read a message of this version as if they were drained: in a deploy a new
    release's jobs wait for its first worker.
    """
    old = {
        key: each.but(drained=True)
        for key, each in job_type.instances.items()
        if each.message_version < version
    }
    return job_type.but(instances={**job_type.instances, **old}) if old else job_type


def _waits(job: Job) -> bool:
    return job.state is JobStates.WAITING_FOR_SLOT and job.slot is None
