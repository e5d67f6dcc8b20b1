"""The title of a job: what its consumer calls it, at submission, for those who look at lists.

It is there to be read and for nothing else, so a title that cannot be made leaves the job without one, and is said
in the log: no job is refused for it.
"""

from __future__ import annotations

import logging
from typing import Any

from jobsaga.consumers import JobConsumerDefinition
from jobsaga.payload import decode, safe_text

logger = logging.getLogger("jobsaga")

LENGTH = 200


def title_of(definition: JobConsumerDefinition, message: Any, content: dict[str, Any]) -> str:
    """One line of at most 200 characters; "" if the consumer has no ``title``, or none for this message.

    *message* is the object, or None where there is only its *content*.
    """
    if definition.title is None:
        return ""
    try:
        if message is None:
            message = decode(definition.message_type, content)
        found = definition.title(message)
        if not isinstance(found, str):
            raise TypeError(f"it must be a string, not {found!r}"[:LENGTH])
    except Exception as error:  # noqa: BLE001 - it is the site's code, and the job is more than its name
        logger.warning("A job of %s has no title: %s: %s", definition.type_name, type(error).__name__, error)
        return ""
    line = " ".join(safe_text(found[: 10 * LENGTH]).split())
    return line if len(line) <= LENGTH else f"{line[: LENGTH - 1]}…"
