"""What was delivered at one endpoint and is not acknowledged yet, in the order in which it came.

What must wait is held here and never given back to the broker, which would give it to someone at once and count
that against it. Everything below the oldest that is still held is acknowledged with one word, and what was
handled above it one by one, so that a message that waits keeps no place but its own.

The connection's thread puts in, the engine's or the receiver's thread takes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple


class Token(NamedTuple):
    """Which delivery it is: the life of the channel it came by, and its number there. Our own have life 0."""

    life: int
    tag: int


class Ack(NamedTuple):
    """A word to the broker: this one was handled, or, if ``multiple``, all up to this one were."""

    tag: int
    multiple: bool


@dataclass(slots=True)
class Held:
    """A delivery as it came, with the broker's headers."""

    body: bytes
    headers: dict[str, Any]
    visible_at: datetime | None = None
    tries: int = 0


class Inbox:
    """What is held of one endpoint. ``arrived`` counts what the broker has delivered."""

    def __init__(self, endpoint: str, wake: Callable[[], None] = lambda: None) -> None:
        self.endpoint, self.arrived, self.life = endpoint, 0, 0
        self.wake, self._lock = wake, Lock()
        self._held: dict[Token, Held] = {}
        self._own = 0

    def __len__(self) -> int:
        return len(self._held)

    def begin(self) -> int:
        """A new channel: what came by the last one comes again, so it is forgotten here. The new life's number."""
        with self._lock:
            self.life += 1
            self._held = {token: held for token, held in self._held.items() if not token.life}
            return self.life

    def put(self, life: int, tag: int, body: bytes, headers: dict[str, Any] | None = None) -> None:
        """The broker has delivered this."""
        with self._lock:
            if life == self.life:
                self._held[Token(life, tag)] = Held(body, headers or {})
                self.arrived += 1
        self.wake()

    def put_own(self, body: bytes) -> None:
        """Something that came by no broker."""
        with self._lock:
            self._own += 1
            self._held[Token(0, self._own)] = Held(body, {})
        self.wake()

    def visible(self, now: datetime, limit: int) -> list[tuple[Token, Held]]:
        """The oldest that need not wait; at most *limit*."""
        found: list[tuple[Token, Held]] = []
        with self._lock:
            for token, held in self._held.items():
                if len(found) >= limit:
                    break
                if held.visible_at is None or held.visible_at <= now:
                    found.append((token, held))
        return found

    def defer(self, token: Token, until: datetime) -> None:
        """It comes again at that time."""
        with self._lock:
            held = self._held.get(token)
            if held is not None:
                held.visible_at, held.tries = until, held.tries + 1

    def done(self, tokens: Iterable[Token]) -> tuple[int, list[Ack]]:
        """They were handled. What the broker is to be told, on the channel of which life."""
        with self._lock:
            known = [token for token in tokens if self._held.pop(token, None) is not None]
            tags = sorted(token.tag for token in known if token.life == self.life)
            oldest = next((token.tag for token in self._held if token.life), None)
            below = [tag for tag in tags if oldest is None or tag < oldest]
            acks = [Ack(below[-1], multiple=True)] if below else []
            acks += [Ack(tag, multiple=False) for tag in tags[len(below) :]]
            return self.life, acks
