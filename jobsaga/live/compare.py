"""Two attempts of a job side by side: what was the same, what was not, and how their errors differ. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from jobsaga.live import wording

#: Lines of an error that are compared.
LINES = 200


class Pair(NamedTuple):
    """One thing about both."""

    name: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        """Whether it is worth a look."""
        return self.left != self.right


class Line(NamedTuple):
    """A line of the errors: in both, or only in the "left" or "right" one."""

    side: str
    text: str


@dataclass(frozen=True)
class Comparison:
    """Two attempts, by their numbers in the table of attempts."""

    left: int
    right: int
    pairs: tuple[Pair, ...]
    errors: tuple[Line, ...]


def compare(attempts: Sequence[Any], left: str, right: str) -> Comparison | None:
    """The attempts of these numbers, or else the last two; None while there are fewer."""
    if len(attempts) < 2:
        return None
    one, other = _number(left, len(attempts)), _number(right, len(attempts))
    if one is None or other is None or one == other:
        one, other = len(attempts) - 1, len(attempts)
    first, second = attempts[one - 1], attempts[other - 1]
    pairs = tuple(
        Pair(name, *said)
        for (name, *said) in zip(NAMES(), _said(first), _said(second), strict=True)
        if any(said)
    )
    return Comparison(one, other, pairs, tuple(_errors(first, second)))


def _number(text: str, most: int) -> int | None:
    number = int(text) if text.isdecimal() and len(text) < 6 else 0
    return number if 1 <= number <= most else None


def NAMES() -> tuple[str, ...]:  # noqa: N802 - a constant in the reader's language
    """What is compared."""
    return (
        _("State"), _("Worker"), _("Version of the worker"), _("Waited"), _("Took"), _("Reason"), _("Error"),
        _("Message"),
    )  # fmt: skip


def _said(attempt: Any) -> tuple[str, ...]:
    instance, fault = attempt.instance, attempt.fault or {}
    waited = attempt.started_at - attempt.created_at if attempt.started_at else None
    return (
        str(wording.attempt_look(attempt.state, attempt.outcome).said), str(instance or ""),
        instance.version if instance else "", wording.span(waited), wording.span(attempt.duration),
        "" if attempt.outcome == "completed" else attempt.reason, str(fault.get("type") or ""),
        str(fault.get("message") or ""),
    )  # fmt: skip


def _errors(first: Any, second: Any) -> Iterator[Line]:
    """The tracebacks line by line; nothing unless both have one."""
    one, other = _traceback(first), _traceback(second)
    if not one or not other:
        return
    for what, begin, end, start, stop in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if what == "equal":
            yield from (Line("both", text) for text in one[begin:end])
        else:
            yield from (Line("left", text) for text in one[begin:end])
            yield from (Line("right", text) for text in other[start:stop])


def _traceback(attempt: Any) -> list[str]:
    lines = str((attempt.fault or {}).get("traceback") or "").splitlines()
    return lines[-LINES:]
