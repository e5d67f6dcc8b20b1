"""A form for a message, made from its JSON Schema: the codec that reads a stored message checks what is typed.

Texts, numbers, choices and yes or no have a field each; whatever else a message holds is typed as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from jobsaga.consumers import JobConsumerDefinition
from jobsaga.payload import json_schema

Schema = Mapping[str, Any]


@dataclass
class Field:
    """One field of a message, as it is shown."""

    name: str
    kind: str
    required: bool
    nullable: bool = False
    choices: list[str] = field(default_factory=list)
    text: str = ""
    problem: str = ""
    hint: str = ""

    @property
    def id(self) -> str:
        """Its id on the page."""
        return f"field-{self.name}"

    def value(self) -> Any:
        """What was typed, as JSON. Raises ValueError."""
        if self.kind == "text":
            return self.text
        if self.kind == "choice":
            return json.loads(self.text)
        if self.kind == "number":
            return _number(self.text)
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"is no JSON: {error}") from None

    @property
    def left_out(self) -> bool:
        """Whether nothing was typed and nothing is needed, so that the default holds."""
        return (not self.text and (not self.required or self.nullable)) or self.kind == "none"


def fields_of(definition: JobConsumerDefinition) -> list[Field]:
    """The fields of the messages that a consumer takes."""
    schema = json_schema(definition.message_type)
    definitions = schema.get("$defs", {})
    top = _resolved(schema, definitions)
    required = set(top.get("required", ()))
    return [
        _field(name, _resolved(each, definitions), name in required, definitions)
        for name, each in top.get("properties", {}).items()
    ]


def filled(fields: list[Field], given: Mapping[str, Any]) -> list[Field]:
    """The fields with the values of a message that is stored."""
    for each in fields:
        if each.name in given:
            each.text = _typed(each, given[each.name])
    return fields


def _typed(each: Field, value: Any) -> str:
    """As someone would have typed it."""
    if value is None and each.nullable:
        return ""
    return value if each.kind == "text" and isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read(fields: list[Field], posted: Mapping[str, str]) -> dict[str, Any] | None:
    """The message that was typed; None if a field has a ``problem``."""
    message: dict[str, Any] = {}
    for each in fields:
        each.text = posted.get(each.id, "").replace("\r\n", "\n")
        if each.kind == "text" and each.required and not each.nullable:
            message[each.name] = each.text
        elif each.left_out:
            if each.required:
                message[each.name] = None
        elif not each.text:
            each.problem = _("is needed")
        else:
            try:
                message[each.name] = each.value()
            except ValueError as error:
                each.problem = str(error)
    return None if any(each.problem for each in fields) else message


def blame(fields: list[Field], path: str, problem: str) -> bool:
    """Put the codec's complaint beside the field it is about; False if it is about none of them."""
    named = [each for each in fields if path.removeprefix("message.").startswith(each.name)]
    if not named or not path.startswith("message."):
        return False
    culprit = max(named, key=lambda each: len(each.name))
    culprit.problem = f"{path.removeprefix('message.' + culprit.name)} {problem}".strip()
    return True


def _field(name: str, schema: Schema, required: bool, definitions: Mapping[str, Schema]) -> Field:
    kind, nullable, choices = "json", False, []
    branches = [_resolved(each, definitions) for each in schema.get("anyOf", [schema])]
    rest = [each for each in branches if each.get("type") != "null"]
    nullable = len(rest) < len(branches)
    if len(rest) == 1:
        only = rest[0]
        if "enum" in only:
            kind, choices = "choice", [json.dumps(each) for each in only["enum"]]
        elif only.get("type") == "boolean":
            kind, choices = "choice", ["true", "false"]
        elif only.get("type") in ("integer", "number"):
            kind = "number"
        elif only.get("type") == "string":
            kind = "text"
    default = schema.get("default")
    hint = f"{json.dumps(default, ensure_ascii=False)} if left out" if default not in (None, "") else ""
    return Field(name, kind, required, nullable, choices, hint=hint[:80])


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    reference = schema.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else schema


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"is no number: {text[:40]!r}") from None
