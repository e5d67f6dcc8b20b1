"""What user code really did (the ledger), joined with what the sagas say of it: nothing may be lost or overlap.

An attempt is in user code from its first line to its "stop"; one that was killed, to its last line. Jobs that
write often (``tick``, ``walk``) make that exact.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from jobsaga.models import JobAttemptSaga, JobHistory, JobSaga, TransportMessage
from jobsaga.models.records import DeadLetter
from jobsaga.sagas.states import ENDED_JOB_STATES, OPEN_ATTEMPT_STATES
from jobsaga.transport.base import SAGA
from tests.processes import wait_for

ALIAS = settings.JOBSAGA["DATABASE"]
ENDED = {state.value for state in ENDED_JOB_STATES}
OPEN = {state.value for state in OPEN_ATTEMPT_STATES}
#: How an attempt may end so that another follows; the others are the job's last.
GOES_ON = {"Suspect", "HandedOver", "NotStarted", "Faulted"}


def boottime() -> float:
    """The clock of the ledger's lines."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Stay:
    """One attempt's time in user code."""

    job: UUID
    attempt: UUID
    pid: int
    type: str
    begin: float
    end: float
    stopped: bool = False
    lines: list[dict[str, Any]] = field(default_factory=list)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


@dataclass
class Ledger:
    """The file, as far as it is written: each question reads on from where the last one ended."""

    path: Path
    _read: int = 0
    _stays: dict[str, Stay] = field(default_factory=dict)

    def stays(self, job: UUID | None = None) -> list[Stay]:
        """All attempts that came to user code (of one job), in the order of their starts."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            lines = file.readlines()
        for line in lines:
            self._read += len(line)
            self._note(json.loads(line))
        return [stay for stay in self._stays.values() if job in (None, stay.job)]

    def _note(self, line: dict[str, Any]) -> None:
        if line["event"] == "start":
            ids = UUID(line["job"]), UUID(line["attempt"])
            self._stays[line["attempt"]] = Stay(*ids, line["pid"], line["type"], line["at"], line["at"])
        stay = self._stays[line["attempt"]]
        stay.lines.append(line)
        stay.end = line["at"]
        stay.stopped = stay.stopped or line["event"] == "stop"

    def events(self, name: str, job: UUID | None = None) -> list[dict[str, Any]]:
        """All lines of one kind."""
        return [line for stay in self.stays(job) for line in stay.events(name)]

    def most_at_once(self, stays: Iterable[Stay]) -> int:
        """The largest number of these that were in user code at the same time."""
        changes = sorted(change for stay in stays for change in ((stay.begin, 1), (stay.end, -1)))
        at_once = most = 0
        for _, change in changes:
            at_once += change
            most = max(most, at_once)
        return most


def overlaps(stays: Iterable[Stay]) -> list[tuple[Stay, Stay]]:
    """Pairs of attempts of one job that were in user code at the same time."""
    by_job: dict[UUID, list[Stay]] = defaultdict(list)
    for stay in stays:
        by_job[stay.job].append(stay)
    ordered = (sorted(each, key=lambda stay: stay.begin) for each in by_job.values())
    return [(one, two) for each in ordered for one, two in pairwise(each) if two.begin < one.end]


def problems(ledger: Ledger, submitted: Collection[UUID]) -> list[str]:
    """Everything that must not be, once all is over, in words; an empty list if all is well.

    What is still on its way to the sagas (a last word that was said twice) is waited for.
    """
    queue = TransportMessage.objects.using(ALIAS).filter(endpoint=SAGA)
    wait_for(lambda: not queue.exists(), what="the sagas to handle what they were told")
    jobs = {job.id: job for job in JobSaga.objects.using(ALIAS).filter(id__in=submitted)}
    attempts = list(JobAttemptSaga.objects.using(ALIAS).order_by("created_at", "id"))
    stays = ledger.stays()
    return [
        *(f"lost: job {id_} has no row" for id_ in submitted if id_ not in jobs),
        *_of_the_ledger(stays, jobs, {each.id: each for each in attempts}),
        *_of_the_attempts(attempts, jobs),
        *(
            f"stuck: job {job.id} is {job.get_state_display()}"
            for job in jobs.values()
            if job.state not in ENDED
        ),
        *(f"slot leak: job {job.id} has a slot" for job in jobs.values() if job.slot),
        *_of_the_history(jobs),
        *(f"dead letter: {each}" for each in DeadLetter.objects.using(ALIAS).all()),
    ]


def _of_the_ledger(
    stays: list[Stay], jobs: dict[UUID, JobSaga], attempts: dict[UUID, JobAttemptSaga]
) -> list[str]:
    finished = {stay.job for stay in stays if stay.stopped}
    return [
        *(f"overlap: job {one.job}, {one.end - two.begin:.3f} s" for one, two in overlaps(stays)),
        *(
            f"unexplained: attempt {stay.attempt} has no row"
            for stay in stays
            if stay.attempt not in attempts
        ),
        *(
            f"lost: job {job.id} counts as completed, but never came to its end"
            for job in jobs.values()
            if job.get_state_display() == "Completed" and job.id not in finished
        ),
    ]


def _of_the_attempts(attempts: list[JobAttemptSaga], jobs: dict[UUID, JobSaga]) -> list[str]:
    last = {attempt.job_id: attempt for attempt in attempts}
    found = []
    for each in attempts:
        if each.state in OPEN or each.holds_slot:
            found.append(
                f"slot leak: attempt {each.id} is {each.get_state_display()}, slot {each.holds_slot}"
            )
        if each is not last[each.job_id] and each.outcome not in GOES_ON:
            found.append(f"unexplained repeat: after attempt {each.id} with outcome {each.outcome!r}")
    return found


def _of_the_history(jobs: dict[UUID, JobSaga]) -> list[str]:
    """Each job's states must follow on one another, and it must end once."""
    paths: dict[UUID, list[JobHistory]] = defaultdict(list)
    rows = JobHistory.objects.using(ALIAS).filter(to_state__isnull=False).order_by("job_version")
    for row in rows:
        paths[row.job_id].append(row)
    found = []
    for job_id in jobs:
        path = paths[job_id]
        ends = [row for row in path if row.to_state in ENDED]
        if len(ends) != 1:
            found.append(f"ended {len(ends)} times: job {job_id}")
        if any(one.to_state != two.from_state for one, two in pairwise(path)):
            found.append(f"a gap in the history of job {job_id}")
    return found
