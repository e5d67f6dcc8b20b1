"""One field of a cron text: its values, and how they are written.

``Field.read`` gives the values of a field and its canonical text, which means the same in every version of
every program: ``a/n`` is written out as a range up to the field's end, because programs have disagreed about
it. What programs disagree about and cannot be written in another way is refused. Problems are ValueErrors with
a sentence; the caller says in which field of which schedule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ITEM = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<step>\w+))?", re.ASCII)

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True)
class Field:
    """One of the six places of a cron text. ``names`` stand for the values from ``low`` on."""

    title: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    alias: int | None = None
    """A number above ``high`` that means ``low`` too: 7 for Sunday."""

    @property
    def size(self) -> int:
        """How many values there are."""
        return self.high - self.low + 1

    @property
    def all(self) -> frozenset[int]:
        """Every value."""
        return frozenset(range(self.low, self.high + 1))

    def read(self, text: str) -> tuple[str, frozenset[int]]:
        """The canonical text of a whole field, and its values."""
        items = [self.read_item(item) for item in text.split(",")]
        if len(items) > 1 and any(item == "*" for item, _ in items):
            raise ValueError("has a '*' in a list: the other values change nothing")
        return ",".join(item for item, _ in items), frozenset[int]().union(*(values for _, values in items))

    def read_item(self, text: str) -> tuple[str, frozenset[int]]:
        """The same of one item of a list."""
        match = _ITEM.fullmatch(text)
        if match is None:
            raise ValueError(
                f"has {text!r}, and that is no {self._allowed()}, range (a-b) or step (*/n, a-b/n)"
            )
        first, last, step = match["first"], match["last"], match["step"]
        if first == "*" and last is not None:
            raise ValueError(f"has {text!r}: a range goes from a value to a value")
        width = 1 if step is None else _as_step(step)
        if last is not None:
            written, values = self._range(first, last)
        elif first == "*" or step is not None:
            written, values = self._to_the_end(first, step)
        else:
            values = [self.value(first)]
            written = self._written(first)
        values = values[::width]
        if step is not None and len(values) < 2:
            raise ValueError(f"has {text!r}, a step that is never taken: write {self._show(values[0])!r}")
        if width > 1:
            written = f"{written}/{width}"
        return written, frozenset((value - self.low) % self.size + self.low for value in values)

    def value(self, text: str, within: str = "") -> int:
        """One value, written as a number or a name, ``within`` a range. Sunday may still be 7."""
        if text in self.names:
            return self.names.index(text) + self.low
        highest = self.high if self.alias is None else self.alias
        if not text.isdecimal() or not self.low <= int(text) <= highest:
            raise ValueError(
                f"has {text!r}{f' in {within!r}' if within else ''}, and that is no {self._allowed()}"
            )
        return int(text)

    def _to_the_end(self, first: str, step: str | None) -> tuple[str, list[int]]:
        if first in self.names and self.names == WEEKDAYS:
            raise ValueError(
                f"has '{first}/{step}', which some programs read as weeks and others as days: write the days, "
                "such as MON,WED,FRI"
            )
        start = self.low if first == "*" else self.value(first)
        if start > self.high:
            raise ValueError(
                f"has '{first}/{step}', which begins after the last day of the week: write the days"
            )
        written = "*" if start == self.low else f"{self._written(first)}-{self.high}"
        return written, list(range(start, self.high + 1))

    def _range(self, first: str, last: str) -> tuple[str, list[int]]:
        low, high = (self.value(each, f"{first}-{last}") for each in (first, last))
        if low == high or (low, high) == (self.alias, self.low):
            raise ValueError(f"has '{first}-{last}', a range of one value: write {self._written(first)!r}")
        if low == self.alias:
            low = self.low
        if high < low:
            high += self.size
        return f"{self._written(first)}-{self._written(last)}", list(range(low, high + 1))

    def _written(self, text: str) -> str:
        return text if text in self.names else str(int(text))

    def _show(self, value: int) -> str:
        return str((value - self.low) % self.size + self.low)

    def _allowed(self) -> str:
        highest = self.high if self.alias is None else self.alias
        names = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        return f"{self.title} ({self.low}-{highest}{names})"


def _as_step(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"has the step {text!r}: a step is a whole number from 1 on")
    return int(text)


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day of the month", 1, 31)
MONTH = Field("month", 1, 12, MONTHS)
DAY_OF_WEEK = Field("day of the week", 0, 6, WEEKDAYS, alias=7)
