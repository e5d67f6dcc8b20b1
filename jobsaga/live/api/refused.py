"""What the API refuses, and why."""

from __future__ import annotations


class Refused(Exception):
    """A request that cannot be answered: a status, a short word for machines, a sentence for people."""

    def __init__(self, status: int, error: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.error, self.detail = status, error, detail
