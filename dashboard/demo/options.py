"""The demo's command line, the same for `manage.py demo` and for the process that plays it."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the demo takes."""
    parser.add_argument(
        "--video", type=existing_file, help="a film of your own (default: ffmpeg renders one)"
    )
    parser.add_argument(
        "--dir",
        type=absolute_path,
        default="demo-data",
        help="where the demo keeps its database and files; emptied first (default: demo-data)",
    )


def absolute_path(text: str) -> Path:
    return Path(text).resolve()


def existing_file(text: str) -> Path:
    path = absolute_path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {path}")
    return path
