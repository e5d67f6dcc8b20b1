"""The concurrency key of a job: what its type's option makes of the message, at submission."""

from __future__ import annotations

from typing import Any

from jobsaga.consumers import JobConsumerDefinition
from jobsaga.exceptions import InvalidMessage
from jobsaga.payload import check_json, decode

WHERE = "concurrency_key"
LENGTH = 200


def concurrency_key(definition: JobConsumerDefinition, message: Any, content: dict[str, Any]) -> str:
    """The key, without spaces around it; "" for none. *message* is the object, or None where there is only its
    *content*. Raises InvalidMessage.
    """
    find = definition.options.concurrency_key
    if find is None:
        return ""
    if message is None:
        message = decode(definition.message_type, content)
    try:
        key = find(message)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise InvalidMessage(
            WHERE, f"cannot be found: the option's function of {definition.type_name} raised {what}"
        ) from error
    return _checked(key, definition.type_name)


def _checked(key: object, type_name: str) -> str:
    if key is None:
        return ""
    if not isinstance(key, str):
        raise InvalidMessage(WHERE, f"of {type_name} must be a string or None, not {key!r}: make it str(...)")
    check_json(key, WHERE)
    key = key.strip()
    if len(key) > LENGTH:
        raise InvalidMessage(WHERE, f"of {type_name} is longer than {LENGTH} characters: {key[:20]!r}...")
    return key
