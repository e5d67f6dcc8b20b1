"""``manage.py runjobworker``: run jobs, and the sagas that decide about them."""

from __future__ import annotations

import signal
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobsaga.logs import show_logs
from jobsaga.management.hosting import Plan, run
from jobsaga.management.reload import is_supervised, run_with_reload


class Command(BaseCommand):
    """Parses the options; ``jobsaga.management.hosting`` does the work."""

    help = "Runs jobs, and the sagas that decide about them, until it is stopped (SIGTERM or Ctrl-C)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parts = parser.add_mutually_exclusive_group()
        parts.add_argument("--sagas-only", action="store_true", help="only decide: run no jobs here")
        parts.add_argument("--jobs-only", action="store_true", help="only run jobs: another process decides")
        parser.add_argument(
            "--job-type", action="append", metavar="NAME", help="run only this type; may be repeated"
        )
        parser.add_argument(
            "--concurrency", type=_count, metavar="N", help="at most N jobs of each type here"
        )
        parser.add_argument(
            "--isolation", choices=["inline", "thread", "process"], help="for all types, whatever they say"
        )
        parser.add_argument(
            "--instance-property", action="append", metavar="KEY=VALUE", help="said of this worker"
        )
        parser.add_argument("--until-idle", action="store_true", help="stop when there is nothing left to do")
        parser.add_argument(
            "--grace",
            type=_seconds,
            default=5.0,
            metavar="SECONDS",
            help="when stopping: how long jobs may finish",
        )
        parser.add_argument(
            "--health-dir",
            type=Path,
            metavar="DIR",
            help="give signs of life there: the times of its files alive and ready are for probes to look at",
        )
        parser.add_argument(
            "--reload", action="store_true", help="start again when the code changes (development)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        show_logs()
        _see_children_end()
        if options["reload"] and not is_supervised():
            raise SystemExit(run_with_reload())
        plan = Plan(
            sagas=not options["jobs_only"],
            jobs=not options["sagas_only"],
            job_types=options["job_type"] or [],
            concurrency=options["concurrency"],
            isolation=options["isolation"],
            properties=_properties(options["instance_property"] or []),
            until_idle=options["until_idle"],
            grace=options["grace"],
            health=options["health_dir"],
        )
        run(plan, on_stop=_on_signals)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:  # nor is nan
        raise ArgumentTypeError(f"must be a number of seconds from 0 on, not {text!r}")
    return seconds


def _see_children_end() -> None:
    """Who started this process may have ignored SIGCHLD, which is inherited: then nobody learns how a child ended."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _on_signals(stop: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def _properties(pairs: list[str]) -> dict[str, str]:
    properties = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise CommandError(f"--instance-property must be KEY=VALUE, not {pair!r}.")
        properties[key] = value
    return properties
