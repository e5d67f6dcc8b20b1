"""How typed messages become JSON, and typed messages again.

msgspec does the work; pydantic only for its own classes, and is imported only then. Reading is strict about
types and lenient about fields it does not know: an older worker can read what a newer site wrote.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn

import msgspec

from jobsaga.exceptions import InvalidMessage
from jobsaga.payload.door import MAX_MESSAGE_BYTES, TOO_DEEP, check_json, foreign, path_step, type_name
from jobsaga.payload.schema import unknown_field

# -- messages


def encode(message: object, *, max_bytes: int = MAX_MESSAGE_BYTES) -> dict[str, Any]:
    """The JSON object to store for ``message`` (None: a job without a message). Raises InvalidMessage.

    It is read back once, so that what no worker could read never becomes a job.
    """
    if message is None:
        return {}
    if isinstance(message, type):
        raise InvalidMessage("message", f"is the class {message.__name__}; a message is an object of it")
    plain = encode_value(message, "message", max_bytes=max_bytes)
    if not isinstance(plain, dict):
        raise InvalidMessage("message", f"is a {type_name(type(message))}; {_SUPPORTED}")
    decode(type(message), plain)
    return plain


def encode_fields(
    message_type: type | None, fields: Mapping[str, Any], *, max_bytes: int = MAX_MESSAGE_BYTES
) -> dict[str, Any]:
    """The JSON object to store for a message given as a dict of its fields. Raises InvalidMessage.

    Missing, wrong and unknown fields are refused; fields with a default may be left out.
    """
    plain = encode_value(fields, "message", max_bytes=max_bytes)
    unknown = unknown_field(json_schema(message_type), plain)
    if unknown:
        path, problem = unknown
        raise InvalidMessage("message" + path, problem)
    return encode(decode(message_type, plain), max_bytes=max_bytes)


def decode(message_type: type | None, data: object, where: str = "message") -> Any:
    """The object of ``message_type`` that was stored as ``data``; None for None. Raises InvalidMessage."""
    if message_type is None:
        return None
    if _is_pydantic(message_type):
        return _decode_pydantic(message_type, data, where)
    try:
        return msgspec.convert(data, message_type)
    except msgspec.ValidationError as error:
        raise _told(str(error), where) from error


def json_schema(message_type: type | None) -> dict[str, Any]:
    """The JSON Schema of the stored form of a message type."""
    if message_type is None:
        return {"type": "object", "properties": {}}
    if _is_pydantic(message_type):
        schema: dict[str, Any] = _adapter(message_type).json_schema()
        return schema
    return msgspec.json.schema(message_type, schema_hook=_no_schema)


def type_problem(message_type: type | None) -> str | None:
    """Why objects of this class cannot be messages; None when they can."""
    if message_type is None:
        return None
    if not _is_message_class(message_type):
        return f"is not supported; {_SUPPORTED}"
    try:
        json_schema(message_type)
    except Exception as error:  # noqa: BLE001 - whatever the codec raises means: no
        return f"has a field that cannot be stored: {str(error).splitlines()[0]}"
    return None


# -- values


def encode_value(value: object, where: str, *, max_bytes: int = MAX_MESSAGE_BYTES) -> Any:
    """``value`` as plain JSON: dict, list, str, int, float, bool, None. Raises InvalidMessage.

    Dates, UUIDs, decimals, enums and bytes become strings, sets and tuples lists, typed objects dicts.
    ``where`` is the name the value has in errors.
    """
    try:
        plain = msgspec.to_builtins(value, enc_hook=_simplify)
    except RecursionError:
        raise InvalidMessage(where, TOO_DEEP) from None
    except (TypeError, ValueError) as error:
        raise InvalidMessage(where, f"cannot be stored: {error}") from error
    check_json(plain, where, max_bytes=max_bytes)
    return plain


# -- inside

_SUPPORTED = "a message is a dataclass, a msgspec.Struct, an attrs class or a pydantic model"


def _simplify(value: Any) -> Any:
    """For msgspec: what it does not know by itself, in terms of what it knows."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Mapping):
        return dict(value)
    cls: type = type(value)
    if _is_pydantic(cls):
        return _adapter(cls).dump_python(value, mode="json", by_alias=True, warnings=False)
    return foreign(value)


def _no_schema(cls: Any) -> NoReturn:
    """For msgspec, which would not say which class it has no schema for."""
    raise TypeError(f"it is a {type_name(cls) if isinstance(cls, type) else cls}, which JSON cannot hold")


def _told(text: str, where: str) -> InvalidMessage:
    """Msgspec's sentence, "Expected `int`, got `str` - at `$.a[0]`" or "... - at `key` in `$.a`", as ours."""
    problem, _, place = text.partition(" - at ")
    inside = place.removeprefix("`key` in ")
    path = where + inside.strip("`").removeprefix("$")
    missing = re.fullmatch(r"Object missing required field `(.+)`", problem)
    if missing:
        return InvalidMessage(path + path_step(missing[1]), "is missing")
    what = "is not valid" if inside == place else "has a key that is not valid"
    return InvalidMessage(path, f"{what}: {problem[:1].lower()}{problem[1:]}")


def _is_message_class(cls: type) -> bool:
    known = dataclasses.is_dataclass(cls) or hasattr(cls, "__attrs_attrs__") or _is_pydantic(cls)
    return known or issubclass(cls, msgspec.Struct)


# -- pydantic, when it is installed: a class that has its marks could not exist without it


def _is_pydantic(cls: type) -> bool:
    return hasattr(cls, "__pydantic_validator__")


@cache
def _adapter(cls: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _decode_pydantic(cls: type, data: object, where: str) -> Any:
    from pydantic import ValidationError

    try:
        return _adapter(cls).validate_json(msgspec.json.encode(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = where + "".join(map(path_step, first["loc"]))
        problem = "is missing" if first["type"] == "missing" else f"is not valid: {first['msg']}"
        raise InvalidMessage(path, problem) from error
