"""What happens, told to all who look, in this process: one task follows the history for all of them.

It runs while somebody listens. Each round it asks for new rows of the history, and for the jobs that are being
watched, whose progress is no history. What has changed is put into each listener's queue, which is bounded: whoever
does not keep up is told to read the page again, which is always the truth.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connections

from jobsaga.conf import settings
from jobsaga.live import patches
from jobsaga.live.tail import Tail
from jobsaga.store.django import database_now

logger = logging.getLogger(__name__)

INTERVAL = 0.2
AFTER_ERROR = 2.0
#: Messages that may wait for one listener, and jobs that one may watch.
QUEUE, WATCHED = 50, 200
#: Of so many changed jobs at once it is said only that there are many.
PATCHED = 200
AGAIN: dict[str, Any] = {"t": "changed"}


@dataclass(eq=False)
class Listener:
    """One who looks: what they watch, and what they have not taken yet."""

    watched: frozenset[UUID] = frozenset()
    #: Whether they may be told of jobs that they do not watch.
    sees_everything: bool = False
    queue: asyncio.Queue[dict[str, Any]] = field(default_factory=lambda: asyncio.Queue(QUEUE))

    def tell(self, message: dict[str, Any]) -> None:
        """Put a message into the queue; if that is full, empty it and say only that something has changed."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(AGAIN)


class Encoder:
    """A message as text, made once for all who are told the same."""

    def __init__(self) -> None:
        self._last: deque[tuple[dict[str, Any], str]] = deque(maxlen=8)

    def __call__(self, message: dict[str, Any]) -> str:
        """As JSON."""
        for known, text in self._last:
            if known is message:
                return text
        text = json.dumps(message)
        self._last.append((message, text))
        return text


class Reader:
    """What one round asks of the database. Called in a thread, by one task at a time."""

    def __init__(self, alias: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.tail, self.clock = Tail(alias), clock
        self._seen: dict[UUID, patches.Seen] = {}

    def begin(self) -> int:
        """Start at the newest row; its number."""
        self.tail.begin(self.clock())
        return self.tail.cursor

    def round(self, watched: Collection[UUID]) -> tuple[bool, list[dict[str, Any]]]:
        """Whether anything happened, and the jobs that look different now."""
        happened = self.tail.read(self.clock())
        wanted = {*happened, *watched} if len(happened) <= PATCHED else set(watched)
        jobs = patches.read(self.tail.alias, wanted)
        changed = [job for key, job in jobs.items() if self._seen.get(key) != patches.seen(job)]
        known = [job for job in changed if job.id in self._seen or job.id in happened]
        self._seen = {key: patches.seen(jobs[key]) for key in watched if key in jobs}
        if not known:
            return bool(happened), []
        now = database_now(connections[self.tail.alias])
        return bool(happened), [patches.patch(job, now) for job in known]


class Feed:
    """All who listen in this process, and the task that tells them."""

    def __init__(self, make_reader: Callable[[], Reader] | None = None, interval: float = INTERVAL) -> None:
        self._make_reader = make_reader or (lambda: Reader(settings.DATABASE))
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self.interval = interval
        #: The number of the newest row that was told.
        self.cursor = 0
        #: Until then (of ``time.monotonic``) who joins may not know of a row with a lower number that came late.
        self.late_until = 0.0

    async def join(self, listener: Listener) -> None:
        """Tell *listener* what happens from now on."""
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def leave(self, listener: Listener) -> None:
        """Tell them no more. With the last one the task ends."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        reader, begun = self._make_reader(), False
        while self._listeners:
            try:
                if not begun:
                    self.cursor = await _in_thread(reader.begin)
                    begun = True
                    self._tell(AGAIN)  # what came while nobody followed
                watched = frozenset().union(*(each.watched for each in self._listeners))
                happened, changed = await _in_thread(reader.round, watched)
                self.cursor, self.late_until = reader.tail.cursor, reader.tail.late_until
                if changed:
                    self._tell_of(changed)
                if happened:
                    self._tell({**AGAIN, "cursor": self.cursor})
            except Exception:
                logger.exception("The history cannot be followed at the moment")
                begun = False
                await asyncio.sleep(AFTER_ERROR)
            await asyncio.sleep(self.interval)

    def _tell_of(self, changed: list[dict[str, Any]]) -> None:
        """What looks different now, to each who may see it: the same message to all who see everything."""
        whole = {"t": "patch", "jobs": changed}
        for listener in self._listeners:
            if listener.sees_everything:
                listener.tell(whole)
                continue
            known = {str(job_id) for job_id in listener.watched}
            if seen := [job for job in changed if job["id"] in known]:
                listener.tell({"t": "patch", "jobs": seen})

    def _tell(self, message: dict[str, Any]) -> None:
        for listener in self._listeners:
            listener.tell(message)


async def _in_thread(call: Callable[..., Any], *args: Any) -> Any:
    def run() -> Any:
        close_old_connections()
        try:
            return call(*args)
        finally:
            close_old_connections()

    return await sync_to_async(run)()


feed = Feed()
encoded = Encoder()
