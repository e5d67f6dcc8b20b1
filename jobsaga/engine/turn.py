"""One turn: what happens to the rows in hand, in memory, between the locks and the write.

Messages are applied in order. What a saga says to another saga is heard at once, breadth-first, until
nobody has anything left to say; what it says to a worker, to the history or to the site's code is
collected. A message whose handling fails is undone alone and becomes a dead letter: records never change,
so putting the old ones back is all it takes.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from jobsaga.engine.announcing import announcements
from jobsaga.engine.options import EngineOptions
from jobsaga.engine.order import check_run, implied
from jobsaga.messages import (
    AllocateJobSlot,
    JobEvent,
    JobLimitOverrideElapsed,
    JobSlotReleased,
    JobSlotUnavailable,
    JobTypeCommand,
    Message,
    SetConcurrentJobLimit,
    WriteJobLog,
    encode,
)
from jobsaga.payload import safe_text
from jobsaga.sagas import ATTEMPT, JOB, Attempt, Checkpoint, Env, Job, JobStates
from jobsaga.sagas.machine import Effect, EndSession, MoveFence, Note, Outcome, Publish, Send
from jobsaga.sagas.states import TRANSIENT_JOB_STATES
from jobsaga.store.base import Changes, Dead, HistoryRow
from jobsaga.transport.base import SAGA, Outgoing, instance_endpoint

#: What job types are told at a turn's end.
ToType = SetConcurrentJobLimit | JobLimitOverrideElapsed | JobTypeCommand


class Hand:
    """The rows of one table that the turn has in hand: as they were locked, and as they are now."""

    def __init__(self) -> None:
        self.before: dict[UUID, Any] = {}
        self.now: dict[UUID, Any] = {}

    def hold(self, rows: dict[UUID, Any]) -> None:
        """Take locked rows in hand. A row that is in hand already stays as it is now."""
        for key, row in rows.items():
            if key not in self.now:
                self.now[key] = self.before[key] = row

    def changed(self, skip: Collection[UUID] = ()) -> list[tuple[Any, Any]]:
        """(before, after) of what is no longer as it was; before is None for a new row."""
        was = self.before.get
        return [(was(key), row) for key, row in self.now.items() if was(key) is not row and key not in skip]


class Turn:
    """One transaction's work, in memory."""

    def __init__(self, options: EngineOptions, new_id: Callable[[], UUID]) -> None:
        self.options, self.new_id = options, new_id
        #: The time of all that happens in this turn; set after the locks.
        self.now = datetime.fromtimestamp(0, UTC)
        #: Jobs of which a row is held by someone else: their messages wait.
        self.busy: set[UUID] = set()
        self.jobs, self.attempts, self.checkpoints = Hand(), Hand(), Hand()
        self.released: list[JobSlotReleased] = []
        self.to_types: list[ToType] = []
        self.outgoing: list[Outgoing] = []
        self.events: list[JobEvent] = []
        #: Attempts whose database sessions are to be ended, after the commit.
        self.sessions_to_end: list[UUID] = []
        self.changes = Changes()
        self._notes: list[HistoryRow] = []
        self._kept_states: dict[UUID, JobStates] = {}
        #: What each row was before it was set: (table, key, row or None), in order.
        self._journal: list[tuple[dict[UUID, Any], UUID, Any]] = []

    def hear(self, message: Message, body: str = "") -> None:
        """Apply one message and all that follows from it; a failure undoes it and makes it a dead letter.

        *body* is the message as it came, if it did.
        """
        mark = self.mark()
        try:
            check_run(message, self.jobs.now)
            for each in (*implied(message, self.attempts.now), message):
                self.apply(each)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this message's alone
            self.undo(mark)
            self.bury(body or encode(message), error, getattr(message, "job_id", None))

    def bury(self, body: str, error: Exception, job_id: UUID | None = None) -> None:
        """Keep what cannot be handled, with the reason."""
        self.changes.dead.append(
            Dead(
                at=self.now,
                endpoint=SAGA,
                body=safe_text(body, len(body)),
                reason=safe_text(f"{type(error).__name__}: {error}"),
                traceback=safe_text("".join(traceback.format_exception(error))),
                job_id=job_id,
            )
        )

    def forget_dead(self, known: Collection[str]) -> None:
        """Write no dead letter of what is *known* to have failed."""
        self.changes.dead = [each for each in self.changes.dead if each.body not in known]

    def apply(self, message: Message) -> None:
        """Let everyone hear *message* and what they say to each other, until all are quiet."""
        talk: deque[Send] = deque([Send(message)])
        while talk:
            send = talk.popleft()
            for address in send.to or send.message.TO:
                talk.extend(self._deliver(address, send.message))

    def _deliver(self, address: str, message: Any) -> Iterable[Send]:
        if address == "job":
            return self.step_job(message)
        if address == "attempt":
            return self._step_attempt(message)
        if address == "instance":
            self.outgoing.append((instance_endpoint(message.instance_id), message))
        elif address == "history":
            self._notes.append(_log_line(message))
        elif isinstance(message, JobSlotReleased):
            self.released.append(message)
        elif isinstance(message, ToType):
            self.to_types.append(message)
        elif isinstance(message, AllocateJobSlot):
            return [Send(JobSlotUnavailable(job_id=message.job_id))]  # slots are given out at the turn's end
        return ()

    def step_job(self, message: Any) -> list[Send]:
        """The job hears *message*; what it says to others."""
        job = self.jobs.now.get(message.job_id) or Job(id=message.job_id)
        outcome = JOB.step(job, message, self.env(job.id))
        after: Job = outcome.saga
        if after is not job:
            self._put(self.jobs.now, job.id, self._noted(job, after, message))
        if after.state is JobStates.FINAL:
            self.changes.finalized.append(job.id)
        return self._said(outcome, job.id, after.attempt_id)

    def _noted(self, before: Job, after: Job, message: Any) -> Job:
        """With its next version, and a line of history, if it came into another state that is kept."""
        if after.state is before.state or after.state in TRANSIENT_JOB_STATES:
            return after
        was = self.jobs.before.get(after.id)
        from_state = self._kept_states.get(after.id) or (was.state if was else JobStates.INITIAL)
        if from_state is after.state:
            return after
        self._put(self._kept_states, after.id, after.state)
        after = after.but(version=after.version + 1)
        self._notes.append(
            HistoryRow(
                job_id=after.id,
                at=self.now,
                kind=type(message).__name__,
                attempt_id=after.attempt_id or before.attempt_id,
                job_version=after.version,
                run=after.run,
                from_state=from_state,
                to_state=after.state,
                status=after.state.label,
                message=message.summary,
                actor=getattr(message, "actor", ""),
            )
        )
        return after

    def _step_attempt(self, message: Any) -> Iterable[Send]:
        attempt = self.attempts.now.get(message.attempt_id) or Attempt(
            id=message.attempt_id, job_id=message.job_id
        )
        outcome = ATTEMPT.step(attempt, message, self.env(attempt.job_id))
        if outcome.saga is not attempt:
            self._put(self.attempts.now, attempt.id, outcome.saga)
        return self._said(outcome, attempt.job_id, attempt.id)

    def _said(self, outcome: Outcome[Any], job_id: UUID, attempt_id: UUID | None) -> list[Send]:
        for effect in outcome.effects:
            self._do(effect, job_id, attempt_id)
        return [effect for effect in outcome.effects if isinstance(effect, Send)]

    def _do(self, effect: Effect, job_id: UUID, attempt_id: UUID | None) -> None:
        """What is not said to anyone is done here."""
        if isinstance(effect, Publish):
            self.events.append(self._with_place(effect.event))
        elif isinstance(effect, MoveFence):
            self._put(self.checkpoints.now, job_id, self._moved(job_id, effect))
        elif isinstance(effect, EndSession):
            self.sessions_to_end.append(effect.attempt_id)
        elif isinstance(effect, Note):
            self._notes.append(
                HistoryRow(
                    job_id=job_id,
                    at=self.now,
                    kind=effect.kind,
                    attempt_id=attempt_id,
                    run=self.jobs.now[job_id].run if job_id in self.jobs.now else None,
                    message=effect.text,
                    actor=effect.actor,
                )
            )

    def _moved(self, job_id: UUID, effect: MoveFence) -> Checkpoint:
        fence: Checkpoint = self.checkpoints.now.get(job_id) or Checkpoint(job_id=job_id, run=effect.run or 1)
        if effect.run is not None and effect.run != fence.run:
            fence = Checkpoint(job_id=job_id, run=effect.run)
        return fence.but(attempt_id=effect.attempt_id)

    def _with_place(self, event: JobEvent) -> JobEvent:
        """With the instance on which it happened, if it did on one."""
        attempt = self.attempts.now.get(event.attempt_id) if event.attempt_id else None
        return msgspec.structs.replace(event, instance_id=attempt.instance_id) if attempt else event

    def env(self, job_id: UUID | None = None, chosen: UUID | None = None) -> Env:
        """What a saga may know now."""
        options = self.options
        return Env(
            now=self.now,
            new_id=self.new_id,
            checkpoint=self.checkpoints.now.get(job_id) if job_id else None,
            chosen=chosen,
            finalize_completed=options.finalize_completed,
            suspect_job_retry_count=options.suspect_job_retry_count,
            suspect_job_retry_delay=options.suspect_job_retry_delay,
            job_cancellation_timeout=options.job_cancellation_timeout,
            zombie_grace=options.zombie_grace,
            misfire_grace=options.misfire_grace,
        )

    def finish(self) -> Changes:
        """Everything that is to be written."""
        gone = set(self.changes.finalized)
        self.changes.jobs = self.jobs.changed(skip=gone)
        self.changes.attempts = self.attempts.changed()
        self.changes.checkpoints = self.checkpoints.changed(skip=gone)
        self.changes.history = self._notes
        if self.options.publish_events:
            self.changes.events = announcements(self.events, self.new_id)
        return self.changes

    def newly_waiting(self) -> set[str]:
        """The types of the jobs that this turn made wait for a slot: the database does not know of them yet."""
        waiting = JobStates.WAITING_FOR_SLOT
        return {after.job_type for before, after in self.jobs.changed() if after.state is waiting}

    def mark(self) -> list[tuple[list[Any], int]]:
        """Where the turn stands, to come back to."""
        lists: tuple[list[Any], ...] = (
            self.released,
            self.to_types,
            self.outgoing,
            self.events,
            self._notes,
            self.changes.finalized,
            self.sessions_to_end,
            self._journal,
        )
        return [(each, len(each)) for each in lists]

    def undo(self, mark: list[tuple[list[Any], int]]) -> None:
        """Go back to a mark: nothing that was done since happened."""
        for each, length in mark:
            if each is self._journal:
                for table, key, before in reversed(each[length:]):
                    table.pop(key) if before is None else table.__setitem__(key, before)
            del each[length:]

    def _put(self, table: dict[UUID, Any], key: UUID, row: Any) -> None:
        """Set a row, and remember how to go back."""
        self._journal.append((table, key, table.get(key)))
        table[key] = row


def _log_line(message: WriteJobLog) -> HistoryRow:
    return HistoryRow(
        job_id=message.job_id,
        attempt_id=message.attempt_id,
        sequence=message.sequence,
        at=message.timestamp,
        kind=message.kind,
        status=message.status,
        message=message.message,
        data=message.data,
    )
