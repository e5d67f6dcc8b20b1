"""Whole conversations, written by hand from the design, played by the three machines."""

from __future__ import annotations

import re
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.sagas.transcript import Play, Unreadable

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


def lines(text: str) -> list[str]:
    """Without comments, blank lines and the width of the columns."""
    told = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [("    " if line[0].isspace() else "") + re.sub(r"\s+", " ", line.strip()) for line in told]


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    written = lines(path.read_text())
    played = lines("\n".join(Play().run(path.read_text())))
    assert played == written, "\n" + "\n".join(
        unified_diff(written, played, "written", "played", lineterm="", n=3)
    )


def test_a_wrong_transcript_is_noticed() -> None:
    said = "w1: hosts videos, limit 1"
    assert lines("\n".join(Play().run(said))) == [said, "    videos SetConcurrentJobLimit Initial -> Idle"]


def test_a_line_that_is_no_sentence_is_an_error() -> None:
    with pytest.raises(Unreadable, match="client: explodes j1"):
        list(Play().run("client: explodes j1"))
