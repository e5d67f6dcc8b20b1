"""``jobsaga watch``, and ``submit --wait``. Between two looks the test lets something happen; nobody waits."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from uuid import UUID

import pytest
from rich.console import Console

from jobsaga.client import JobState
from jobsaga.ids import uuid7
from jobsaga.management.cli import screen, watch
from jobsaga.messages import FinalizeJob, StartJob
from tests.cli.conftest import Jobsaga, call
from tests.engine.workers import ScriptedWorker
from tests.engine.world import World

pytestmark = pytest.mark.django_db

Between = Callable[[Iterator[object]], None]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Between:
    """What happens between the looks: a generator, which is advanced by one step each time."""

    def between(steps: Iterator[object]) -> None:
        def pause(seconds: float) -> None:
            next(steps, None)

        # Only its own pauses: threads of a transport sleep too.
        monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))

    return between


class Story:
    """A job with a worker that does one thing after the other."""

    def __init__(self, world: World) -> None:
        self.world, self.job_id = world, world.submit(message={"path": "a.mp4"})
        self.worker: ScriptedWorker = world.worker()
        (self.start,) = self.worker.receive()

    def goes_well(self) -> Iterator[None]:
        self.worker.started(self.start)
        yield self.world.lap()
        self.worker.progress(self.start, 3, limit=12, message="frame 3")
        yield self.world.lap()
        self.worker.complete(self.start, {"size": 12})
        yield self.world.lap()

    def fails_twice(self) -> Iterator[None]:
        start: StartJob = self.start
        for delay in (0, None):
            self.worker.started(start)
            yield self.world.lap()
            self.worker.fault(start, "no such codec", retry_delay=delay)
            yield self.world.lap()
            if delay == 0:
                (start,) = self.worker.receive()


def test_until_it_has_completed(jobsaga: Jobsaga, world: World, between: Between) -> None:
    story = Story(world)
    between(story.goes_well())
    said = jobsaga("watch", story.job_id.hex[-8:])
    assert said.out.splitlines() == ["StartingJobAttempt", "Started", "Completed after 1.0 s", '{"size": 12}']
    assert said.code == 0


def test_until_it_has_faulted(jobsaga: Jobsaga, world: World, between: Between) -> None:
    story = Story(world)
    between(story.fails_twice())
    said = jobsaga("watch", story.job_id)
    assert said.out.splitlines() == [
        "StartingJobAttempt",
        "Started",
        "StartingJobAttempt (retry 1)",
        "Started (retry 1)",
        "Faulted after 1.0 s: ValueError: no such codec",
    ]
    assert said.code == 1


def test_one_that_is_canceled(jobsaga: Jobsaga, world: World) -> None:
    job_id = world.submit()
    call("cancel", job_id, "--reason", "wrong file")
    said = jobsaga("watch", job_id)
    assert (said.code, said.out) == (1, "Canceled: wrong file\n")


def test_json_has_a_line_for_each_change(jobsaga: Jobsaga, world: World, between: Between) -> None:
    story = Story(world)

    def happens() -> Iterator[None]:
        yield  # nothing: no line either
        yield from story.goes_well()

    between(happens())
    said = jobsaga("watch", story.job_id, "--json")
    seen = [(each["current_state"], each["progress_value"]) for each in said.json_lines]
    assert seen == [
        ("StartingJobAttempt", None), ("Started", None), ("Started", 3.0), ("Completed", 3.0)
    ]  # fmt: skip
    assert said.json_lines[-1]["result"] == {"size": 12}


def test_plain_lines_say_the_progress_now_and_then(
    jobsaga: Jobsaga, world: World, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world)
    between(story.goes_well())
    monkeypatch.setattr(screen, "LINE_EVERY", 0.0)
    assert "Started  25%  frame 3" in jobsaga("watch", story.job_id).out.splitlines()


def test_it_gives_up_in_the_end(jobsaga: Jobsaga, world: World) -> None:
    job_id = world.submit()
    said = jobsaga("watch", job_id, "--timeout", "0")
    assert said.code == 1
    assert said.err == "The job is still WaitingForSlot after 0 s. It goes on."


def test_ctrl_c(jobsaga: Jobsaga, world: World, between: Between) -> None:
    job_id = world.submit()

    def interrupted() -> Iterator[None]:
        raise KeyboardInterrupt
        yield

    between(interrupted())
    assert jobsaga("watch", job_id).code == 130
    assert world.state(job_id) == "WaitingForSlot"


def test_a_job_that_is_not_there(jobsaga: Jobsaga) -> None:
    said = jobsaga("watch", uuid7())
    assert (said.code, said.out) == (1, "")
    assert "There is no job" in said.err


@pytest.mark.parametrize(("fault", "line", "code"), [(False, "Completed\n", 0), (True, "Faulted\n", 1)])
def test_how_a_job_ended_that_is_gone(
    jobsaga: Jobsaga, world: World, *, fault: bool, line: str, code: int
) -> None:
    story = Story(world)
    story.worker.fault(story.start) if fault else story.worker.complete(story.start)
    world.lap()
    world.command(FinalizeJob(job_id=story.job_id))
    said = jobsaga("watch", story.job_id)
    assert (said.code, said.out) == (code, line)


def test_a_job_that_is_removed_when_it_completes(world: World, jobsaga: Jobsaga, between: Between) -> None:
    from jobsaga.engine.options import EngineOptions

    removing = World(world.place, options=EngineOptions(finalize_completed=True))
    story = Story(removing)
    between(story.goes_well())
    said = jobsaga("watch", story.job_id)
    assert not removing.exists(story.job_id)
    assert (said.code, said.out.splitlines()[-1]) == (0, "Completed")


def test_submit_and_wait(jobsaga: Jobsaga, world: World, between: Between) -> None:
    worker = world.worker(types=["jobsapp.ActInProcess"])

    def happens() -> Iterator[object]:
        yield world.lap()
        (start,) = worker.receive()
        worker.complete(start, 7)
        yield world.lap()

    between(happens())
    said = jobsaga("submit", "jobsapp.ActInProcess", '{"what": "give"}', "--wait")
    job_id, *lines = said.out.splitlines()
    assert world.state(UUID(job_id)) == "Completed"
    assert lines[-2:] == ["Completed after 1.0 s", "7"]
    assert said.code == 0


def test_the_bar_of_a_terminal() -> None:
    picture = io.StringIO()
    console = Console(file=picture, force_terminal=True, width=100, color_system=None)
    bar = screen.BarScreen(output=None, console=console)  # type: ignore[arg-type]
    state = {"job_id": uuid7(), "current_state": "Started", "progress_value": 3.0, "progress_limit": 12.0}
    with bar.progress:
        bar.show(JobState(**state, progress_message="[bold]frame\x1b[2J 3"))
        bar.progress.refresh()
    shown = picture.getvalue().split("\r")[-1]
    assert "Started" in shown
    assert "25%" in shown
    assert "[bold]frame\N{REPLACEMENT CHARACTER}[2J 3" in shown


def test_a_bar_without_a_limit() -> None:
    picture = io.StringIO()
    console = Console(file=picture, force_terminal=True, width=100, color_system=None)
    bar = screen.BarScreen(output=None, console=console)  # type: ignore[arg-type]
    with bar.progress:
        bar.show(JobState(job_id=uuid7(), current_state="Started", progress_value=1234567.0))
        bar.progress.refresh()
    assert "1,234,567" in picture.getvalue()
