"""What happens in the demo, in order. Nothing here decides how a job goes: it submits, looks, cancels, and kills."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from dashboard.demo.cast import Cast, worker_name
from dashboard.demo.screen import Screen
from dashboard.demo.workers import Worker, wait_until_gone
from dashboard.packing import read_ledger
from jobsaga import cancel_job
from jobsaga.models import JobInstance
from jobsaga.models.workers import InstanceState

T = TypeVar("T")

POLL = 0.2  # seconds between two looks
PATIENCE = 120.0  # seconds for one thing to happen: ample, for only a demo that fails waits so long
KILL_AT = 0.4  # of the pack


class DemoError(Exception):
    """The story can't go on; the text says what did not happen."""


@dataclass(frozen=True)
class Kill:
    """The kill -9: of whom, when, which of its processes were still there afterwards, how much was packed."""

    worker: str
    at: datetime
    processes: int
    left: set[int]
    packed: int


@dataclass
class Story:
    """The story so far."""

    screen: Screen
    cast: Cast
    workers: list[Worker]
    patience: float | None = PATIENCE
    kill: Kill | None = None
    ffmpeg: int | None = None
    ffmpeg_left: set[int] = field(default_factory=set)

    def tell(self) -> None:
        self.quick_jobs()
        self.cast.submit_long_jobs()
        self.screen.say(
            "Two films to convert, a library to pack, a service to call, a job of ten steps, twice."
        )
        self.cancel_a_conversion()
        self.until("the run jobs are over", lambda: all(map(self.cast.is_over, self.cast.run_jobs)))
        self.kill_the_packing_worker()
        self.until("every job is over", lambda: all(map(self.cast.is_over, self.cast.ids)), self.patience)

    def quick_jobs(self) -> None:
        self.until("the workers are ready", self._all_ready)
        self.screen.say("Ten quick jobs of 50 ms; of their type one runs at a time.")
        self.cast.submit_quick_jobs()
        self.until("the quick jobs are over", lambda: all(map(self.cast.is_over, self.cast.quick)))

    def cancel_a_conversion(self) -> None:
        self.ffmpeg = self.until("ffmpeg converts the unwanted film", self._unwanted_ffmpeg)
        self.screen.say(
            f"Nobody wants the other film (ffmpeg, process {self.ffmpeg}): cancel.", "bold yellow"
        )
        assert self.cast.canceled
        cancel_job(self.cast.canceled, reason="nobody wants it")
        self.until("the conversion is canceled", lambda: self.cast.is_over(self.cast.canceled))
        self.ffmpeg_left = wait_until_gone([self.ffmpeg], timeout=1)
        ended = "still runs" if self.ffmpeg_left else "has ended"
        self.screen.say(f"Canceled, and process {self.ffmpeg} {ended}.")

    def kill_the_packing_worker(self) -> None:
        victim = self.until("the pack is well on its way", self._packing_worker)
        self.screen.say(f"Worker {victim.name} packs: kill -9!", "bold red")
        at, below = datetime.now(UTC), victim.kill()
        left = wait_until_gone(below, timeout=5)
        packed = sum(1 for _ in read_ledger(self.cast.directory / "pack"))
        self.kill = Kill(victim.name, at, len(below) + 1, left, packed)
        self.screen.say(f"It is gone, with {len(below)} processes below it. {packed:,} files are packed.")
        self.until("another worker goes on with the pack", self._second_attempt)
        after = (self.recovered_at() - at).total_seconds()
        self.screen.say(f"Taken over after {after:.1f} s; it goes on after file {packed:,}.", "bold green")

    def recovered_at(self) -> datetime:
        started = self.cast.attempts(self.cast.pack)[1].started_at
        assert started
        return started

    def until(self, what: str, happened: Callable[[], T | None], patience: float | None = PATIENCE) -> T:
        """Look again and again until `happened` gives something true; show what there is meanwhile."""
        began = time.monotonic()
        while True:
            waited = time.monotonic() - began
            self.cast.refresh()
            self.screen.show(self.cast.rows(self.names), f"waiting until {what} ({waited:.0f} s)")
            if found := happened():
                return found
            self._expect_workers()
            if patience and waited > patience:
                raise DemoError(f"waited {patience:.0f} s in vain until {what}")
            time.sleep(POLL)

    @property
    def names(self) -> dict[int, str]:
        return {worker.pid: worker.name for worker in self.workers}

    def _all_ready(self) -> bool:
        ready = JobInstance.objects.filter(pid__in=self.names, state=InstanceState.RUNNING)
        return ready.count() == len(self.workers)

    def _expect_workers(self) -> None:
        killed = self.kill.worker if self.kill else None
        for worker in self.workers:
            if not worker.is_running and worker.name != killed:
                raise DemoError(f"worker {worker.name} has ended by itself:\n{worker.last_words()}")

    def _unwanted_ffmpeg(self) -> int | None:
        if not self.cast.job(self.cast.canceled).progress_value:
            return None
        pids = [line.data["pid"] for line in self.cast.log_lines(self.cast.canceled) if line.data]
        return pids[-1] if pids else None

    def _packing_worker(self) -> Worker | None:
        job = self.cast.job(self.cast.pack)
        if self.cast.is_over(self.cast.pack):
            raise DemoError("the pack was over before its worker could be killed")
        if not job.progress_limit or (job.progress_value or 0) < KILL_AT * job.progress_limit:
            return None
        name = worker_name(self.cast.attempts(self.cast.pack)[-1], self.names)
        return next(worker for worker in self.workers if worker.name == name)

    def _second_attempt(self) -> bool:
        attempts = self.cast.attempts(self.cast.pack)
        return len(attempts) > 1 and attempts[1].started_at is not None
