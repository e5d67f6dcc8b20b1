"""What a job in each state waits for. A rule reads facts and gives explanations, the one to act on first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobsaga.client.explain.explanation import Explanation
from jobsaga.client.explain.facts import LATE, Facts
from jobsaga.client.explain.slots import waits_for_slot
from jobsaga.client.explain.wording import ago, gist, left, moment, person, span, zone_of
from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.exceptions import JobSagaError
from jobsaga.models import JobAttemptSaga
from jobsaga.sagas.states import AttemptStates, JobStates

Rule = Callable[[Facts], Iterator[Explanation]]
SAGA_HOST = "manage.py runjobworker, or with --sagas-only; if one is running, read its log"


def leading(facts: Facts) -> Explanation:
    """What holds for the job, said once."""
    return next(RULES[facts.state](facts))


def complete(facts: Facts) -> Explanation:
    """The same, and what else keeps the job from a slot."""
    first, *others = RULES[facts.state](facts)
    return Explanation(**{**vars(first), "also": tuple(each.sentence for each in others)})


def waits(state: JobStates) -> bool:
    """Whether a job in this state waits for something."""
    return state in WAITING


def _scheduled(facts: Facts) -> Iterator[Explanation]:
    job, now = facts.job, facts.now
    due = job.due_at or now
    zone = zone_of(job.time_zone, facts.zone) if job.recurring_name else facts.zone
    when = f"{moment(due, now, zone)} {zone}"
    if due < now - LATE:
        yield _nobody_looks(facts, f"It was due at {when}")
        return
    what = "Its next run is scheduled" if job.recurring_name else "It is scheduled"
    yield facts.say("scheduled", f"{what} for {when} ({left(due, now)})", until=due)


def _retrying(facts: Facts) -> Iterator[Explanation]:
    job, now, attempt = facts.job, facts.now, facts.attempt
    due = job.due_at or now
    lost = attempt is not None and (attempt.outcome == "Suspect" or attempt.given_up)
    number, of = (job.suspect_retries, settings.SUSPECT_JOB_RETRY_COUNT) if lost else _policy(facts)
    which = f"Retry {number}" + (f" of {of}" if of is not None and number <= of else "")
    if lost:
        which += " after a lost attempt"
    if due < now - LATE:
        yield _nobody_looks(facts, f"{which} was due at {facts.at(due)}")
        return
    yield facts.say(
        "retry-lost" if lost else "retry",
        f"{which} {left(due, now)}" + (f": {gist(job.reason)}" if job.reason else ""),
        since=job.faulted_at,
        until=due,
        reason=job.reason,
        worker=_worker(attempt),
        limit=of,
    )


def _policy(facts: Facts) -> tuple[int, int | None]:
    """Which retry of the policy it is, and of how many: only where the consumer is registered is that known."""
    try:
        policy = consumers.for_type_name(facts.job.job_type).options.retry
    except JobSagaError:
        policy = None
    return facts.job.policy_retries, policy.limit if policy else None


def _starting(facts: Facts) -> Iterator[Explanation]:
    attempt, now = facts.attempt, facts.now
    if attempt is None:
        yield facts.say("starting", "It is being started")
        return
    yield from _silent(facts, attempt)
    worker = _worker(attempt) or "its worker"
    if attempt.received_at is None:
        since, until = attempt.created_at, attempt.due_at
        text = f"It was sent to {worker} {ago(since, now)}, and that has not confirmed it yet"
        if until is not None:
            text += f"; if it does not, the job goes elsewhere {left(until, now)}"
    else:
        since, until = attempt.received_at, None
        text = f"{worker} has taken it {ago(since, now)}, and has not said yet that it runs"
    yield facts.say("starting", text, since=since, until=until, worker=_worker(attempt))


def _running(facts: Facts) -> Iterator[Explanation]:
    attempt = facts.attempt
    if attempt is not None:
        yield from _silent(facts, attempt)
    worker, since = _worker(attempt), facts.job.started_at or facts.now
    where = f" on {worker}" if worker else ""
    text = f"It runs{where} since {facts.at(since)} ({span(facts.now - since)})"
    yield facts.say("running", text, since=since, worker=worker, waits=False)


def _canceling(facts: Facts) -> Iterator[Explanation]:
    job, now, attempt = facts.job, facts.now, facts.attempt
    since = job.cancel_requested_at or now
    worker = _worker(attempt)
    text = f"It was asked to stop{person(job.cancel_requested_by, job.cancel_reason)} {ago(since, now)}"
    if job.due_at is not None:
        text += f", and is given up {left(job.due_at, now)} if {worker or 'its worker'} has not ended it"
    yield facts.say(
        "canceling",
        text,
        since=since,
        until=job.due_at,
        by=job.cancel_requested_by,
        reason=job.cancel_reason,
        worker=worker,
    )
    if attempt is not None:
        yield from _silent(facts, attempt)


def _ended(facts: Facts) -> Iterator[Explanation]:
    job = facts.job
    since = job.finished_at or facts.now
    text = f"It has ended as {facts.state.label} at {facts.at(since)}"
    if job.reason:
        text += f": {gist(job.reason)}"
    yield facts.say(
        facts.state.label.lower(),
        text,
        since=since,
        by=job.cancel_requested_by,
        reason=job.reason,
        waits=False,
    )


def _silent(facts: Facts, attempt: JobAttemptSaga) -> Iterator[Explanation]:
    """Its worker has missed heartbeats: what the sagas have noted, or will when its lease is over."""
    instance = attempt.instance
    if instance is None or (attempt.state not in IN_DOUBT and instance.lease_expires_at > facts.now):
        return
    heard = instance.lease_expires_at - settings.HEARTBEAT_TIMEOUT
    text = f"{instance} was heard last {ago(heard, facts.now)}"
    if instance.lease_expires_at > facts.now:
        text += f"; if it stays silent, it counts as lost {left(instance.lease_expires_at, facts.now)}"
    else:
        text += " and counts as lost"
    yield facts.say(
        "worker-silent",
        text,
        since=heard,
        until=instance.lease_expires_at,
        worker=str(instance),
        waits=facts.state is not JobStates.STARTED,
    )


def _nobody_looks(facts: Facts, what: str) -> Explanation:
    text = f"{what}, and nobody has looked at it: no saga host seems to work"
    return facts.say("no-saga-host", text, since=facts.job.due_at, mend=SAGA_HOST)


def _worker(attempt: JobAttemptSaga | None) -> str:
    return str(attempt.instance) if attempt is not None and attempt.instance is not None else ""


IN_DOUBT = (AttemptStates.CHECKING_STATUS.value, AttemptStates.SUSPECT.value)
RULES: dict[JobStates, Rule] = {
    JobStates.WAITING_TO_START: _scheduled,
    JobStates.WAITING_FOR_SLOT: waits_for_slot,
    JobStates.WAITING_TO_RETRY: _retrying,
    JobStates.STARTING_JOB_ATTEMPT: _starting,
    JobStates.STARTED: _running,
    JobStates.CANCELLATION_PENDING: _canceling,
    JobStates.COMPLETED: _ended,
    JobStates.FAULTED: _ended,
    JobStates.CANCELED: _ended,
}
#: In these a job waits: for its time, a slot, a retry, its worker's word, its end.
WAITING = frozenset(RULES) - {
    JobStates.STARTED,
    JobStates.COMPLETED,
    JobStates.FAULTED,
    JobStates.CANCELED,
}
