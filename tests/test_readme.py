"""The README's examples are run as they stand there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from jobsaga.consumers import consumers
from jobsaga.testing import run_until_quiet

README = Path(__file__).parent.parent / "README.md"
ALLOWED_LINES = 15


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The first example as a module of an installed app."""
    module = ModuleType("tests.jobsapp.readme")
    module.converted = []  # type: ignore[attr-defined]
    module.convert_minute = lambda path, minute: module.converted.append((path, minute))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with consumers.temporary():
        exec(blocks()[0], module.__dict__)
        yield module


def test_the_job_is_short() -> None:
    lines = [line for line in blocks()[0].splitlines() if line and not line.startswith("#")]
    assert len(lines) <= ALLOWED_LINES


@pytest.mark.django_db
def test_the_job_runs(example: ModuleType) -> None:
    lines = [line for line in blocks()[1].splitlines() if line]
    exec("\n".join(line for line in lines if "cancel_job(" not in line), example.__dict__)
    run_until_quiet()
    state = example.get_job_state(example.job_id)
    assert (state.current_state, state.result) == ("Completed", {"minutes": 90})
    assert example.converted == [("holiday.mp4", minute) for minute in range(90)]
    assert (state.progress_value, state.progress_limit, state.job_state) == (90, 90, 90)


@pytest.mark.django_db
def test_the_job_can_be_canceled(example: ModuleType) -> None:
    exec(blocks()[1], example.__dict__)
    run_until_quiet()
    state = example.get_job_state(example.job_id)
    assert (state.current_state, state.reason) == ("Canceled", "not needed any more")
    assert example.converted == []


def test_every_page_that_is_linked_exists() -> None:
    missing = [
        link
        for link in re.findall(r"\]\(((?!http)[^)#]+)\)", README.read_text())
        if not (README.parent / link).exists()
    ]
    assert not missing
