"""What people type into the search field, as terms.

    state:running,retrying type:ConvertVideo attempts:>1 age:>2h error:"ConnectionError" prop.tenant:acme 7f3a91c2

Words are joined by "and", values after a comma by "or". What is not understood is a problem that is shown, and
is never left out in silence. ``parse`` is pure; ``conditions`` makes the filter for the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from urllib.parse import quote_plus

from django.utils.translation import gettext as _

from jobsaga.exceptions import near_matches
from jobsaga.live.wording import JOB_LOOKS
from jobsaga.sagas.states import ACTIVE_JOB_STATES, ENDED_JOB_STATES, STORED_JOB_STATES, JobStates

#: Nobody types more, and nobody's regular expression should have to read more.
LONGEST = 1000
TOKEN = re.compile(r'(?:([A-Za-z][\w.-]*):(?:"([^"]*)"|([^\s"]*)))|"([^"]*)"|([^\s"]+)|"')
COMPARED = re.compile(r"(<=|>=|<|>|=)?(\d{1,12})")
LASTS = re.compile(r"(<=|>=|<|>)?(\d{1,7}(?:\.\d{1,3})?)(s|min|m|h|d|w)")
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
PREFIX = "prop."


class Term(NamedTuple):
    """One condition: what is compared, how, and with what."""

    key: str
    value: str
    operator: str = ""


@dataclass(frozen=True)
class Search:
    """What was typed, understood: all of ``terms`` must hold, unless there are ``problems``."""

    text: str = ""
    terms: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def encoded(self) -> str:
        """For an address."""
        return quote_plus(self.text)

    def values(self, key: str) -> list[str]:
        """What was asked for under *key*."""
        return [each for term in self.terms if term.key == key for each in term.value.split(",") if each]


def _state_names() -> dict[str, frozenset[JobStates]]:
    names = {state.label.casefold(): frozenset({state}) for state in STORED_JOB_STATES}
    names |= {JOB_LOOKS[state].word.casefold(): frozenset({state}) for state in STORED_JOB_STATES}
    open_states = frozenset(STORED_JOB_STATES) - ENDED_JOB_STATES
    return names | {
        "active": frozenset(ACTIVE_JOB_STATES), "ended": frozenset(ENDED_JOB_STATES), "open": open_states,
        "done": frozenset({JobStates.COMPLETED}), "failed": frozenset({JobStates.FAULTED}),
        "cancelled": frozenset({JobStates.CANCELED}),
    }  # fmt: skip


#: The words for states: those on the pages, MassTransit's, and a few for groups.
STATES = _state_names()


def states_named(values: Iterable[str]) -> frozenset[JobStates]:
    """The states that these words mean."""
    return frozenset().union(*(STATES[each.casefold()] for each in values))


@dataclass
class _Reader:
    problems: list[str] = field(default_factory=list)

    def read(self, key: str, value: str) -> Term | None:
        """A term, or None and a problem."""
        if key.startswith(PREFIX) and len(key) > len(PREFIX):
            return Term(key, value)
        check = QUALIFIERS.get(key)
        if check is None:
            self.problems.append(
                _("There is no %(key)s: to search by.") % {"key": key} + f" {_suggestion(key)}"
            )
            return None
        term = check(key, value)
        if isinstance(term, str):
            self.problems.append(term)
            return None
        return term


def parse(text: str) -> Search:
    """The terms of *text*; what makes no sense becomes a problem."""
    if len(text) > LONGEST:
        return Search(
            text[:LONGEST], (), (_("Only %(count)s characters can be searched for.") % {"count": LONGEST},)
        )
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # as it is stored: no database takes the other
    reader = _Reader()
    terms: list[Term | None] = []
    for match in TOKEN.finditer(text):
        key, quoted, plain, quoted_alone, alone = match.groups()
        value = alone if quoted_alone is None else quoted_alone
        if key:
            terms.append(reader.read(_key(key), plain if quoted is None else quoted))
        elif value is None:
            reader.problems.append(_('A quotation mark " has no partner.'))
        else:
            terms.append(Term("text", value) if value else None)
    return Search(text.strip(), tuple(filter(None, terms)), tuple(reader.problems))


def _key(text: str) -> str:
    """Keys are the same in any case; the name of a property is not."""
    folded = text.casefold()
    return PREFIX + text[len(PREFIX) :] if folded.startswith(PREFIX) else folded


def moment(term: Term, now: datetime, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """From when to when a term of time means: ``<24h`` is the last 24 hours, ``A..B`` both days included."""
    lasted = LASTS.fullmatch(term.value)
    if lasted:
        edge = now - _duration(lasted)
        return (edge, None) if (lasted[1] or "<").startswith("<") else (None, edge)
    first, dots, last = term.value.partition("..")
    begin = _day(first, zone) if first else None
    end = _day(last, zone) if last else (None if dots else begin)
    return begin, (end + timedelta(days=1) if end else None)


def duration(term: Term) -> tuple[str, timedelta]:
    """A comparison with a duration."""
    lasted = LASTS.fullmatch(term.value)
    assert lasted is not None
    return lasted[1] or ">", _duration(lasted)


def count(term: Term) -> tuple[str, int]:
    """A comparison with a number."""
    compared = COMPARED.fullmatch(term.value)
    assert compared is not None
    return compared[1] or "=", int(compared[2])


def by_type(name: str) -> str:
    """The term for a job type."""
    return f'type:"{name}"' if re.search(r'[\s"]', name) else f"type:{name}"


def by_error(name: str) -> str:
    """The term for an exception; nothing where there was none."""
    return f'error:"{name}"' if name else ""


def _duration(lasted: re.Match[str]) -> timedelta:
    return timedelta(seconds=min(float(lasted[2]) * SECONDS[lasted[3]], 3e9))


def _day(text: str, zone: tzinfo) -> datetime:
    """When a day begins. Raises ValueError; also for one after which, or elsewhere, there would be no year."""
    begin = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    if not MINYEAR < begin.year < MAXYEAR:
        raise ValueError(text)
    return begin


Check = Callable[[str, str], "Term | str"]


def _anything(key: str, value: str) -> Term | str:
    return Term(key, value) if value else _("%(key)s: needs a value.") % {"key": key}


def _states(key: str, value: str) -> Term | str:
    named = [each for each in value.split(",") if each]
    unknown = [each for each in named if each.casefold() not in STATES]
    if not named:
        return _("%(key)s: needs a value.") % {"key": key}
    if not unknown:
        return Term(key, value)
    near = near_matches(unknown[0], STATES)
    hint = (
        _("Did you mean %(what)s?") % {"what": near[0]}
        if near
        else _("States are: %(states)s.") % {"states": ", ".join(sorted(STATES))}
    )
    return _("%(what)s is no state.") % {"what": repr(unknown[0])} + f" {hint}"


def _count(key: str, value: str) -> Term | str:
    fits = COMPARED.fullmatch(value)
    wrong = _("%(key)s: takes a number, as in %(key)s:>1, not %(value)s.") % {
        "key": key,
        "value": repr(value),
    }
    return Term(key, value) if fits else wrong


def _lasts(key: str, value: str) -> Term | str:
    fits = LASTS.fullmatch(value)
    wrong = _("%(key)s: takes a duration, as in %(key)s:>2h, not %(value)s.") % {
        "key": key,
        "value": repr(value),
    }
    return Term(key, value) if fits else wrong


def _when(key: str, value: str) -> Term | str:
    if LASTS.fullmatch(value):
        return Term(key, value)
    try:
        days = [_day(each, UTC) for each in value.split("..", 1) if each]
    except ValueError:
        days = []
    wrong = _("%(key)s: takes a time, as in %(examples)s, not %(value)s.")
    examples = f"{key}:<24h, {key}:2026-11-01, {key}:2026-11-01..2026-11-05"
    return Term(key, value) if days else wrong % {"key": key, "examples": examples, "value": repr(value)}


def _id(key: str, value: str) -> Term | str:
    fits = re.fullmatch(r"[0-9A-Fa-f-]{4,36}", value)
    return (
        Term(key, value)
        if fits
        else _("%(key)s: takes an id, or at least 4 of its first or last digits.") % {"key": key}
    )


#: What can be searched by, and how its value is checked.
QUALIFIERS: dict[str, Check] = {
    "state": _states, "type": _anything, "id": _id, "worker": _anything, "attempts": _count,
    "priority": _count, "title": _anything, "reason": _anything, "error": _anything, "by": _anything,
    "age": _lasts, "run": _lasts, "submitted": _when, "finished": _when,
}  # fmt: skip


def _suggestion(key: str) -> str:
    near = near_matches(key, [*QUALIFIERS, "prop.NAME"])
    if near:
        return _("Did you mean %(what)s?") % {"what": f"{near[0]}:"}
    return _("There are %(keys)s and prop.NAME:.") % {"keys": ", ".join(f"{each}:" for each in QUALIFIERS)}
