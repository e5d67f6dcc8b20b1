"""Every scenario has a test that is named after it, and a line in the documentation that names its tests."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "conformance.md"
NOT_YET: set[str] = set()


def numbers(letter: str, first: int, last: int) -> set[str]:
    return {f"{letter}{number:02}" for number in range(first, last + 1)}


SCENARIOS = (
    numbers("A", 1, 14) | numbers("B", 1, 4) | numbers("C", 1, 8) | numbers("D", 1, 9) | numbers("E", 1, 2)
    | numbers("F", 1, 4) | numbers("G", 1, 7) | numbers("K", 1, 36)
) - NOT_YET  # fmt: skip


def by_name() -> dict[str, set[str]]:
    """The ids at the beginning of each test's name."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in HERE.glob("test_*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and (ids := re.match(r"test_((?:[a-z]\d\d_)+)", node.name)):
                for scenario in ids[1].rstrip("_").upper().split("_"):
                    found[scenario].add(node.name)
    return dict(found)


def by_line() -> dict[str, set[str]]:
    """The tests that the page names for each scenario."""
    lines = re.findall(r"^\| ([A-Z]\d\d) \|.*\| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE)
    assert len(dict(lines)) == len(lines), "a scenario has two lines"
    return {scenario: set(re.findall(r"`(test_\w+)`", names)) for scenario, names in lines}


def test_every_scenario_has_a_test() -> None:
    assert set(by_name()) == SCENARIOS


def test_the_page_names_the_tests_of_every_scenario() -> None:
    assert by_line() == by_name()


def test_the_page_says_what_is_not_there_yet() -> None:
    said = " ".join(re.findall(r"^Not here yet:.*?\n\n", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    assert set(re.findall(r"[A-Z]\d\d", said)) == NOT_YET
