"""Messages of more than one release: a message class may have a version, and say how an older one becomes it.

    @dataclass
    class ConvertVideo:
        version: ClassVar[int] = 2
        path: str
        height: int                                     # new in version 2

        @classmethod
        def upgrade(cls, data: dict, version: int) -> dict:
            return {**data, "height": 720}

A job keeps the version it was submitted with. Without ``upgrade`` an older message is read as it is, which is
enough for a new field with a default.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from jobsaga.exceptions import InvalidMessage


def version_of(message_type: type | None) -> int:
    """The version of a message class: its class variable ``version``, or 1. A *field* of that name is the user's."""
    version = getattr(message_type, "version", 1)
    if message_type is None or "version" in _fields(message_type):
        return 1
    return version if isinstance(version, int) and not isinstance(version, bool) else 1


def version_problem(message_type: type | None) -> str | None:
    """What is wrong with the version of a message class; None if nothing is."""
    if message_type is None or "version" in _fields(message_type):
        return None
    version = getattr(message_type, "version", 1)
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < 2**31:
        return f"has the version {version!r}; it must be a whole number from 1 on"
    return None


def upgraded(message_type: type | None, data: Any, version: int) -> Any:
    """*data*, which was stored by this version, as the class reads it now. Raises InvalidMessage; what ``upgrade``
    raises.
    """
    known = version_of(message_type)
    if version == known or message_type is None:
        return data
    if version > known:
        raise InvalidMessage(
            "message", f"has version {version}, but this release reads version {known} at most"
        )
    upgrade = getattr(message_type, "upgrade", None)
    if upgrade is None:
        return data
    data = upgrade(data, version)
    if not isinstance(data, dict):
        raise InvalidMessage(
            "message", f"was upgraded to a {type(data).__name__}; upgrade() must return the dict"
        )
    return data


def _fields(message_type: type) -> set[str]:
    """The names of its fields, whatever kind of class it is."""
    if dataclasses.is_dataclass(message_type):
        return {field.name for field in dataclasses.fields(message_type)}
    if issubclass(message_type, msgspec.Struct):
        return set(message_type.__struct_fields__)
    attrs = getattr(message_type, "__attrs_attrs__", None)
    if attrs is not None:
        return {field.name for field in attrs}
    return set(getattr(message_type, "model_fields", ()))
