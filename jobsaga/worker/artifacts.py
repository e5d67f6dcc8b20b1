"""References to what a job leaves behind, as they are stored: a URL, or a path in a storage of the site."""

from __future__ import annotations

import re
from typing import Any

from jobsaga.exceptions import InvalidMessage

NAME_LENGTH, REFERENCE_LENGTH = 200, 2000
#: How many an attempt may leave: each is a row of the history.
ARTIFACTS = 1000
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def reference_to(artifact: object) -> dict[str, Any]:
    """The reference to store for a URL, a path in the default storage, or a file of a model. Raises InvalidMessage."""
    if isinstance(artifact, str):
        _check(artifact)
        if _URL.match(artifact) or artifact.startswith("/"):
            return {"url": artifact}
        return {"storage": "default", "path": artifact}
    name, storage = getattr(artifact, "name", None), getattr(artifact, "storage", None)
    if not isinstance(name, str) or storage is None:
        kind = type(artifact).__name__
        raise InvalidMessage(
            "artifact",
            f"is a {kind}; say where it is: a URL, a path in your default storage, or a FileField's value",
        )
    _check(name)
    return {"storage": _alias_of(storage), "path": name}


def _check(text: str) -> None:
    if not text or len(text) > REFERENCE_LENGTH:
        raise InvalidMessage("artifact", f"must have 1 to {REFERENCE_LENGTH} characters, not {len(text)}")


def _alias_of(storage: Any) -> str:
    """The alias of a storage in STORAGES; its class, if it is none of those."""
    from django.core.files.storage import storages

    real = getattr(storage, "_wrapped", storage)
    for alias in storages.backends:
        if storages[alias] is real or storages[alias] == real:
            return str(alias)
    return f"{type(real).__module__}.{type(real).__qualname__}"
