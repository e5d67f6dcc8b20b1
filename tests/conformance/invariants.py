"""What must hold after every scenario, whatever it was about. Only here tables are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from uuid import UUID

from jobsaga.models import DeadLetter, JobAttemptSaga, JobHistory, JobSaga, TransportMessage
from jobsaga.sagas.states import ENDED_JOB_STATES, OPEN_ATTEMPT_STATES, JobStates
from jobsaga.transport.base import SAGA
from tests.conformance.surfaces import ALIAS

ENDED = {each.value for each in ENDED_JOB_STATES}
OPEN = {each.value for each in OPEN_ATTEMPT_STATES}
FINAL = JobStates.FINAL.value


def problems() -> list[str]:
    """All that must not be, in words; empty if everything is in order."""
    return [*_of_the_jobs(), *_of_the_attempts(), *_of_the_ends(), *_left_over()]


def _of_the_jobs() -> Iterator[str]:
    for job in JobSaga.objects.using(ALIAS).all():
        if job.state not in ENDED:
            yield f"job {job.id} ({job.job_type}) has not ended: it is {job.get_state_display()}"
        if job.slot is not None:
            yield f"job {job.id} ({job.job_type}) still has a slot"


def _of_the_attempts() -> Iterator[str]:
    for attempt in JobAttemptSaga.objects.using(ALIAS).all():
        if attempt.state in OPEN:
            yield f"attempt {attempt.id} of job {attempt.job_id} is open: {attempt.get_state_display()}"
        if attempt.holds_slot:
            yield f"attempt {attempt.id} of job {attempt.job_id} holds a slot"


def _of_the_ends() -> Iterator[str]:
    """A job ends once, and once more for each time that somebody has it run again."""
    changes: dict[UUID, list[tuple[int, int]]] = defaultdict(list)
    rows = JobHistory.objects.using(ALIAS).filter(to_state__isnull=False).order_by("id")
    for job_id, before, after in rows.values_list("job_id", "from_state", "to_state"):
        changes[job_id].append((before, after))
    for job_id, path in changes.items():
        ends = sum(after in ENDED or (after == FINAL and before not in ENDED) for before, after in path)
        runs = 1 + sum(before in ENDED and after != FINAL for before, after in path)
        if ends != runs:
            yield f"job {job_id} ended {ends} times in {runs} runs"
        for (_, after), (before, _) in pairwise(path):
            if before != after:
                yield f"the history of job {job_id} has a gap"


def _left_over() -> Iterator[str]:
    for letter in DeadLetter.objects.using(ALIAS).all():
        yield f"dead letter: {letter.reason} {letter.body}"
    for message in TransportMessage.objects.using(ALIAS).filter(endpoint=SAGA):
        yield f"message nobody has handled: {message.body}"
