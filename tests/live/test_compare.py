"""Two attempts side by side, and the last runs as bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from jobsaga.live import svg
from jobsaga.live.compare import compare
from jobsaga.sagas.states import AttemptStates
from tests.live import scenes
from tests.live.conftest import EVERYWHERE
from tests.live.test_pages import text_of

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def attempt(trace: str = "", outcome: str = "faulted", **more: Any) -> Any:
    fault = {"type": "KeyError", "message": "no such film", "traceback": trace} if trace else None
    fields = {
        "state": AttemptStates.FAULTED.value, "outcome": outcome, "instance": None, "created_at": AT,
        "started_at": AT + timedelta(seconds=2), "duration": timedelta(seconds=40), "reason": "", "fault": fault,
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **more})


def test_one_attempt_is_compared_with_nothing() -> None:
    assert compare([], "", "") is None
    assert compare([attempt()], "1", "1") is None


@pytest.mark.parametrize(
    ("asked", "shown"),
    [(("", ""), (2, 3)), (("1", "3"), (1, 3)), (("3", "1"), (3, 1)), (("1", "1"), (2, 3)), (("0", "9"), (2, 3)),
     (("x", "2"), (2, 3)), (("9" * 99, "1"), (2, 3))],
)  # fmt: skip
def test_two_are_chosen_or_else_the_last_two(asked: tuple[str, str], shown: tuple[int, int]) -> None:
    found = compare([attempt(), attempt(), attempt()], *asked)
    assert found is not None
    assert (found.left, found.right) == shown


def test_what_differs_is_marked_and_their_errors_line_by_line() -> None:
    one = attempt("File a\n  in run\nKeyError")
    other = attempt("File a\n  in stop\nKeyError", duration=timedelta(seconds=90))
    found = compare([one, other], "", "")
    assert found is not None
    differs = {pair.name for pair in found.pairs if pair.differs}
    assert differs == {"Took"}
    assert [tuple(line) for line in found.errors] == [
        ("both", "File a"), ("left", "  in run"), ("right", "  in stop"), ("both", "KeyError"),
    ]  # fmt: skip


def test_bars_stand_as_high_as_their_runs_took_long() -> None:
    runs = [svg.Run("good", timedelta(seconds=n)) for n in (10, 5, 0)] + [svg.Run("bad", None)]
    assert svg.heights(runs) == [1.0, 0.5, 0.15, svg.UNKNOWN]
    drawn = svg.sparkline(runs, "<4 runs>")
    assert drawn.count("<rect") == 4
    assert 'aria-label="&lt;4 runs&gt;"' in drawn


@EVERYWHERE
def test_the_pages_show_both(client: Client) -> None:
    ids = scenes.usual_day()
    job = reverse("jobsaga_live:job", args=[ids["faulted"]])
    page = client.get(job).content.decode()
    said = text_of(page)
    assert "Attempts side by side" in said
    assert "Attempt 1 Attempt 2" in said
    assert 'class="both"' in page, "the same traceback twice"
    assert " open><summary><h2 id" not in page
    assert " open><summary><h2 id" in client.get(job, {"left": "1", "right": "2"}).content.decode()
    assert page.count('class="tower"') >= 3
    types = client.get(reverse("jobsaga_live:types")).content.decode()
    assert 'aria-label="The last 20 runs: 20 Completed"' in types
