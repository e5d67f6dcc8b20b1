"""docker-compose.yml as Compose reads it: variables filled in, extensions merged by YAML itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\})")
UNITS = {"s": 1, "m": 60, "h": 3600}


class Missing(Exception):
    """A variable that has to be set is not; the text is what Compose shows."""


def load(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file with these variables. Raises Missing."""
    return _filled(yaml.safe_load(PATH.read_text()), environment)  # type: ignore[no-any-return]


def seconds(duration: str) -> int:
    """``65s``, ``1m30s``."""
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smh])", duration))


def in_order(services: Mapping[str, Any]) -> list[str]:
    """The services, each after those that it depends on."""
    order: list[str] = []

    def add(name: str) -> None:
        for other in services[name].get("depends_on", {}):
            add(other)
        if name not in order:
            order.append(name)

    for name in services:
        add(name)
    return order


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, environment) for each in value]
    return VARIABLE.sub(lambda found: _value(found, environment), value) if isinstance(value, str) else value


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    if found["dollar"]:
        return "$"
    value = environment.get(found["name"], "")
    if value or found["kind"] is None:
        return value
    if found["kind"] == "?":
        raise Missing(f"{found['name']}: {found['text']}")
    return found["text"] or ""
