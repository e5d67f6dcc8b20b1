"""What must be true when the story is over. Each check looks at the rows and the disk, not at what was said."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

from dashboard import packing, video
from dashboard.demo.cast import Cast, worker_name
from dashboard.demo.story import Story
from dashboard.jobs.run_job import STEPS

RECOVERY_LIMIT = timedelta(seconds=20)
QUICK_LIMIT = timedelta(seconds=5)  # they need 0.5 s of work; a busy machine is no failure

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Check:
    """One claim, and whether it holds."""

    holds: bool
    claim: str


def checks(story: Story) -> Iterator[Check]:
    """All claims, in the order of the story."""
    yield from quick_jobs(story.cast)
    yield from cancellation(story)
    yield from recovery(story)
    yield from archive(story)
    yield from others(story.cast)


def quick_jobs(cast: Cast) -> Iterator[Check]:
    spans = spans_of(cast, cast.quick)
    took = spans[-1][1] - spans[0][0]
    gap = max(later[0] - earlier[1] for earlier, later in pairwise(spans))
    all_completed = all(cast.state(job_id) == "Completed" for job_id in cast.quick)
    yield Check(
        all_completed and took < QUICK_LIMIT, f"Ten quick jobs in {_s(took)} (less than {_s(QUICK_LIMIT)})"
    )
    yield Check(
        is_serial(spans), f"One after the other, the longest gap {gap / timedelta(milliseconds=1):.0f} ms"
    )


def cancellation(story: Story) -> Iterator[Check]:
    cast = story.cast
    yield Check(cast.state(cast.canceled) == "Canceled", "The unwanted conversion ended in Canceled")
    yield Check(not story.ffmpeg_left, f"Its ffmpeg, process {story.ffmpeg}, ended with it")
    left = [path.name for path in cast.directory.glob("canceled.mp4*")]
    yield Check(not left, "It left no half film" + "".join(f", but {name}" for name in left))


def recovery(story: Story) -> Iterator[Check]:
    cast, kill = story.cast, story.kill
    assert kill
    workers = [worker_name(attempt, story.names) for attempt in cast.attempts(cast.pack)]
    after = story.recovered_at() - kill.at
    yield Check(
        not kill.left, f"Nothing was left of worker {kill.worker} and its {kill.processes - 1} processes"
    )
    yield Check(
        len(workers) == 2 and workers[0] == kill.worker != workers[1],
        f"The pack began on worker {workers[0]} and was finished on worker {workers[-1]}",
    )
    yield Check(
        after < RECOVERY_LIMIT, f"It was taken over after {_s(after)} (less than {_s(RECOVERY_LIMIT)})"
    )


def archive(story: Story) -> Iterator[Check]:
    cast, kill = story.cast, story.kill
    assert kill
    target = cast.directory / "pack"
    files = sum(1 for _ in packing.read_ledger(target))
    twice, after = packed_twice(target), files - kill.packed
    yield Check(
        twice == 0 and kill.packed > 0 and after > 0,
        f"{kill.packed:,} files were packed before the kill, {after:,} after it, {twice} twice",
    )
    yield Check(
        cast.state(cast.pack) == "Completed" and is_verified(target, files),
        f"Read back, the archive has {files:,} files with the right sums",
    )


def others(cast: Cast) -> Iterator[Check]:
    original, converted = video.duration(cast.film), video.duration(cast.directory / "converted.mp4")
    yield Check(
        cast.state(cast.convert) == "Completed" and math.isclose(original or 0, converted or 0, abs_tol=0.5),
        f"The converted film is as long as the original: {converted} s",
    )
    outcomes = [attempt.outcome for attempt in cast.attempts(cast.service)]
    yield Check(
        outcomes == ["Faulted", "Faulted", "Completed"] and cast.state(cast.service) == "Completed",
        f"The service was called until it answered: {', '.join(outcomes)}",
    )
    steps = [{line.status for line in cast.log_lines(job_id)} for job_id in cast.run_jobs]
    all_steps = {f"Step {number}" for number in range(1, STEPS + 1)}
    all_completed = all(cast.state(job_id) == "Completed" for job_id in cast.run_jobs)
    yield Check(
        all_completed and all(logged == all_steps for logged in steps), "Both run jobs logged all ten steps"
    )
    yield Check(
        is_serial(spans_of(cast, cast.run_jobs)), "They never ran at the same time, on whichever worker"
    )


def packed_twice(target: Path) -> int:
    """How often a file was done that was done already."""
    paths = [entry.path for entry, _ in packing.read_ledger(target)]
    return len(paths) - len(set(paths))


def is_verified(target: Path, files: int) -> bool:
    """Whether the archive holds so many files, all as the manifest says."""
    try:
        return packing.verify(target) == files
    except (packing.PackError, OSError):
        return False


def spans_of(cast: Cast, ids: list[UUID]) -> list[Span]:
    """When each attempt of these jobs ran, from first to last."""
    attempts = (attempt for job_id in ids for attempt in cast.attempts(job_id))
    ran = ((attempt.started_at, attempt.ended_at) for attempt in attempts)
    return sorted((started, ended) for started, ended in ran if started and ended)


def is_serial(spans: list[Span]) -> bool:
    """Whether none began before the one before it had ended."""
    return all(earlier[1] <= later[0] for earlier, later in pairwise(spans))


def _s(time: timedelta) -> str:
    return f"{time.total_seconds():.1f} s"
