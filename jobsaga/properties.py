"""Properties: small named values beside a job, a job type or a worker, found whatever the case of the key.

They carry what is not part of the message itself: a tenant, a region, what a distribution strategy needs to
know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobsaga.exceptions import InvalidMessage


class Properties(Mapping[str, Any]):
    """A mapping that never changes. Keys are compared without case and keep the spelling they were given
    last.

    A value of None is no value: it removes the key.
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._spelled: dict[str, tuple[str, Any]] = {}
        for key, value in (values or {}).items():
            if not isinstance(key, str) or not key:
                raise InvalidMessage(
                    "properties", f"must have names that are strings and not empty, not {key!r}"
                )
            self._spelled.pop(key.casefold(), None)
            if value is not None:
                self._spelled[key.casefold()] = (key, value)

    def merged(self, changes: Mapping[str, Any] | None) -> Properties:
        """These properties with ``changes`` over them. A change to None removes the property."""
        return Properties({**self, **(changes or {})})

    def to_dict(self) -> dict[str, Any]:
        """The properties as a dict, in the spelling they were given: what is stored."""
        return dict(self._spelled.values())

    def __getitem__(self, key: str) -> Any:
        try:
            return self._spelled[key.casefold()][1]
        except (KeyError, AttributeError):
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._spelled.values())

    def __len__(self) -> int:
        return len(self._spelled)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        mine, theirs = self._spelled, Properties(other)._spelled
        return mine.keys() == theirs.keys() and all(mine[key][1] == theirs[key][1] for key in mine)

    def __hash__(self) -> int:
        return hash(frozenset(self._spelled))

    def __repr__(self) -> str:
        return f"Properties({self.to_dict()!r})"
