"""What the demo looks like: live bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 120
PLAIN_STEP = 0.25  # a line at each quarter of a job's way
PASSING = (
    "Submitted",
    "WaitingForSlot",
    "StartingJobAttempt",
)  # states that say little in a line of their own
STYLES = {"Completed": "green", "Canceled": "yellow", "Faulted": "red", "Started": "cyan"}


@dataclass(frozen=True)
class Row:
    """One line of the picture: a job, or a group of like jobs."""

    name: str
    state: str
    value: int = 0
    limit: int | None = None
    attempts: int = 0
    workers: str = ""
    message: str = ""

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(1.0, self.value / self.limit) if self.limit else 0.0


class Screen:
    """Says what happens, each line with the seconds since the start, and keeps a picture of the jobs below."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.is_terminal = self.console.is_terminal
        if not self.is_terminal:
            self.console.width = PLAIN_WIDTH
        self._began = time.monotonic()
        self._live: Live | None = None
        self._shown: dict[str, tuple[str, int, int]] = {}

    def say(self, text: str, style: str = "bold") -> None:
        """Write one line that stays."""
        seconds = time.monotonic() - self._began
        self.console.print(Text(f"{seconds:5.1f} s  ", "dim") + Text(text, style))

    def print(self, *parts: RenderableType) -> None:
        for part in parts:
            self.console.print(part)

    @contextmanager
    def picture(self) -> Iterator[None]:
        """Keep the picture on the screen for the time of the block (in a terminal)."""
        if not self.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=8, transient=True) as self._live:
            yield
        self._live = None

    def show(self, rows: Sequence[Row], note: str = "") -> None:
        """Draw the rows anew, or, without a terminal, write a line for each that changed."""
        if self._live is not None:
            self._live.update(draw(rows, note))
        elif not self.is_terminal:
            for row in rows:
                if row.state not in PASSING:
                    self._write_if_changed(row)

    def _write_if_changed(self, row: Row) -> None:
        now = (row.state, row.attempts, int(row.share / PLAIN_STEP))
        if self._shown.get(row.name) != now:
            self._shown[row.name] = now
            self.say(describe(row), style="")


def describe(row: Row) -> str:
    """A row as a line of text."""
    parts = [f"{row.name}: {row.state}"]
    if row.limit:
        parts.append(f"{row.share:.0%} ({row.value:,} of {row.limit:,})")
    if row.attempts > 1:
        parts.append(f"try {row.attempts}")
    if row.workers:
        parts.append(f"on {row.workers}")
    return ", ".join(parts)


def draw(rows: Iterable[Row], note: str = "") -> Table:
    """The rows as a table with bars, and a note below."""
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True, caption=Text(note), caption_justify="left")
    for heading, width in (("job", 22), ("state", 19), ("", 12), ("", 4), ("try", 3), ("on", 4)):
        table.add_column(heading, width=width, no_wrap=True, header_style="dim")
    table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
    for row in rows:
        table.add_row(
            Text(row.name),
            Text(row.state, STYLES.get(row.state, "")),
            ProgressBar(total=1.0, completed=row.share, width=12),
            f"{row.share:4.0%}" if row.limit else "",
            f"{row.attempts:3}" if row.attempts else "",
            row.workers,
            Text(row.message),
        )
    return table
