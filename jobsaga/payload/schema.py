"""Fields that a JSON Schema does not know.

Reading a stored message ignores unknown fields, so that releases may differ. A message that someone writes by
hand is another matter: there an unknown field is a misspelling, and would be lost without a word.
"""

from __future__ import annotations

from typing import Any

from jobsaga.exceptions import near_matches
from jobsaga.payload.door import Flaw, path_step

Schema = dict[str, Any]


def unknown_field(schema: Schema, data: object) -> Flaw | None:
    """The first field of ``data`` that ``schema`` has no place for: its path and what to say about it."""
    return _unknown(schema, data, schema.get("$defs", {}))


def _unknown(schema: Schema, data: object, definitions: dict[str, Schema]) -> Flaw | None:
    branches = _branches(schema, definitions)
    if isinstance(data, dict):
        found = [_unknown_key(each, data, definitions) for each in branches if each.get("type") == "object"]
    elif isinstance(data, list):
        found = [
            _unknown_in_item(each, data, definitions) for each in branches if each.get("type") == "array"
        ]
    else:
        return None
    return None if None in found or not found else found[0]


def _branches(schema: Schema, definitions: dict[str, Schema]) -> list[Schema]:
    """What a union may be, or the schema itself, references followed."""
    if "$ref" in schema:
        return _branches(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    union = schema.get("anyOf") or schema.get("oneOf")
    return [inner for each in union for inner in _branches(each, definitions)] if union else [schema]


def _unknown_key(schema: Schema, data: dict[str, Any], definitions: dict[str, Schema]) -> Flaw | None:
    fields = schema.get("properties", {})
    others = schema.get("additionalProperties", "properties" not in schema)
    for key, value in data.items():
        inner = fields.get(key, others)
        if inner is False:
            near = near_matches(key, fields)
            return path_step(key), f"is unknown. {f'Did you mean {near[0]}?' if near else _known(fields)}"
        flaw = _unknown(inner, value, definitions) if isinstance(inner, dict) else None
        if flaw:
            return path_step(key) + flaw[0], flaw[1]
    return None


def _unknown_in_item(schema: Schema, data: list[Any], definitions: dict[str, Schema]) -> Flaw | None:
    for index, value in enumerate(data):
        flaw = _unknown(schema.get("items") or {}, value, definitions)
        if flaw:
            return path_step(index) + flaw[0], flaw[1]
    return None


def _known(fields: Schema) -> str:
    return f"The fields are: {', '.join(fields)}" if fields else "There are no fields at all"
