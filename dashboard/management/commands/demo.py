"""`manage.py demo`: play the demo, in a process whose settings point to the demo's own database."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from dashboard import BASE_DIR
from dashboard.demo.options import add_arguments


class Command(BaseCommand):
    help = (
        "See it work: real workers and jobs, a kill -9 and a recovery, in about a minute; no services needed."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *, video: Path | None, dir: Path, **options: Any) -> None:  # noqa: A002 - its name in the shell
        arguments = ["--dir", str(dir), *(["--video", str(video)] if video else [])]
        os.chdir(BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "dashboard.demo", *arguments])
