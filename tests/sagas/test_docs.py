"""The pages about the sagas say what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobsaga import messages as said
from jobsaga.sagas import JOB
from jobsaga.sagas.machine import Note
from jobsaga.sagas.states import TRANSIENT_JOB_STATES, AttemptStates, JobStates, JobTypeStates, State
from tests.sagas import cases, test_quirks, test_quirks_of_limits, test_quirks_of_time
from tests.sagas.write_diagrams import PAGE, with_diagrams

COMING = Path(PAGE).with_name("coming-from-masstransit.md")

#: What no saga notes: a line of a job's own log, and what is asked of a worker, for all its types at once.
BY_THE_ENGINE = {"JobLog", "DrainInstance", "UndrainInstance"}


def section(title: str) -> str:
    return PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_diagrams_are_those_of_the_tables() -> None:
    page = PAGE.read_text()
    assert with_diagrams(page) == page, "python -m tests.sagas.write_diagrams draws them anew"


@pytest.mark.parametrize(
    ("title", "states"), [("A job", JobStates), ("An attempt", AttemptStates), ("A job type", JobTypeStates)]
)
def test_every_state_is_explained(title: str, states: type[State]) -> None:
    explained = dict(re.findall(r"^\| (\w+) \| (\d+) \|", section(title), re.MULTILINE))
    assert explained == {state.label: str(state.value) for state in states}


def test_every_kind_of_history_is_explained() -> None:
    stored = set(JobStates) - TRANSIENT_JOB_STATES
    moves = {message for (_, message), rows in JOB.rows.items() for row in rows if row.to in stored}
    moves.remove(said.JobSlotUnavailable)  # back to where it was before the transaction
    notes = {
        effect.kind
        for name, (machine, _) in cases.MACHINES.items()
        for case in cases.cases(name)
        for effect in machine.step(*case).effects
        if isinstance(effect, Note)
    }
    explained = re.findall(r"^\| `(\w+)` \|", section("History"), re.MULTILINE)
    assert sorted(explained) == sorted({each.__name__ for each in moves} | notes | BY_THE_ENGINE)


def test_every_quirk_has_its_tests_and_every_test_its_quirk() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", COMING.read_text(), re.MULTILINE)
    named = [(name, int(number)) for number, tests in rows for name in re.findall(r"`(\w+)`", tests)]
    tests = [*vars(test_quirks), *vars(test_quirks_of_limits), *vars(test_quirks_of_time)]
    assert sorted(name for name, _ in named) == sorted(name for name in tests if name.startswith("test_q"))
    assert all(name.startswith(f"test_q{number:02}_") for name, number in named)
