"""``manage.py jobsaga``: submit jobs, look at them, steer them, and see who works."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import BaseCommand

from jobsaga.management.cli.dispatch import add_verbs, run
from jobsaga.management.cli.output import Output


class Command(BaseCommand):
    """Parses the options; the verbs in ``jobsaga.management.cli`` do the work."""

    help = "Submits jobs, shows and steers them, and says who works. Each verb has a --help of its own."
    requires_system_checks = []  # the verbs make their own: the doctor has to run when the site is not sound

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_verbs(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        output = Output(self.stdout, self.stderr, self.style, as_json=options["json"])
        code = run(Namespace(**options), output)
        if code:
            raise SystemExit(code)
