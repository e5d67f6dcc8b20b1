"""A process that leaves a mark in the database and then stays: what tests/test_processes.py starts and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tests.jobsapp.models import Mark


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("text")
        parser.add_argument(
            "--stray", action="store_true", help="leave a process behind, in a session of its own"
        )

    def handle(self, *args: Any, text: str, stray: bool, **options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        if stray:
            subprocess.Popen(["sleep", "600"], start_new_session=True)
        Mark.objects.create(text=text, process_id=os.getpid())
        self.stdout.write(f"holding {text}")
        self.stdout.flush()
        signal.pause()
