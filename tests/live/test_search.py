"""What people type is understood, or they are told why not."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from jobsaga.live.search import LONGEST, Term, duration, moment, parse, states_named
from jobsaga.sagas.states import JobStates

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_words_and_quotes() -> None:
    search = parse('state:running,retrying reason:"out of disk" plain "two words" prop.Tenant:acme')
    assert search.problems == ()
    assert search.terms == (
        Term("state", "running,retrying"), Term("reason", "out of disk"), Term("text", "plain"),
        Term("text", "two words"), Term("prop.Tenant", "acme"),
    )  # fmt: skip
    assert states_named(search.values("state")) == {JobStates.STARTED, JobStates.WAITING_TO_RETRY}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stat:faulted", "Did you mean state:?"),
        ("zzz:1", "There are state:"),
        ("state:runing", "Did you mean running?"),
        ("state:faulted,", None),
        ("attempts:many", "takes a number"),
        ("age:yesterday", "takes a duration"),
        ("submitted:yesterday", "takes a time"),
        ("submitted:2026-13-01", "takes a time"),
        ("submitted:..", "takes a time"),
        ("id:zz", "takes an id"),
        ("type:", "needs a value"),
        ("state:,", "needs a value"),
        ('reason:"open', "has no partner"),
        ("x" * (LONGEST + 1), "characters can be searched for"),
    ],
)
def test_what_is_not_understood_is_said(text: str, problem: str | None) -> None:
    problems = parse(text).problems
    assert (problem is None) == (not problems), problems
    assert problem is None or any(problem in each for each in problems)


@pytest.mark.parametrize(
    ("value", "begin", "end"),
    [
        ("<24h", NOW - timedelta(hours=24), None),
        ("24h", NOW - timedelta(hours=24), None),
        (">2d", None, NOW - timedelta(days=2)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)),
        ("2026-11-01..2026-11-05", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 6, tzinfo=UTC)),
        ("2026-11-01..", datetime(2026, 11, 1, tzinfo=UTC), None),
        ("..2026-11-05", None, datetime(2026, 11, 6, tzinfo=UTC)),
    ],
)
def test_times(value: str, begin: datetime | None, end: datetime | None) -> None:
    (term,) = parse(f"finished:{value}").terms
    assert moment(term, NOW, UTC) == (begin, end)


def test_durations_are_bounded() -> None:
    (term,) = parse("age:>9999999w").terms
    operator, lasted = duration(term)
    assert operator == ">"
    assert NOW - lasted < NOW, "no overflow"


def test_a_long_text_is_read_in_no_time() -> None:
    started = time.perf_counter()
    assert parse('a:"' * 300).problems
    assert not parse("a" * LONGEST).problems
    assert time.perf_counter() - started < 1
    assert not parse(":" * 900).problems
