"""`python -m dashboard.demo`: the process that `manage.py demo` becomes. It exits with 0 only if every check holds."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

import django

from dashboard.demo.house import HouseError, prepare
from dashboard.demo.options import add_arguments

INTERRUPTED = 130


def main() -> int:
    """Prepare the house, then play; gives the exit code."""
    parser = argparse.ArgumentParser(prog="manage.py demo")
    add_arguments(parser)
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        prepare(options.dir)
        django.setup()
        from dashboard.demo.play import play  # reads models, which are there only now

        return play(options.dir, options.video)
    except HouseError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
