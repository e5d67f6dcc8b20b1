"""How a verb says what it found: aligned text for people, JSON for scripts, remarks on standard error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import OutputWrapper
from django.core.management.color import Style
from django.utils import timezone

Paint = Callable[[str], str]
GAP = "  "
SHORT = 8
#: Seconds and name of a unit, and of the next smaller one.
UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


class Output:
    """Where the answer goes. ``as_json``: the caller asked for ``--json``."""

    def __init__(self, stdout: OutputWrapper, stderr: OutputWrapper, style: Style, *, as_json: bool) -> None:
        self.stdout, self.stderr, self.style, self.as_json = stdout, stderr, style, as_json

    def line(self, text: str = "") -> None:
        """One line of the answer. Letters that a terminal of another encoding has not are spelled out."""
        encoding = self.stdout.encoding or "utf-8"
        self.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def remark(self, text: str) -> None:
        """What is not part of the answer: a script that reads the answer does not see it."""
        self.stderr.write(text, self.style.NOTICE)

    def json(self, answer: object, *, lines: bool = False) -> None:
        """The answer as JSON. With *lines*, on one line: more of them follow."""
        self.stdout.write(json.dumps(plain(answer), indent=None if lines else 2, allow_nan=False))
        self.stdout.flush()

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Rows under headings. In a terminal the last column is cut where the line ends."""
        cells = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
        room = self._width() - sum(widths[:-1]) - len(GAP) * (len(widths) - 1)
        for number, row in enumerate([list(headings), *cells]):
            row[-1] = clipped(row[-1], room)
            padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            painted = [self._paint(cell, heading=number == 0) for cell in padded]
            self.line(GAP.join(painted).rstrip())

    def fields(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and values; pairs without a value are left out."""
        known = [(name, value) for name, value in pairs if value]
        width = max((len(name) for name, _ in known), default=0)
        for name, value in known:
            text = printable(value).replace("\n", "\n" + " " * (width + len(GAP)))
            self.line(f"{name.ljust(width)}{GAP}{self.painted(text)}")

    def heading(self, text: str) -> None:
        """The title of a part of the answer."""
        self.line()
        self.line(self.style.MIGRATE_HEADING(text))

    def painted(self, state: str) -> str:
        """The name of a state in its colour; other text as it is."""
        paint: dict[str, Paint] = {
            "Completed": self.style.SUCCESS,
            "Faulted": self.style.ERROR,
            "Suspect": self.style.ERROR,
            "Canceled": self.style.WARNING,
        }
        return paint.get(state.rstrip(), str)(state)

    def _paint(self, cell: str, *, heading: bool) -> str:
        return self.style.MIGRATE_LABEL(cell) if heading else self.painted(cell)

    def _width(self) -> int:
        return shutil.get_terminal_size().columns if self.stdout.isatty() else 100_000


def plain(value: Any) -> Any:
    """A record as what JSON knows: times in ISO 8601, durations in seconds, ids as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, UUID) else value


def keys(record: type) -> str:
    """The keys of a record as JSON, for the help."""
    return ", ".join(field.name for field in fields(record))


def printable(text: str) -> str:
    """Without what a terminal would obey: a job's words must not move the cursor."""
    return "".join(
        each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text
    )


def clipped(text: str, width: int) -> str:
    """At most *width* characters, and at least a few."""
    width = max(width, 10)
    return text if len(text) <= width else text[: width - 1] + "…"


def short(job_id: UUID | None) -> str:
    """The end of an id: the part by which the ids of one hour differ. Commands take it for the whole id."""
    return job_id.hex[-SHORT:] if job_id else ""


def moment(at: datetime | None) -> str:
    """A time in the site's time zone, to the second."""
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def span(duration: timedelta | None) -> str:
    """A duration as people say it: 25 ms, 12.5 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    size, name, small, small_name = next(each for each in UNITS if seconds >= each[0])
    rest = int(seconds % size // small)
    return f"{int(seconds // size)} {name}" + (f" {rest} {small_name}" if rest else "")


def number(value: float) -> str:
    """A whole number with all its digits, another one with two after the point."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def compact(value: object) -> str:
    """JSON for people: on one line if it is short, else indented; nothing for None."""
    if value is None:
        return ""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= 100 else json.dumps(value, ensure_ascii=False, indent=2)
