"""The contract as a JSON Schema, made of its classes: ``python -m jobsaga.remote.schema`` prints it.

What stands in ``docs/remote-contract.schema.json`` is this, and a test compares them.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from jobsaga.remote import contract
from jobsaga.remote.events import PUBLIC_EVENTS

DRAFT = "https://json-schema.org/draft/2020-12/schema"
PLACE = "#/$defs/{name}"


def schema() -> dict[str, Any]:
    """Any message of the contract: a request, an answer, or an event, each in its envelope."""
    groups: dict[str, list[type[msgspec.Struct]]] = {
        "Request": list(contract.REQUEST_TYPES),
        "Reply": list(contract.REPLY_TYPES),
        "Event": list(PUBLIC_EVENTS.values()),
    }
    kinds = [each for group in groups.values() for each in group]
    _, bodies = msgspec.json.schema_components(kinds, ref_template=PLACE)
    envelopes = {f"{each.__name__}Envelope": _envelope(each.__name__) for each in kinds}
    unions = {
        name: {"oneOf": [_ref(f"{each.__name__}Envelope") for each in group]}
        for name, group in groups.items()
    }
    return {
        "$schema": DRAFT,
        "title": f"jobsaga: the contract with other services, version {contract.VERSION}",
        "oneOf": [_ref(name) for name in groups],
        "$defs": {**unions, **envelopes, **bodies},
    }


def _envelope(kind: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "version": {"const": contract.VERSION},
            "type": {"const": kind},
            "id": {"type": "string", "format": "uuid"},
            "time": {"type": "string", "format": "date-time"},
            "body": _ref(kind),
        },
        "required": ["version", "type", "id", "body"],
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": PLACE.format(name=name)}


def text() -> str:
    """The file."""
    return json.dumps(schema(), indent=2, default=str) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
