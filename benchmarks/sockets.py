"""Many pages at once, as far as their sockets go: each notes what it was told of each job, and when."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from bisect import bisect_left
from typing import Any

from websockets.asyncio.client import connect

PATIENCE = 120.0


class Socket:
    """One page: what it was told."""

    def __init__(self) -> None:
        self.told: dict[str, list[tuple[int, float]]] = {}
        #: When it was told that more has happened than can be said: the page reads itself again.
        self.read_again: list[float] = []
        self.doubled = self.reconnects = 0
        self.cursor = 0
        self.is_open = False

    def hear(self, said: dict[str, Any], at: float) -> None:
        """Note it."""
        self.cursor = said.get("cursor", self.cursor)
        if said["t"] == "changed" and "cursor" not in said:
            self.read_again.append(at)
        for job in said.get("jobs", ()):
            seen = self.told.setdefault(job["id"], [])
            if seen and seen[-1][0] >= job["version"]:
                self.doubled += 1
                continue
            seen.append((job["version"], at))

    def first_at(self, job: str, version: int, since: float) -> float | None:
        """When it was first told of this version or a later one, or to read the whole page again since then."""
        seen = self.told.get(job, [])
        place, again = bisect_left(seen, (version, 0.0)), bisect_left(self.read_again, since)
        found = [seen[place][1]] if place < len(seen) else []
        return min([*found, *self.read_again[again : again + 1]], default=None)


class Crowd:
    """All of them, in a thread of their own."""

    def __init__(self, port: int, cookie: str, jobs: list[str], count: int) -> None:
        self.address, self.cookie, self.jobs = f"ws://127.0.0.1:{port}/ws/jobsaga/", cookie, jobs
        self.origin = f"http://127.0.0.1:{port}"
        self.sockets = [Socket() for _ in range(count)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))

    def start(self) -> None:
        """Begin, and wait until all are connected."""
        self._thread.start()
        self.wait_until_back()

    def wait_until_back(self) -> None:
        """Until all are connected."""
        deadline = time.monotonic() + PATIENCE
        while not all(each.is_open for each in self.sockets):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{sum(each.is_open for each in self.sockets)} of {len(self.sockets)} are open"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Hang up."""
        self._stop.set()
        self._thread.join()

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(each) for each in self.sockets))

    async def _one(self, socket: Socket) -> None:
        await asyncio.sleep(random.uniform(0, 4))
        while not self._stop.is_set():
            try:
                await self._while_open(socket)
            except Exception:  # noqa: BLE001 - a page tries again, whatever it was
                socket.reconnects += 1
                socket.is_open = False
                await asyncio.sleep(random.uniform(0.25, 2))  # as live.js does: not all at the same moment

    async def _while_open(self, socket: Socket) -> None:
        headers = {"Cookie": self.cookie}
        async with connect(
            self.address, origin=self.origin, additional_headers=headers, open_timeout=60
        ) as line:  # type: ignore[arg-type]
            await line.send(json.dumps({"watch": self.jobs, "after": socket.cursor}))
            while not self._stop.is_set():
                try:
                    text = await asyncio.wait_for(line.recv(), 0.5)
                except TimeoutError:
                    continue
                said = json.loads(text)
                socket.is_open = socket.is_open or said["t"] == "hello"
                socket.hear(said, time.time())
