"""The client's way to the rows: the site's database, its transport, and the sagas' rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError, transaction

from jobsaga.client.explain.explanation import Explanation
from jobsaga.client.explain.facts import Facts
from jobsaga.client.explain.rules import complete, leading, waits
from jobsaga.client.patience import Patience
from jobsaga.client.state import JobState
from jobsaga.clock import SystemClock, injected_clock
from jobsaga.conf import settings
from jobsaga.engine.engine import Engine
from jobsaga.engine.events import publish
from jobsaga.exceptions import JobBusy, JobNotFound
from jobsaga.messages import (
    AddOrUpdateRecurringJob,
    CancelJob,
    CancelRecurringJob,
    FinalizeJob,
    JobEvent,
    JobTypeCommand,
    RetryJob,
    RunJob,
    SubmitJob,
)
from jobsaga.models import JobInstance, JobSaga, JobTypeSaga
from jobsaga.models.workers import InstanceState
from jobsaga.payload.saved import unwrap
from jobsaga.sagas import JOB, Job, JobStates, samples
from jobsaga.sagas.states import ACTIVE_JOB_STATES
from jobsaga.store.base import Transaction
from jobsaga.store.django import DjangoStore
from jobsaga.store.estimates import usual_duration
from jobsaga.store.rows import COLUMNS, records
from jobsaga.transport import client_transport
from jobsaga.transport.base import SAGA

#: What makes a job that is not there.
Submission = SubmitJob | AddOrUpdateRecurringJob
#: What a job that is under way is told by the saga hosts.
Asked = CancelJob | CancelRecurringJob | AddOrUpdateRecurringJob
Command = Asked | RetryJob | RunJob | FinalizeJob | SubmitJob
LEFT = "somebody's transaction holds the job: a saga host does it as soon as that has ended"


class JobChanged(Exception):
    """The job is not as it was when somebody looked at it; nothing was done."""

    def __init__(self, state: JobStates) -> None:
        super().__init__(state)
        self.state = state


class Site:
    """One use of the client, on the alias and transport that the settings name now."""

    def __init__(self) -> None:
        self.alias = settings.DATABASE
        self.store = DjangoStore(self.alias)
        self.transport = client_transport()
        self.engine = Engine(self.store, self.transport)

    def submit(self, commands: Sequence[SubmitJob], *, may_exist: bool = False) -> list[UUID]:
        """Insert the jobs in the caller's transaction. *may_exist*: an id may be taken, which is no error."""
        with self.store.transaction() as tx:
            if may_exist:
                made = [command for command in commands if self._insert_alone(tx, command)]
            else:
                made = list(commands)
                self._insert(tx, made)
            if made:
                self._hint()
        return [command.job_id for command in commands]

    def now(self) -> datetime:
        """The database's time."""
        with self.store.transaction() as tx:
            return tx.now()

    def put(self, message: Submission, *, wait: bool = True) -> JobState:
        """Make this job, or tell it if it is there. Raises as ``command``."""
        with self.store.transaction() as tx:
            if self._stored(message.job_id)[0] is None and self._insert_alone(tx, message):
                self._hint()
                return self.state(message.job_id)
            return self.command(message, wait=wait)

    def command(
        self, message: Command, *, wait: bool | Patience = True, expected_version: int | None = None
    ) -> JobState:
        """Apply *message* to its job, or send it to the saga hosts if the job is under way.

        Without *wait* nobody's lock is waited for, and with Patience no longer than that: then a job whose row is held
        is left to the saga hosts too. With an *expected_version* it is done only to a job that has it still, or raises
        JobChanged. Raises JobBusy for a job whose row is held where the hosts could not do the same.
        """
        with self.store.transaction() as tx:
            state, version = self._stored(message.job_id)
            message = self._with_run(message)
            if isinstance(message, Asked) and state in ACTIVE_JOB_STATES:
                # Not locked: its row is the saga hosts', and what they hear of a run that is over they ignore.
                _expect(expected_version, version, state)
                return self._ask(message, state)
            return self._apply(tx, message, wait, expected_version)

    def state(self, job_id: UUID, refused: str = "", remark: str = "") -> JobState:
        """The job as it is stored."""
        jobs = JobSaga.objects.using(self.alias).select_related("checkpoint").filter(pk=job_id)
        job = jobs.first()
        if job is None:
            return JobState(job_id=job_id, refused=refused, remark=remark)
        why = leading(Facts(self.alias, job)) if waits(JobStates(job.state)) else None
        return _state(job, why, refused, remark)

    def explain(self, job_id: UUID) -> Explanation:
        """Why the job waits. Raises JobNotFound."""
        job = JobSaga.objects.using(self.alias).filter(pk=job_id).first()
        if job is None:
            raise JobNotFound(job_id)
        return complete(Facts(self.alias, job))

    def send(self, message: JobTypeCommand) -> None:
        """Leave it to the saga hosts, in the caller's transaction."""
        with self.store.transaction():
            self.transport.send([(SAGA, message)])

    def has_type(self, name: str) -> bool:
        """Whether any worker has announced a type of this name, or any job is of it."""
        types, jobs = JobTypeSaga.objects.using(self.alias), JobSaga.objects.using(self.alias)
        return types.filter(name=name).exists() or jobs.filter(job_type=name).exists()

    def has_instance(self, instance_id: UUID) -> bool:
        """Whether there is such a worker, and it has not stopped."""
        rows = JobInstance.objects.using(self.alias).filter(id=instance_id)
        return rows.exclude(state=InstanceState.STOPPED).exists()

    def job(self, job_id: UUID) -> Job | None:
        """The job's record, not locked."""
        rows = JobSaga.objects.using(self.alias).filter(pk=job_id).values_list(*COLUMNS[Job])
        return next(iter(records(Job, rows)), None)

    def _ask(self, message: Asked, state: JobStates) -> JobState:
        """Leave it to the saga hosts, unless they would do nothing."""
        rows = JOB.rows[state, type(message)]
        refused = rows[0].because if all(row.ignored for row in rows) else ""
        job = self.state(message.job_id, refused=refused)
        if not refused:
            if isinstance(message, CancelJob) and message.run is None:
                message = msgspec.structs.replace(
                    message, run=job.run
                )  # heard late, it is not about the next
            self.transport.send([(SAGA, message)])
        return job

    def _apply(
        self, tx: Transaction, message: Command, wait: bool | Patience, expected_version: int | None
    ) -> JobState:
        locked = tx.jobs([message.job_id], wait=wait is True)
        while message.job_id in locked.busy and isinstance(wait, Patience) and wait.wait():
            locked = tx.jobs([message.job_id])
        if message.job_id in locked.busy:
            if expected_version is not None:
                raise JobBusy(message.job_id)
            return self._leave(message)
        job = locked.rows.get(message.job_id)
        if job is None:
            raise JobNotFound(message.job_id)
        _expect(expected_version, job.version, job.state)
        if isinstance(message, Asked) and job.state in ACTIVE_JOB_STATES:
            return self._ask(message, job.state)
        row = JOB.step(job, message, self.engine.fresh_turn(tx).env()).row
        if row is not None and row.ignored:
            return self.state(job.id, refused=row.because)
        turn = self.engine.execute(tx, message)
        self.transport.send(turn.outgoing)
        self._tell(turn.events)
        self._hint()
        notes = [line.message for line in turn.changes.history if line.from_state is None]
        return self.state(job.id, remark="; ".join(notes))

    def _with_run(self, message: Command) -> Command:
        """Of a recurring job it is about the run that the caller sees: heard late, or twice, about no other."""
        if not isinstance(message, CancelJob | RunJob) or message.run is not None:
            return message
        rows = JobSaga.objects.using(self.alias).filter(pk=message.job_id, recurring=True)
        for run, state in rows.values_list("run", "state"):
            coming = run + 1 if state == JobStates.WAITING_TO_START.value else run
            return msgspec.structs.replace(message, run=coming)
        return message

    def _leave(self, message: Command) -> JobState:
        """To the saga hosts, who will do it when the job's row is free."""
        if isinstance(message, SubmitJob):
            raise JobBusy(message.job_id)
        self.transport.send([(SAGA, message)])
        return self.state(message.job_id, remark=LEFT)

    def _insert(self, tx: Transaction, commands: Sequence[Submission]) -> None:
        turn = self.engine.fresh_turn(tx)
        for command in commands:
            turn.apply(command)
        tx.write(turn.finish())
        self._tell(turn.events)

    def _insert_alone(self, tx: Transaction, command: Submission) -> bool:
        """False if a job of this id is there already: then nothing is changed."""
        try:
            with tx.savepoint():
                self._insert(tx, [command])
        except IntegrityError:
            if self._stored(command.job_id)[0] is None:
                raise
            return False
        return True

    def _stored(self, job_id: UUID) -> tuple[JobStates | None, int]:
        """The state and the version of a job; None and 0: there is none."""
        rows = JobSaga.objects.using(self.alias).filter(pk=job_id).values_list("state", "version")
        for state, version in rows:
            return JobStates(state), version
        return None, 0

    def _hint(self) -> None:
        self.transport.hint()

    def _tell(self, events: Sequence[JobEvent]) -> None:
        if events:
            transaction.on_commit(lambda: publish(events), using=self.alias, robust=True)


def _expect(wanted: int | None, version: int, state: JobStates) -> None:
    if wanted not in (None, version):
        raise JobChanged(state)


_AS_STORED = (
    "job_type", "title", "duration", "reason", "fault", "run", "progress_value", "progress_limit", "progress_message",
    "result", "properties", "scheduled_for", "recurring_name", "cron", "time_zone",
)  # fmt: skip
"""What a state says in the words of the row."""


def _state(job: JobSaga, why: Explanation | None, refused: str, remark: str) -> JobState:
    state = JobStates(job.state)
    checkpoint = getattr(job, "checkpoint", None)
    saved = unwrap(checkpoint.state)[0] if checkpoint and checkpoint.run == job.run else None
    waits = state in (JobStates.WAITING_TO_START, JobStates.WAITING_TO_RETRY)
    return JobState(
        job_id=job.id,
        current_state=state.label,
        submitted=job.submitted_at,
        started=job.started_at,
        completed=job.completed_at,
        faulted=job.faulted_at,
        finished=job.finished_at,
        last_retry_attempt=job.retry_attempt,
        job_state=saved,
        next_start_date=job.due_at if waits else job.next_start_at,
        is_recurring=job.recurring,
        start_date=job.start_at,
        end_date=job.end_at,
        cancel_requested=job.cancel_requested_at,
        waiting_for=why.sentence if why else "",
        waiting_code=why.code if why else "",
        refused=refused,
        remark=remark,
        **{name: getattr(job, name) for name in _AS_STORED},
        **_pace(job, state),
    )


def _pace(job: JobSaga, state: JobStates) -> dict[str, Any]:
    """How fast a job that runs is, and when it will be done."""
    if state not in (JobStates.STARTED, JobStates.CANCELLATION_PENDING):
        return {}
    kept = job.progress_samples if job.progress_sequence else []
    seen = samples.upto(kept, job.progress_at, job.progress_value) if kept else []
    now = (injected_clock() or SystemClock()).now()
    end = samples.eta(seen, job.progress_limit, now)
    if not seen and job.started_at is not None:
        usual = usual_duration(settings.DATABASE, job)
        end = job.started_at + usual if usual and job.started_at + usual > now else None
    return {"rate": samples.rate(seen), "eta": end}
