"""``manage.py jobsaga`` in the hand of a test: called in this process, with its exit code and all it printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from django.core.management.base import CommandError

from jobsaga.management.commands.jobsaga import Command
from tests.engine.world import World
from tests.engine.worlds import database_place


@dataclass
class Said:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer of ``--json``."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """The answers of ``--json`` where there may be several."""
        return [json.loads(line) for line in self.out.splitlines()]


Jobsaga = Callable[..., Said]


@pytest.fixture
def jobsaga() -> Jobsaga:
    """Call it as from a command line, but leave the connection of the test open."""
    return call


def call(*argv: object) -> Said:
    out, err = StringIO(), StringIO()
    command = Command(stdout=out, stderr=err, no_color=True)
    command._called_from_command_line = True  # type: ignore[attr-defined]
    code = 0
    try:
        with redirect_stderr(err):
            options = command.create_parser("manage.py", "jobsaga").parse_args([str(each) for each in argv])
        command.execute(**{**vars(options), "no_color": True})
    except CommandError as error:
        code = error.returncode
        err.write(str(error))
    except SystemExit as stop:
        code = int(stop.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture
def world(db: None) -> World:
    """The real engine with scripted workers, on the test's database and in its time."""
    return World(database_place(None))
