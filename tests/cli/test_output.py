"""What a terminal can take of what jobs say."""

from __future__ import annotations

from io import BytesIO, StringIO, TextIOWrapper

import pytest
from django.core.management.base import OutputWrapper
from django.core.management.color import no_style

from jobsaga.management.cli.output import Output


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", b"gr\\xfc\\xdfe \\u2192"), ("latin-1", b"gr\xfc\xdfe \\u2192")]
)
def test_a_letter_that_the_terminal_has_not_is_spelled_out(encoding: str, shown: bytes) -> None:
    terminal = TextIOWrapper(BytesIO(), encoding=encoding)
    output = Output(OutputWrapper(terminal), OutputWrapper(StringIO()), no_style(), as_json=False)
    output.table(["TITLE"], [["grüße →"]])
    output.fields([("Result", "grüße →")])
    terminal.flush()
    said = terminal.buffer
    assert isinstance(said, BytesIO)
    assert said.getvalue().splitlines() == [b"TITLE", shown, b"Result  " + shown]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "shown"),
    [(Terminal(), "a1  it broke in the mid…"), (StringIO(), "a1  it broke in the middle")],
)
def test_in_a_terminal_the_last_column_ends_with_the_line(
    monkeypatch: pytest.MonkeyPatch, stream: StringIO, shown: str
) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    output = Output(OutputWrapper(stream), OutputWrapper(StringIO()), no_style(), as_json=False)
    output.table(["ID", "REASON"], [["a1", "it broke in the middle"]])
    assert stream.getvalue().splitlines() == ["ID  REASON", shown]
