"""The end of the demo: what became of each job, and which claims hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from dashboard.demo.checks import Check, packed_twice
from dashboard.demo.screen import STYLES, Row
from dashboard.demo.story import Story
from jobsaga.models import JobSaga


def jobs_table(story: Story) -> Table:
    """One line per job: how it ended, in how many tries, how long after its submission, with what result."""
    cast = story.cast
    table = Table(title="What happened", title_style="bold", title_justify="left")
    for heading in ("job", "state", "tries", "done after", "result"):
        table.add_column(heading, justify="right" if heading in ("tries", "done after") else "left")
    first, *others = cast.rows(story.names)
    quick = [cast.job(job_id) for job_id in cast.quick]
    table.add_row(first.name, _state(first), str(len(quick)), _seconds(_took(quick)), f"on {first.workers}")
    for row, job_id in zip(others, cast.ids[len(quick) :], strict=True):
        job = cast.job(job_id)
        table.add_row(row.name, _state(row), str(row.attempts), _seconds(_took([job])), _result(job))
    table.add_section()
    table.add_row(*_recovery(story))
    return table


def _recovery(story: Story) -> tuple[str, str, str, str, str]:
    kill = story.kill
    assert kill
    after = story.recovered_at() - kill.at
    kept = kill.packed - packed_twice(story.cast.directory / "pack")
    return (
        f"kill -9 of worker {kill.worker}",
        "taken over",
        "",
        _seconds(after),
        f"{kept:,} files not packed again",
    )


def checks_table(checks: Sequence[Check]) -> Table:
    """One line per claim."""
    table = Table(title="Checked", title_style="bold", title_justify="left", show_header=False)
    for check in checks:
        table.add_row(Text("ok", "green") if check.holds else Text("failed", "bold red"), check.claim)
    return table


def _state(row: Row) -> Text:
    return Text(row.state, STYLES.get(row.state, ""))


def _took(jobs: Sequence[JobSaga]) -> timedelta | None:
    """From the first submission to the last end."""
    ends = [job.finished_at for job in jobs if job.finished_at]
    return max(ends) - min(job.submitted_at for job in jobs) if ends else None


def _seconds(took: timedelta | None) -> str:
    return f"{took.total_seconds():.1f} s" if took else ""


def _result(job: JobSaga) -> Text:
    return Text(_in_words(job.result) if job.result is not None else job.reason, "dim")


def _in_words(result: Any) -> str:
    if not isinstance(result, dict):
        return str(result)
    short = {key: value for key, value in result.items() if isinstance(value, str | int) and key != "target"}
    return ", ".join(f"{value:,} {key}" if isinstance(value, int) else value for key, value in short.items())
