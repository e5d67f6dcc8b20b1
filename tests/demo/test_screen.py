"""What the demo shows: bars in a terminal, a line for each change elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from dashboard.demo.screen import Row, Screen, describe, draw


def test_a_row_in_words() -> None:
    row = Row("Pack", "Started", value=1200, limit=2400, attempts=2, workers="worker B")
    assert describe(row) == "Pack: Started, 50% (1,200 of 2,400), try 2, on worker B"


def test_a_row_in_a_terminal() -> None:
    text = io.StringIO()
    Console(file=text, width=120).print(draw([Row("Pack [all]", "Started", 3, 4, 1, "worker A", "a/b.py")]))
    assert "Pack [all]" in text.getvalue()
    assert "75%" in text.getvalue()


def test_without_a_terminal_only_changes_are_written() -> None:
    screen = Screen()
    screen.console = Console(file=io.StringIO(), width=120)
    for value in (0, 1, 2, 30, 31, 100):
        screen.show([Row("Pack", "Started" if value < 100 else "Completed", value, 100)])
    lines = screen.console.file.getvalue().splitlines()
    assert [line.split("  ")[-1] for line in lines] == [
        "Pack: Started, 0% (0 of 100)",
        "Pack: Started, 30% (30 of 100)",
        "Pack: Completed, 100% (100 of 100)",
    ]
