"""What ``watch`` looks like: a bar in a terminal that has rich, plain lines elsewhere, JSON for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from jobsaga.client import JobState
from jobsaga.clock import SystemClock
from jobsaga.management.cli.jobs import pace, progress
from jobsaga.management.cli.output import Output, compact, printable, span
from jobsaga.sagas.states import ENDED_JOB_STATES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

ENDS = {state.label for state in ENDED_JOB_STATES}
#: Seconds between two lines of progress, in plain text.
LINE_EVERY = 5.0


class Screen(Protocol):
    """Shows a job again and again."""

    def show(self, state: JobState) -> None:
        """The job as it is now."""

    def end(self, state: JobState) -> None:
        """The job as it was last seen, after the last ``show``."""


@contextmanager
def screen(output: Output) -> Iterator[Screen]:
    """The screen that fits where the answer goes."""
    if output.as_json:
        yield JsonScreen(output)
    elif output.stdout.isatty() and find_spec("rich"):
        from rich.console import Console

        bar = BarScreen(output, Console())
        with bar.progress:
            yield bar
    else:
        yield LineScreen(output)


class JsonScreen:
    """A line for each change."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self._last: JobState | None = None

    def show(self, state: JobState) -> None:
        """Print it if it is another than before."""
        # What it waits for is said in words that change with the time; the code says whether it is something else.
        known = replace(state, waiting_for="")
        if known != self._last:
            self._last = known
            self.output.json(state, lines=True)

    def end(self, state: JobState) -> None:
        """The last line is the end."""


class LineScreen:
    """A line for each change of state, and now and then one for the progress."""

    def __init__(self, output: Output) -> None:
        self.output, self._clock = output, SystemClock()
        self._said: tuple[object, ...] = ()
        self._progress: tuple[object, ...] = ()
        self._at = 0.0

    def show(self, state: JobState) -> None:
        """Print a line if there is something to say."""
        if state.current_state in ENDS:
            return
        change = (state.current_state, state.last_retry_attempt, state.waiting_code)
        moved = (state.progress_value, state.progress_message)
        now = self._clock.monotonic()
        if change != self._said or (moved != self._progress and now - self._at >= LINE_EVERY):
            self._said, self._progress, self._at = change, moved, now
            self.output.line(described(state))
            self.output.stdout.flush()

    def end(self, state: JobState) -> None:
        """Print how it ended."""
        say_end(state, self.output)


class BarScreen:
    """A live bar."""

    def __init__(self, output: Output, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.output = output
        self.progress: Progress = Progress(
            TextColumn("{task.fields[state]}", style="bold", markup=False),
            BarColumn(),
            TextColumn("{task.fields[far]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}", style="dim", markup=False),
            console=console,
        )
        self._task = self.progress.add_task("", total=None, state="", far="", text="")

    def show(self, state: JobState) -> None:
        """Move the bar."""
        limit = state.progress_limit
        self.progress.update(
            self._task,
            total=limit or None,
            completed=min(state.progress_value or 0, limit) if limit else 0,
            state=_state(state),
            far="  ".join(filter(None, (progress(state.progress_value, limit), pace(state)))),
            text=_text(state),
        )

    def end(self, state: JobState) -> None:
        """Print how it ended, below the bar."""
        say_end(state, self.output)


def described(state: JobState) -> str:
    """A job that goes on, in one line."""
    far = progress(state.progress_value, state.progress_limit)
    return "  ".join(filter(None, (_state(state), far, pace(state), _text(state))))


def say_end(state: JobState, output: Output) -> None:
    """How it ended: when, why, and with what."""
    took = f" after {span(state.duration)}" if state.duration is not None else ""
    reason = f": {printable(state.reason)}" if state.reason else ""
    output.line(output.painted(state.current_state) + took + reason)
    if state.result is not None:
        output.line(printable(compact(state.result)))


def _text(state: JobState) -> str:
    """Why it waits, or what it says of its progress. That a worker was told to start it is not worth a word."""
    why = "" if state.waiting_code == "starting" else state.waiting_for
    return printable(why or state.progress_message)


def _state(state: JobState) -> str:
    retry = f" (retry {state.last_retry_attempt})" if state.last_retry_attempt else ""
    return state.current_state + retry
