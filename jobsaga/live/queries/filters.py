"""A search as a condition on the rows of jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from django.db.models import Q, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Exact, IContains

from jobsaga.live.search import PREFIX, Search, Term, count, duration, moment, states_named
from jobsaga.models import JobAttemptSaga
from jobsaga.sagas.states import ACTIVE_JOB_STATES, ENDED_JOB_STATES, JobStates
from jobsaga.store.lookup import id_like

LOOKUPS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "=": "exact"}
#: Seen from now, "older than" is "before".
TURNED = {"<": "gt", "<=": "gte", ">": "lt", ">=": "lte", "=": "exact"}
ACTIVE = [state.value for state in ACTIVE_JOB_STATES]


@dataclass(frozen=True)
class Asking:
    """What a condition needs to know: the database, its time, the reader's time zone, the known job types."""

    alias: str
    now: datetime
    zone: tzinfo
    types: tuple[str, ...] = ()


def condition(search: Search, asking: Asking) -> Q:
    """All terms of *search*. One that has problems finds nothing: half a filter would show too much."""
    if search.problems:
        return Q(pk__in=[])
    found = Q()
    for term in search.terms:
        found &= _property(term) if term.key.startswith(PREFIX) else CONDITIONS[term.key](term, asking)
    return found


#: Terms that an index answers, or that nearly every job meets: what else is asked is looked for row by row.
BY_INDEX = frozenset({"state", "type", "worker", "finished"})


def by_index(search: Search) -> Search:
    """The terms of *search* that an index answers."""
    return replace(search, terms=tuple(term for term in search.terms if term.key in BY_INDEX))


def only_ended(search: Search) -> bool:
    """Whether only jobs that have ended can be found: then the last to end is first."""
    values = search.values("state")
    return bool(values) and not search.problems and states_named(values) <= ENDED_JOB_STATES


def _state(term: Term, asking: Asking) -> Q:
    states = states_named(filter(None, term.value.split(",")))
    values = [state.value for state in states]
    if not states:
        return Q(pk__in=[])
    if states <= ACTIVE_JOB_STATES:
        return Q(state__in=values, pk__in=_with_slot(asking.alias))
    if states <= ENDED_JOB_STATES:
        return _one_or_more(values) & Q(finished_at__isnull=False)
    if states <= {JobStates.WAITING_TO_START, JobStates.WAITING_TO_RETRY}:
        return _one_or_more(values) & Q(due_at__isnull=False)
    return _one_or_more(values)


def _one_or_more(values: list[int]) -> Q:
    return Q(state=values[0]) if len(values) == 1 else Q(state__in=values)


def _with_slot(alias: str) -> Any:
    return JobAttemptSaga.objects.using(alias).filter(holds_slot=True).values("job_id")


def _type(term: Term, asking: Asking) -> Q:
    names = {name for each in term.value.split(",") if each for name in _types(each, asking.types)}
    return Q(job_type=names.pop()) if len(names) == 1 else Q(job_type__in=sorted(names))


def _types(value: str, known: Iterable[str]) -> list[str]:
    """The types of this name, or whose last part it is, whatever the case; or that begin so, with a star."""
    folded = value.casefold()
    if folded.endswith("*"):
        stem = folded[:-1]
        return [name for name in known if name.casefold().startswith(stem) or _last(name).startswith(stem)]
    return [name for name in known if folded in (name.casefold(), _last(name))] or [value]


def _last(name: str) -> str:
    return name.casefold().rpartition(".")[2]


def _worker(term: Term, asking: Asking) -> Q:
    host, colon, pid = term.value.rpartition(":")
    held = JobAttemptSaga.objects.using(asking.alias).filter(holds_slot=True)
    if colon and pid.isdecimal() and len(pid) < 10:
        held = held.filter(instance__host=host, instance__pid=int(pid))
    else:
        held = held.filter(instance__host=term.value)
    return Q(state__in=ACTIVE, pk__in=held.values("job_id"))


def _text(term: Term, asking: Asking) -> Q:
    """An id or a part of one, a type, or a part of the title or the reason."""
    types = [name for name in asking.types if term.value.casefold() in name.casefold()]
    found = Q(job_type__in=types) | Q(title__icontains=term.value) | Q(reason__icontains=term.value)
    try:
        return found | id_like(term.value)
    except ValueError:
        return found


def _error(term: Term, asking: Asking) -> Q:
    kind, text = KeyTextTransform("type", "fault"), KeyTextTransform("message", "fault")
    wanted = Value(term.value, output_field=TextField())
    return Q(Exact(kind, wanted)) | Q(IContains(text, wanted))


def _property(term: Term) -> Q:
    kept = KeyTextTransform(term.key.removeprefix(PREFIX), "properties")
    return Q(Exact(kept, Value(term.value, output_field=TextField())))


def _age(term: Term, asking: Asking) -> Q:
    operator, lasted = duration(term)
    return Q((f"submitted_at__{TURNED[operator]}", asking.now - lasted))


def _run(term: Term, asking: Asking) -> Q:
    operator, lasted = duration(term)
    running = Q(("state__in", ACTIVE), (f"started_at__{TURNED[operator]}", asking.now - lasted))
    return running | Q((f"duration__{LOOKUPS[operator]}", lasted))


def _when(column: str) -> Callable[[Term, Asking], Q]:
    def between(term: Term, asking: Asking) -> Q:
        begin, end = moment(term, asking.now, asking.zone)
        found = Q((f"{column}__gte", begin)) if begin else Q()
        return found & (Q((f"{column}__lt", end)) if end else Q())

    return between


def _compared(column: str, less: int = 0) -> Callable[[Term, Asking], Q]:
    def compare(term: Term, asking: Asking) -> Q:
        operator, value = count(term)
        return Q((f"{column}__{LOOKUPS[operator]}", value - less))

    return compare


CONDITIONS: dict[str, Callable[[Term, Asking], Q]] = {
    "state": _state,
    "type": _type,
    "id": lambda term, asking: id_like(term.value),
    "text": _text,
    "worker": _worker,
    "attempts": _compared("retry_attempt", less=1),
    "priority": _compared("priority"),
    "title": lambda term, asking: Q(title__icontains=term.value),
    "reason": lambda term, asking: Q(reason__icontains=term.value),
    "error": _error,
    "by": lambda term, asking: Q(submitted_by=term.value),
    "age": _age,
    "run": _run,
    "submitted": _when("submitted_at"),
    "finished": _when("finished_at"),
}
