"""What every database stores and gives back unchanged: the check at the door, and its cure for free text.

PostgreSQL refuses NUL characters and NaN, MariaDB refuses deep nesting, SQLite makes floats of large numbers,
JSON turns every key into a string. What one of them would refuse or change is refused everywhere, with the
path to the field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from jobsaga.exceptions import InvalidMessage

MAX_MESSAGE_BYTES = 262_144
#: MariaDB takes no JSON that is nested deeper.
MAX_DEPTH = 31
SMALLEST_INT, LARGEST_INT = -(2**63), 2**63 - 1
TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep, or contains itself"

Flaw = tuple[str, str]
"""Where something is wrong (the path from here on), and what."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_FOREIGN = "\0foreign"


def check_json(value: object, where: str, *, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
    """Raise InvalidMessage unless ``value`` is plain JSON, which every database stores unchanged."""
    flaw = _flaw(value, MAX_DEPTH)
    if flaw:
        path, problem = flaw
        raise InvalidMessage(where + path, problem)
    size = len(msgspec.json.encode(value))
    if size > max_bytes:
        limit = f'{max_bytes} are allowed (JOBSAGA["MAX_MESSAGE_BYTES"])'
        raise InvalidMessage(where, f"takes {size} bytes as JSON; at most {limit}")


def safe_text(text: str, limit: int = 8192) -> str:
    """``text`` so that every database can store it, and not longer than ``limit`` characters.

    What is too long loses its middle, with a mark there: of a traceback, beginning and end tell most.
    """
    text = _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    if len(text) <= limit:
        return text
    mark = f"\n[... of {len(text)} characters, the middle was left out ...]\n"
    if limit <= len(mark):
        return text[:limit]
    head = (limit - len(mark) + 1) // 2
    tail = limit - len(mark) - head
    return text[:head] + mark + text[len(text) - tail :]


def foreign(value: object) -> dict[str, str]:
    """What an encoder may put in the place of an object it cannot encode.

    The check finds it, and names the field and the class. No other dict with this key gets past the check.
    """
    return {_FOREIGN: type_name(type(value))}


def type_name(cls: type) -> str:
    """The name of a class for an error message."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def path_step(step: object) -> str:
    """One step of a path: ``[3]`` for an index, ``.name`` or ``["odd name"]`` for a key."""
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if str(step).isidentifier() else f"[{str(step)!r}]"


def _flaw(value: object, depth: int) -> Flaw | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _text_flaw(value)
    if isinstance(value, int | float):
        return _number_flaw(value)
    if not isinstance(value, dict | list | tuple):
        return "", f"is a {type_name(type(value))}, which JSON cannot hold"
    if depth == 0:
        return "", TOO_DEEP
    return _dict_flaw(value, depth) if isinstance(value, dict) else _first_flaw(enumerate(value), depth)


def _text_flaw(value: str) -> Flaw | None:
    found = _UNSTORABLE.search(value)
    if found is None:
        return None
    what = "a NUL character" if found.group() == "\0" else "half a surrogate pair"
    return "", f"has {what} at position {found.start()}, which databases refuse"


def _number_flaw(value: float) -> Flaw | None:
    if isinstance(value, int):
        fits = SMALLEST_INT <= value <= LARGEST_INT
        return None if fits else ("", "is a whole number of more than 64 bits; store it as a string")
    return None if math.isfinite(value) else ("", f"is {value}; JSON has no such number")


def _dict_flaw(value: dict[Any, Any], depth: int) -> Flaw | None:
    if _FOREIGN in value:
        return "", f"is a {value[_FOREIGN]}, which JSON cannot hold"
    for key in value:
        if not isinstance(key, str):
            return "", f"has the key {key!r}; keys must be strings"
        if _text_flaw(key):
            return "", f"has the key {key!r}, which databases refuse"
    return _first_flaw(value.items(), depth)


def _first_flaw(items: Iterable[tuple[object, Any]], depth: int) -> Flaw | None:
    for step, each in items:
        flaw = _flaw(each, depth - 1)
        if flaw:
            return path_step(step) + flaw[0], flaw[1]
    return None
