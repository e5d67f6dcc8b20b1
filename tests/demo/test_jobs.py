"""The demo jobs themselves, run without a worker on a context that writes down what they do."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest

from dashboard import packing, video
from jobsaga import JobCancellation
from jobsaga.consumers import consumers


@pytest.fixture(scope="module")
def jobs() -> Iterator[ModuleType]:
    """The demo jobs; this site does not have their app, so its registry forgets them again."""
    with consumers.temporary():
        yield import_module("dashboard.jobs")


class Token:
    def __init__(self, waits: list[float]) -> None:
        self.waits = waits

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return False


@dataclass
class Context:
    """Stands in for a JobContext. `cancel` is raised at the given look for a cancellation."""

    job: Any
    saved: Any = None
    retry_attempt: int = 0
    cancel: JobCancellation | None = None
    cancel_at_look: int = 1
    job_id: UUID = field(default_factory=uuid4)
    attempt_id: UUID = field(default_factory=uuid4)
    lines: list[tuple[str, str]] = field(default_factory=list)
    progress: list[tuple[int, int | None]] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    looks: int = 0

    @property
    def cancellation_token(self) -> Token:
        return Token(self.waits)

    def log(self, message: str, *, status: str = "", **data: Any) -> None:
        self.lines.append((status, message))

    def set_job_progress(self, value: int, limit: int | None = None, message: str = "") -> None:
        self.progress.append((value, limit))

    def save_job_state(self, state: Any) -> None:
        self.states.append(state if isinstance(state, packing.Checkpoint) else list(state))

    def try_get_job_state(self, _type: Callable[..., Any] | None = None) -> Any:
        return self.saved

    def raise_if_cancellation_requested(self) -> None:
        self.looks += 1
        if self.cancel and self.looks >= self.cancel_at_look:
            raise self.cancel


# -- RunJob ------------------------------------------------------------------------------------------


def test_run_job_logs_ten_steps(jobs: ModuleType) -> None:
    context = Context(jobs.RunJob("nightly", parameters={"step_seconds": 0.5}))
    assert jobs.RunJobConsumer().run(context)["job_name"] == "nightly"
    assert context.lines == [(f"Step {n}", f"Completed step {n}.") for n in range(1, 11)]
    assert context.progress == [(n, 10) for n in range(1, 11)]
    assert context.waits == [0.5] * 10


def test_run_job_takes_five_seconds_a_step_unless_told_otherwise(jobs: ModuleType) -> None:
    context = Context(jobs.RunJob("nightly"))
    jobs.RunJobConsumer().run(context)
    assert context.waits == [5.0] * 10


def test_run_job_goes_on_after_its_last_finished_step(jobs: ModuleType) -> None:
    first = Context(jobs.RunJob("nightly"), cancel=JobCancellation(kind="shutdown"), cancel_at_look=4)
    with pytest.raises(JobCancellation):
        jobs.RunJobConsumer().run(first)
    second = Context(first.job, saved=first.states[-1])
    jobs.RunJobConsumer().run(second)
    statuses = [status for status, _ in first.lines + second.lines]
    assert statuses == [f"Step {n}" for n in range(1, 11)]


def test_run_job_notes_that_it_was_cancelled(jobs: ModuleType) -> None:
    context = Context(jobs.RunJob("nightly"), cancel=JobCancellation(kind="user"), cancel_at_look=3)
    with pytest.raises(JobCancellation):
        jobs.RunJobConsumer().run(context)
    assert context.lines[-1] == ("Cancelled", "Job cancelled.")


def test_run_job_reads_its_input_file_in_tenths(jobs: ModuleType, tmp_path: Path) -> None:
    content = os.urandom(1003)
    (tmp_path / "input").write_bytes(content)
    context = Context(jobs.RunJob("sums", input_file_path=str(tmp_path / "input")))
    digests = jobs.RunJobConsumer().run(context)["digests"]
    cuts = [1003 * n // 10 for n in range(11)]
    tenths = [content[start:end] for start, end in pairwise(cuts)]
    assert b"".join(tenths) == content
    assert digests == [hashlib.sha256(tenth).hexdigest() for tenth in tenths]


def test_run_job_is_one_at_a_time_on_all_workers(jobs: ModuleType) -> None:
    assert jobs.RunJobConsumer.options.global_concurrent_job_limit == 1


# -- PackDirectory -----------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(120):
        path = tmp_path / "tree" / f"{number % 7}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(50))
    return tmp_path / "tree"


def test_a_pack_goes_on_from_the_saved_state_of_the_attempt_before(
    jobs: ModuleType, tree: Path, tmp_path: Path
) -> None:
    job = jobs.PackDirectory(str(tree), str(tmp_path / "target"))
    first = Context(job, cancel=JobCancellation(kind="shutdown"), cancel_at_look=61)
    with pytest.raises(JobCancellation):
        jobs.PackDirectoryConsumer().run(first)
    assert [state.files for state in first.states] == [0, 50]

    second = Context(job, saved=first.states[-1])
    assert jobs.PackDirectoryConsumer().run(second) == {
        "target": str(tmp_path / "target"),
        "files": 120,
        "bytes": 6000,
    }
    assert second.lines == [("Packing", "60 of 120 files are done already")]
    assert second.progress[0] == (61, 120)
    packed = [entry.path for entry, _ in packing.read_ledger(tmp_path / "target")]
    assert len(packed) == len(set(packed)) == 120
    assert packing.verify(tmp_path / "target") == 120


# -- ConvertVideo ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "sample.mp4"
    with video.render_sample(path, seconds=2) as rendering:
        assert [*rendering.progress()]
    return path


def test_a_film_is_converted_with_progress(jobs: ModuleType, film: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.mp4"
    context = Context(jobs.ConvertVideo(str(film), str(target), height=120, preset="ultrafast", threads=1))
    result = jobs.ConvertVideoConsumer().run(context)
    assert result == {"target": str(target), "frames": 60, "bytes": target.stat().st_size}
    value, limit = context.progress[-1]
    assert value == pytest.approx(2000, abs=100)
    assert limit == pytest.approx(2000, abs=100)
    assert [path.name for path in tmp_path.iterdir()] == ["small.mp4"]


def test_a_canceled_conversion_leaves_nothing(jobs: ModuleType, film: Path, tmp_path: Path) -> None:
    job = jobs.ConvertVideo(str(film), str(tmp_path / "small.mp4"), height=120)
    context = Context(job, cancel=JobCancellation())
    killed = tmp_path / f"small.mp4.{context.job_id}.{uuid4()}.part"
    killed.write_text("what a killed attempt left")
    with pytest.raises(JobCancellation):
        jobs.ConvertVideoConsumer().run(context)
    assert list(tmp_path.iterdir()) == []


# -- the small ones ----------------------------------------------------------------------------------


def test_the_service_answers_at_the_third_call(jobs: ModuleType) -> None:
    for attempt in range(2):
        with pytest.raises(ConnectionError, match=f"call {attempt + 1}: the service does not answer"):
            jobs.call_service(Context(jobs.CallService(), retry_attempt=attempt))
    assert jobs.call_service(Context(jobs.CallService(), retry_attempt=2)) == "answered at call 3"
