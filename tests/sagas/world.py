"""The three machines joined in one process by a bus, the way the engine joins them.

``say`` is one transaction: what is said is heard by the sagas it is addressed to, what they say to each other
is handled breadth-first until all is quiet, and then the free slots are handed out. What is meant for a
worker, for the site's own code or for the history is kept in lists. Time stands still until ``pass_time``.

A ``World`` checks what must hold after every transaction, whatever the test is about (``check``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobsaga.messages import (
    Address,
    AttemptStatus,
    JobAttemptStatus,
    JobEvent,
    JobLimitOverrideElapsed,
    JobSlotAllocated,
    JobSlotWaitElapsed,
    JobStatusCheckRequested,
    LimitKind,
    Message,
    SetConcurrentJobLimit,
)
from jobsaga.sagas import ATTEMPT, JOB, JOB_TYPE, Attempt, Checkpoint, Env, Job, JobType, TypeInstance
from jobsaga.sagas.job import DEADLINES
from jobsaga.sagas.machine import EndSession, MoveFence, Note, Outcome, Publish, Send
from jobsaga.sagas.states import OPEN_ATTEMPT_STATES, TRANSIENT_JOB_STATES, AttemptStates, JobStates

START = datetime(2026, 1, 1, tzinfo=UTC)
LATE_AFTER, LEASE = timedelta(seconds=10), timedelta(seconds=15)
TYPE = "videos"


@dataclass(frozen=True)
class Heard:
    """One line of a conversation. For a worker's ears there is no outcome: it only hears."""

    address: Address
    key: Any
    message: Message
    before: Any = None
    outcome: Outcome[Any] | None = None


@dataclass
class World:
    """All rows, the time, and everything that was heard."""

    options: dict[str, Any] = field(default_factory=dict)
    now: datetime = START
    jobs: dict[UUID, Job] = field(default_factory=dict)
    attempts: dict[UUID, Attempt] = field(default_factory=dict)
    types: dict[str, JobType] = field(default_factory=dict)
    checkpoints: dict[UUID, Checkpoint] = field(default_factory=dict)
    #: Jobs whose checkpoint is locked by someone else's transaction.
    held: set[UUID] = field(default_factory=set)
    #: When each instance that has stopped beating did so.
    silent_since: dict[UUID, datetime] = field(default_factory=dict)
    #: Of these, whose session is ended after the commit.
    sessions_to_end: set[UUID] = field(default_factory=set)
    heard: list[Heard] = field(default_factory=list)
    events: list[JobEvent] = field(default_factory=list)
    #: How many slots were given since the beginning.
    given: int = 0

    # What happens

    def say(self, *messages: Message) -> list[Heard]:
        """One transaction. Gives everything that was heard in it."""
        began = len(self.heard)
        for message in messages:
            self._converse(message)
        self._allocate()
        self._remove_finalized()
        self.check()
        if self.sessions_to_end:
            self.held -= self.sessions_to_end
            self.sessions_to_end.clear()
            self.say()  # the lap that follows
        return self.heard[began:]

    def pass_time(self, duration: timedelta) -> list[Heard]:
        """Let time pass, then look once, as the sweep does: leases and deadlines."""
        self.now += duration
        return self.sweep()

    def sweep(self) -> list[Heard]:
        """What the sweep does in one lap."""
        said = self.say(*self.of_leases())
        return said + self.say(*self.of_deadlines())

    def host(
        self, instance: UUID, limit: int = 1, global_limit: int | None = None, name: str = TYPE
    ) -> list[Heard]:
        """An instance announces that it runs this type."""
        return self.say(
            SetConcurrentJobLimit(
                job_type=name, kind=LimitKind.CONFIGURED, instance_id=instance,
                concurrent_job_limit=limit, global_concurrent_job_limit=global_limit,
            )
        )  # fmt: skip

    def take(self, attempt_id: UUID) -> bool:
        """The worker confirms that it has the start message, by an update of its own."""
        attempt = self.attempts.get(attempt_id)
        if attempt is None or attempt.state is not AttemptStates.STARTING:
            return False
        self.attempts[attempt_id] = attempt.but(received_at=attempt.received_at or self.now)
        return True

    def save(self, attempt_id: UUID, state: Any) -> bool:
        """The job saves its state: only through the fence."""
        job_id = self.attempts[attempt_id].job_id
        checkpoint = self.checkpoints.get(job_id)
        if checkpoint is None or checkpoint.attempt_id != attempt_id or job_id in self.held:
            return False
        advanced = attempt_id if state != checkpoint.state else checkpoint.advanced_by
        self.checkpoints[job_id] = checkpoint.but(state=state, advanced_by=advanced)
        return True

    # What the sweep finds

    def of_leases(self) -> list[Message]:
        """By the lease alone: whose instance is late, lost, or back."""
        said: list[Message] = []
        for attempt in self.attempts.values():
            status = self._status_of(attempt)
            if status is not None:
                said.append(JobAttemptStatus(job_id=attempt.job_id, attempt_id=attempt.id, status=status))
        for instance, since in self.silent_since.items():
            if self.now >= since + LEASE:
                self._forget(instance)
        return said

    def of_deadlines(self) -> list[Message]:
        """Whose time has come."""
        said: list[Message] = [
            DEADLINES[job.state](job_id=job.id)
            for job in self.jobs.values()
            if job.due_at is not None and job.due_at <= self.now and job.state in DEADLINES
        ]
        said += [
            JobStatusCheckRequested(job_id=attempt.job_id, attempt_id=attempt.id)
            for attempt in self.attempts.values()
            if attempt.due_at is not None and attempt.due_at <= self.now
        ]
        said += [
            JobLimitOverrideElapsed(job_type=name)
            for name, job_type in self.types.items()
            if job_type.due_at is not None and job_type.due_at <= self.now
        ]
        return said

    def _status_of(self, attempt: Attempt) -> AttemptStatus | None:
        if not attempt.holds_slot or attempt.instance_id is None:
            return None
        in_doubt = attempt.state in (AttemptStates.CHECKING_STATUS, AttemptStates.SUSPECT)
        since = self.silent_since.get(attempt.instance_id)
        if since is None or self.now < since + LATE_AFTER:
            return AttemptStatus.RUNNING if in_doubt and not attempt.given_up else None
        if self.now >= since + LEASE:
            return AttemptStatus.LOST
        return None if in_doubt else AttemptStatus.LATE

    def _forget(self, instance: UUID) -> None:
        for name, job_type in self.types.items():
            left = {key: value for key, value in job_type.instances.items() if key != instance}
            self.types[name] = job_type.but(instances=left)

    # One transaction

    def _converse(self, message: Message, **env: Any) -> None:
        queue = deque((address, message) for address in message.TO)
        while queue:
            address, message = queue.popleft()
            queue.extend(self._hear(address, message, env))

    def _hear(
        self, address: Address, message: Message, env: dict[str, Any]
    ) -> Iterable[tuple[Address, Message]]:
        if address == "instance":
            self.heard.append(Heard(address, message.instance_id, message))  # type: ignore[attr-defined]
            return
        rows, key, before, machine = self._row(address, message)
        outcome: Outcome[Any] = machine.step(before, message, self.env(message, **env))
        self.heard.append(Heard(address, key, message, before, outcome))
        if key in rows or outcome.saga is not before:
            rows[key] = outcome.saga
        self.given += isinstance(message, JobSlotAllocated) and outcome.saga is not before
        for effect in outcome.effects:
            if isinstance(effect, Send):
                for to in effect.to or effect.message.TO:
                    yield to, effect.message
            elif isinstance(effect, Publish):
                self.events.append(effect.event)
            elif isinstance(effect, EndSession):
                self.sessions_to_end.add(message.job_id)  # type: ignore[attr-defined]
            elif isinstance(effect, MoveFence):
                self._move_fence(message.job_id, effect)  # type: ignore[attr-defined]
            else:
                assert isinstance(effect, Note)

    def _row(self, address: Address, message: Any) -> tuple[dict[Any, Any], Any, Any, Any]:
        if address == "job":
            key = message.job_id
            return self.jobs, key, self.jobs.get(key) or Job(id=key), JOB
        if address == "attempt":
            key = message.attempt_id
            return (
                self.attempts,
                key,
                self.attempts.get(key) or Attempt(id=key, job_id=message.job_id),
                ATTEMPT,
            )
        assert address == "job_type"
        name = getattr(
            message, "job_type", TYPE
        )  # an instance's drain is heard by each type it runs: here, by one
        return self.types, name, self.types.get(name) or JobType(id=UUID(int=0), name=name), JOB_TYPE

    def env(self, message: Any = None, **more: Any) -> Env:
        """What the sagas may know of the world at this moment."""
        job_id = getattr(message, "job_id", None)
        checkpoint = None if job_id in self.held else self.checkpoints.get(job_id)  # type: ignore[arg-type]
        return Env(now=self.now, new_id=self.new_id, checkpoint=checkpoint, **{**self.options, **more})

    def new_id(self) -> UUID:
        """The next attempt's id: 1, 2, 3, ... in the order in which slots are given."""
        return UUID(int=self.given + 1)

    def _move_fence(self, job_id: UUID, effect: MoveFence) -> None:
        """As ``Turn._moved`` does: what was saved in another run is gone."""
        assert job_id not in self.held, "a fence was moved while someone else's transaction held it"
        checkpoint = self.checkpoints.get(job_id)
        if checkpoint is None or effect.run not in (None, checkpoint.run):
            checkpoint = Checkpoint(job_id=job_id, run=effect.run or 1)
        self.checkpoints[job_id] = checkpoint.but(attempt_id=effect.attempt_id)

    def _allocate(self) -> None:
        """Hand out the free slots: first come, first served, by priority; to whoever has the least to do."""
        for name in list(self.types):
            for job in self._waiting(name):
                chosen = self._choose(name)
                if chosen is not None:
                    self._converse(JobSlotWaitElapsed(job_id=job.id), chosen=chosen)

    def _waiting(self, name: str) -> list[Job]:
        waiting = [
            job
            for job in self.jobs.values()
            if job.state is JobStates.WAITING_FOR_SLOT and job.job_type == name
            and job.slot is None and job.id not in self.held
        ]  # fmt: skip
        return sorted(waiting, key=lambda job: (-job.priority, job.queued_at, job.id))

    def _choose(self, name: str) -> UUID | None:
        job_type = self.types[name]
        free: list[TypeInstance] = [
            each for each in job_type.instances.values() if each.active < job_type.limit_of(each)
        ]
        if not free or job_type.room < 1:
            return None
        return min(free, key=lambda each: (each.active, each.used_at or START, each.instance_id)).instance_id

    def _remove_finalized(self) -> None:
        """The row of a finalized job goes, with its attempts."""
        for job in [job for job in self.jobs.values() if job.state is JobStates.FINAL]:
            del self.jobs[job.id]
            self.checkpoints.pop(job.id, None)
        self.attempts = {key: each for key, each in self.attempts.items() if each.job_id in self.jobs}

    # What must hold after every transaction

    def check(self) -> None:
        """Nothing here depends on what was said."""
        for job in self.jobs.values():
            assert job.state not in TRANSIENT_JOB_STATES, f"{job.state} was stored"
            assert (job.due_at is not None) == (job.state in DEADLINES), f"{job.state}, due {job.due_at}"
        for attempt in self.attempts.values():
            assert attempt.holds_slot == (attempt.state in OPEN_ATTEMPT_STATES), attempt
        for job_type in self.types.values():
            holding = [
                each for each in self.attempts.values() if each.holds_slot and each.job_type == job_type.name
            ]
            assert job_type.active == len(holding), "the type has lost count of its slots"
            for instance in job_type.instances.values():
                assert instance.active == sum(each.instance_id == instance.instance_id for each in holding)
