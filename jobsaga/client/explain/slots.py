"""Why a job that is due has no slot: the conditions of the job type's table, read the other way round.

Whether a limit is reached is for the type's own record to say (``JobType.limit_of``, ``room_of``), so that what
is explained here is what the saga hosts decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from jobsaga.client.explain.explanation import Explanation, Holder
from jobsaga.client.explain.facts import LATE, Facts
from jobsaga.client.explain.turn import Turn, in_key, in_line
from jobsaga.client.explain.wording import ago, left, person, short, some, span
from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.engine.strategies import DEFAULT, PROPERTY
from jobsaga.exceptions import JobSagaError
from jobsaga.models.workers import InstanceState
from jobsaga.properties import Properties
from jobsaga.sagas.records import JobType

#: So many of those who hold the slots are named in the facts.
NAMED = 10
WORKER = "manage.py runjobworker"


def waits_for_slot(facts: Facts) -> Iterator[Explanation]:
    """All that keeps it from a slot; if nothing does, why it may not have one yet."""
    hindered = False
    for rule in (old_attempt, no_worker, too_old, paused, drained, key_limit, global_limit, no_slot):
        if rule is key_limit and not hindered and _has_moved_on(facts):
            yield facts.say("about-to-start", "It has just been given a slot")
            return
        for explanation in rule(facts):
            hindered = True
            yield explanation
    if not hindered:
        yield free_slot(facts)


def _has_moved_on(facts: Facts) -> bool:
    """The slots are read after the job: it may hold one by now, and must not be said to wait for itself."""
    return any(holder.job_id == facts.job.pk for _, holder in facts.held)


def old_attempt(facts: Facts) -> Iterator[Explanation]:
    """It runs at most once at a time, so it gets no slot while its last attempt may still run."""
    if facts.job.slot is None:
        return
    attempt = facts.attempt
    instance = attempt.instance if attempt is not None else None
    if attempt is None or instance is None:
        yield facts.say("old-attempt", "Its last attempt still holds its slot")
    elif instance.lease_expires_at > facts.now:
        yield facts.say(
            "old-attempt",
            f"Its last attempt still holds its slot, until {instance} says that it has ended or counts as lost",
            since=attempt.created_at,
            worker=str(instance),
            reason=attempt.reason,
        )
    else:
        over = instance.lease_expires_at
        yield facts.say(
            "old-attempt",
            f"Its last attempt still holds its slot: {instance} is lost, its lease was over "
            f"{ago(over, facts.now)}, and a saga host ends it once nothing holds the job's row",
            since=attempt.created_at,
            until=over + settings.ZOMBIE_GRACE,
            worker=str(instance),
            reason=attempt.reason,
        )


def no_worker(facts: Facts) -> Iterator[Explanation]:
    """Nobody who could run it is alive."""
    if facts.crew:
        return
    name, last = facts.job.job_type, facts.last_seen
    text, since, worker = f"No live worker runs {name}", None, ""
    if not facts.announced:
        text += ", and none ever did"
        if not _is_registered(name):
            text += "; nor is a consumer of that name registered here"
    elif last is None:
        text += " any more"
    elif last.lease_expires_at > facts.now:
        worker = str(last)
        stopped = last.state == InstanceState.STOPPED
        text += f": {last} has stopped" if stopped else f": {last} is stopping, and takes no more"
    else:
        since, worker = last.lease_expires_at - settings.HEARTBEAT_TIMEOUT, str(last)
        text += f": {last} was seen last at {facts.at(since)} ({ago(since, facts.now)})"
    if others := facts.live_workers:
        text += (
            f"; {some(others, 'other worker')} {'lives' if others == 1 else 'live'}, but not for this type"
        )
    yield facts.say("no-worker", text, since=since, worker=worker, mend=WORKER)


def too_old(facts: Facts) -> Iterator[Explanation]:
    """All who run the type are of an older release than the one that has submitted it."""
    version = facts.job.message_version
    newest = max((each.message_version for each in facts.crew), default=version)
    if newest < version:
        yield facts.say(
            "too-old",
            f"Its message has version {version}, and the live workers of {facts.job.job_type} read version {newest} at "
            "most: it waits for one of the newer release",
            mend=WORKER,
        )


def paused(facts: Facts) -> Iterator[Explanation]:
    """Somebody has paused the type."""
    known = facts.job_type
    if known.paused_at is not None:
        yield facts.say(
            "paused",
            f"{known.name} is paused{person(known.paused_by, known.pause_reason)} since {facts.at(known.paused_at)}",
            since=known.paused_at,
            by=known.paused_by,
            reason=known.pause_reason,
        )


def drained(facts: Facts) -> Iterator[Explanation]:
    """All who could run it are to be given nothing more."""
    drained_at = [each.instance.drained_at for each in facts.able if each.instance.drained_at is not None]
    if not drained_at or len(drained_at) < len(facts.able):
        return
    last = max(facts.able, key=lambda each: each.instance.drained_at or facts.now).instance
    many = len(facts.able) > 1
    which = f"All {len(facts.able)} live workers of {facts.job.job_type} are" if many else f"{last} is"
    alone = "" if many else f", and no other live worker runs {facts.job.job_type}"
    yield facts.say(
        "drained",
        f"{which} drained{person(last.drained_by, last.drain_reason)} since {facts.at(max(drained_at))}{alone}",
        since=max(drained_at),
        by=last.drained_by,
        reason=last.drain_reason,
        worker=str(last),
    )


def key_limit(facts: Facts) -> Iterator[Explanation]:
    """As many jobs of its concurrency key run as may."""
    key, known = facts.job.concurrency_key, facts.job_type
    if known.concurrency_per_key is None or not key or facts.allotment.room_of(key) != 0:
        return
    holders = [holder for _, holder in facts.held if holder.key == key]
    text = f'Key "{key}" is at its limit of {known.concurrency_per_key}{_held_by(facts, holders)}'
    yield _in_turn(facts, "key", text, holders, in_key(facts), limit=known.concurrency_per_key, key=key)


def global_limit(facts: Facts) -> Iterator[Explanation]:
    """As many jobs of the type run on all workers together as may."""
    known, limit = facts.job_type, facts.job_type.global_limit
    if limit is None or len(facts.held) < limit:
        return
    holders = [holder for _, holder in facts.held]
    if limit == 0:
        text = f"{known.name} may not run anywhere"
    else:
        text = f"{_taken(limit, len(holders), 'all workers together')}{_held_by(facts, holders)}"
    text += _by_override(facts, overridden=known.override_global_limit is not None)
    yield _in_turn(facts, "global-limit", text, holders, in_line(facts, limit), limit=limit)


def no_slot(facts: Facts) -> Iterator[Explanation]:
    """Each worker runs as many as it may."""
    known = facts.allotment
    open_to_it = [each for each in known.instances.values() if not each.drained]
    if not open_to_it or any(each.active < known.limit_of(each) for each in open_to_it):
        return
    limit = sum(known.limit_of(each) for each in open_to_it)
    theirs = {each.instance_id for each in open_to_it}
    holders = [holder for instance_id, holder in facts.held if instance_id in theirs]
    whose = "its worker" if len(theirs) == 1 else f"its {len(theirs)} workers"
    if limit == 0:
        text = f"{known.name} may not run on {whose}"
    else:
        text = f"{_taken(limit, len(holders), whose)}{_held_by(facts, holders)}"
    text += _by_override(facts, overridden=known.override_job_limit is not None)
    if idle := len(known.instances) - len(theirs):
        text += f"; {some(idle, 'other')} {'is' if idle == 1 else 'are'} drained"
    if old := len(facts.crew) - len(facts.able):
        text += f"; {some(old, 'other')} {'is' if old == 1 else 'are'} of an older release and cannot read it"
    yield _in_turn(facts, "slots", text, holders, in_line(facts, limit), limit=limit)


def free_slot(facts: Facts) -> Explanation:
    """Nothing is in the way. On a busy site that is so for a moment; else somebody does not give the slot."""
    room, turn = facts.allotment.room, in_line(facts, 0)
    free = "A slot is free" if room == 1 else f"{room:,} slots are free"
    quiet = max([facts.in_line_since, *_moves(facts)])
    if quiet < facts.now - LATE:
        since = (
            f"{free}, but no saga host has given it one since {facts.at(quiet)} ({span(facts.now - quiet)})"
        )
        if facts.overdue_since is not None:
            return facts.say(
                "no-saga-host",
                f"{since}: none seems to work",
                since=quiet,
                mend=f"{WORKER}, or with --sagas-only; if one is running, read its log",
                **turn.facts,
            )
        return facts.say("not-given", f"{since}: {_why_not(facts)}{turn.words}", since=quiet, **turn.facts)
    if turn.ahead >= room:
        return facts.say("in-line", f"{free}{turn.words}", **turn.facts)
    return facts.say("about-to-start", f"{free}: it is about to start", **turn.facts)


def _why_not(facts: Facts) -> str:
    """What the rows do not say: who declined. Whether a strategy of the site's own has a word is in the settings."""
    strategies, known = settings.DISTRIBUTION_STRATEGIES, facts.job_type
    named = Properties(known.properties).get(PROPERTY)
    for name in (known.name, named, DEFAULT):
        if isinstance(name, str) and name in strategies:
            strategy = strategies[name].__name__
            return f"the type's distribution strategy, {strategy}, declines it, or no saga host works"
    return "no saga host seems to work, or none reaches the worker"


def _moves(facts: Facts) -> Iterator[Any]:
    """When something last happened by which there may be room: a job ended, a worker came or was given a slot."""
    if facts.last_end is not None:
        yield facts.last_end
    for each in facts.crew:
        yield each.instance.started_at
        if each.used_at is not None:
            yield each.used_at


def _in_turn(
    facts: Facts, code: str, text: str, holders: Sequence[Holder], turn: Turn, **more: Any
) -> Explanation:
    return facts.say(
        code,
        text + turn.words,
        since=holders[0].since if holders else None,
        held=len(holders),
        holders=tuple(holders[:NAMED]),
        **turn.facts,
        **more,
    )


def _taken(limit: int, held: int, whose: str) -> str:
    """More may be held than there are: a limit that is lowered takes no slot from anybody."""
    if held > limit:
        return f"{held:,} slots of {whose} are taken, where {limit:,} may be"
    return f"The one slot of {whose} is taken" if limit == 1 else f"All {limit:,} slots of {whose} are taken"


def _held_by(facts: Facts, holders: Sequence[Holder]) -> str:
    if not holders:
        return ""
    longest = holders[0]
    which = "" if len(holders) == 1 else "the longest "
    return f", {which}since {facts.at(longest.since)} by job {short(longest.job_id)}"


def _by_override(facts: Facts, *, overridden: bool) -> str:
    """Who has changed the limit for a while."""
    known: JobType = facts.job_type
    if not overridden:
        return ""
    until = f", which ends {left(known.due_at, facts.now)}" if known.due_at is not None else ""
    return f" (an override{person(known.override_by, known.override_reason)}{until})"


def _is_registered(name: str) -> bool:
    try:
        consumers.for_type_name(name)
    except JobSagaError:
        return False
    return True
