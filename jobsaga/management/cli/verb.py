"""What a verb of ``manage.py jobsaga`` is, and what its exit codes mean."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import NamedTuple

from jobsaga.management.cli.output import Output

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = (
    f"Exit codes: {OK}: it worked. {FAILED}: it did not: refused, not found, not completed, not healthy. "
    f"{USAGE}: the command line makes no sense. {INTERRUPTED}: stopped with Ctrl-C; the job goes on."
)


class Verb(NamedTuple):
    """``run`` does it and gives the exit code; ``gives`` says what ``--json`` prints."""

    name: str
    help: str
    gives: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, Output], int]
    #: False for the one verb that is there to look at a set-up that does not work.
    needs_sound_site: bool = True
