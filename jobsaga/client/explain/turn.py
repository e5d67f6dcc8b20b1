"""When it is the job's turn: how many are before it, and about when it may start. Never more than an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heapreplace
from typing import Any

from jobsaga.client.explain.facts import MANY, Facts
from jobsaga.client.explain.wording import about, some


@dataclass(frozen=True)
class Turn:
    """The job's place among those that wait for the same."""

    #: How many of them are given a slot before it, and whether there may be more.
    ahead: int
    more: bool
    #: In words, to be put behind a sentence.
    words: str
    start: datetime | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """For an ``Explanation``."""
        return {"ahead": self.ahead, "more_ahead": self.more, "estimated_start": self.start}


def in_line(facts: Facts, slots: int) -> Turn:
    """Its place among all of its type; those whose key is at its limit are overtaken.

    *slots*: how many of the type run at a time; 0: there is no estimate.
    """
    known = facts.allotment
    counted = sum(n for key, n in facts.ahead.items() if known.room_of(key) != 0)
    turn = _turn(counted, cut=facts.ahead.total() > MANY)
    if not slots or turn.more:
        return turn
    usual, starts = facts.usual_duration, [holder.since for _, holder in facts.held]
    start = estimated_start(facts.now, starts, slots, turn.ahead, usual) if usual else None
    if start is None:
        return turn
    words = f"{turn.words}, and may start in about {about(start - facts.now)} (an estimate)"
    return Turn(turn.ahead, turn.more, words, start)


def in_key(facts: Facts) -> Turn:
    """Its place among those of its concurrency key. When the key has room again, the others count too: so there
    is no estimate.
    """
    return _turn(facts.ahead_in_key, cut=facts.ahead_in_key > MANY, whose=" of its key")


def estimated_start(
    now: datetime, starts: Sequence[datetime], slots: int, ahead: int, usual: timedelta
) -> datetime | None:
    """When a slot is free after *ahead* others were served, if each run takes the usual time.

    *starts*: since when the slots are held, the longest first; those beyond the limit free nothing. None if it
    should have started already: then the runs of today are longer than usual, nobody knows how much.
    """
    ends = [max(now, start + usual) for start in starts][max(0, len(starts) - slots) :]
    if not ends:
        return None
    heapify(ends)
    for _ in range(ahead):
        heapreplace(ends, ends[0] + usual)
    return ends[0] if ends[0] > now else None


def _turn(counted: int, *, cut: bool, whose: str = "") -> Turn:
    ahead = min(counted, MANY)
    if not cut:
        words = f"; {some(ahead, 'job')}{whose} {'is' if ahead == 1 else 'are'} before it" if ahead else ""
        return Turn(ahead, more=False, words=words or f"; it is the next{whose} in line")
    how = "more than" if counted > MANY else "at least"
    return Turn(ahead, more=True, words=f"; {how} {some(ahead, 'job')}{whose} are before it" if ahead else "")
