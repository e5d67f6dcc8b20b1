"""What ``types`` and ``instances`` are asked to do: pause a type, set other limits for a while, drain a worker."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from jobsaga.client import (
    drain_instance,
    override_job_limit,
    pause_job_type,
    resume_job_type,
    revert_job_limit,
    undrain_instance,
)
from jobsaga.conf import settings
from jobsaga.management.cli.output import Output, moment
from jobsaga.management.cli.records import TypeHistoryLine
from jobsaga.management.cli.steer import actor, add_actor
from jobsaga.management.cli.verb import FAILED, OK
from jobsaga.models import JobInstance, JobTypeHistory
from jobsaga.models.workers import InstanceState

Act = Callable[[Namespace], None]
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
HISTORY_LINES = 50


def duration(text: str) -> timedelta:
    """``90``, ``90s``, ``30m``, ``2h`` or ``1d``. Raises ArgumentTypeError."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in UNITS else (text, "s")
    try:
        return timedelta(seconds=float(number) * UNITS[unit])
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"must be a time like 90s, 30m, 2h or 1d, not {text!r}") from None


def add_type_actions(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    for name, help_text in (
        ("pause", "start no more jobs of the type; those that run go on"),
        ("resume", "go on where it was paused"),
        ("revert", "end the override of its limits now"),
    ):
        _add(actions, name, help_text)
    limit = _add(actions, "limit", "other limits for a while")
    limit.add_argument("limit", metavar="N", type=int, nargs="?", help="how many jobs one worker may run")
    limit.add_argument(
        "--global", dest="in_all", metavar="N", type=int, help="how many all workers together may run"
    )
    limit.add_argument(
        "--for", dest="duration", metavar="TIME", type=duration, default=timedelta(minutes=30),
        help="for how long: 90s, 30m, 2h, 1d (30m)",
    )  # fmt: skip
    history = actions.add_parser("history", help="what was asked of a type, or of all types and workers")
    history.add_argument("name", metavar="NAME", nargs="?", default=None, help="the job type")
    _add_json(history)


def add_instance_actions(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    _add(actions, "drain", "give a worker no more jobs; those that it runs go on", what="ID")
    _add(actions, "undrain", "give it jobs again", what="ID")


def _add(actions: Any, name: str, help_text: str, what: str = "NAME") -> ArgumentParser:
    parser: ArgumentParser = actions.add_parser(name, help=help_text, description=help_text)
    parser.add_argument("name", metavar=what)
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the history")
    add_actor(parser)
    _add_json(parser)
    return parser


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", default=False, help="answer in JSON, for scripts")


def act(options: Namespace, output: Output) -> int:
    """Do what was asked."""
    if options.action == "history":
        return _show_history(options, output)
    ACTIONS[options.action](options)
    if output.as_json:
        output.json({"asked": options.action, "of": options.name})
    else:
        output.line(f"{options.name}: {SAID[options.action]}, as soon as a saga host has heard it")
    return OK


def _who(options: Namespace) -> dict[str, str]:
    return {"reason": options.reason, "by": actor(options)}


def _limit(options: Namespace) -> None:
    override_job_limit(
        options.name,
        options.limit,
        global_concurrent_job_limit=options.in_all,
        duration=options.duration,
        **_who(options),
    )


ACTIONS: dict[str, Act] = {
    "pause": lambda options: pause_job_type(options.name, **_who(options)),
    "resume": lambda options: resume_job_type(options.name, **_who(options)),
    "revert": lambda options: revert_job_limit(options.name, **_who(options)),
    "limit": _limit,
    "drain": lambda options: drain_instance(_instance(options.name), **_who(options)),
    "undrain": lambda options: undrain_instance(_instance(options.name), **_who(options)),
}
SAID = {
    "pause": "paused",
    "resume": "resumed",
    "revert": "back to its own limits",
    "limit": "other limits",
    "drain": "no more jobs",
    "undrain": "jobs again",
}


def _instance(text: str) -> UUID:
    """The worker with this id, or the one whose id ends so."""
    try:
        return UUID(text)
    except ValueError:
        pass
    rows = JobInstance.objects.using(settings.DATABASE).exclude(state=InstanceState.STOPPED)
    found = [
        each for each in rows.values_list("id", flat=True) if each.hex.endswith(text.lower().replace("-", ""))
    ]
    if len(found) != 1:
        many = "more than one worker has" if found else "No worker that has not stopped has"
        raise CommandError(f"{many} an id that ends with {text}.", returncode=FAILED)
    return found[0]


def _show_history(options: Namespace, output: Output) -> int:
    rows = JobTypeHistory.objects.using(settings.DATABASE).order_by("-id")
    if options.name is not None:
        rows = rows.filter(job_type=options.name)
    lines = [
        TypeHistoryLine(
            at=row.at,
            kind=row.kind,
            job_type=row.job_type,
            instance_id=row.instance_id,
            message=row.message,
            actor=row.actor,
        )
        for row in rows[:HISTORY_LINES]
    ]
    if output.as_json:
        output.json({"history": lines})
    elif lines:
        output.table(("AT", "WHAT", "OF", "BY", "WHY"), map(_history_row, lines))
    else:
        output.remark("Nobody has asked anything of it.")
    return OK


def _history_row(line: TypeHistoryLine) -> tuple[str, ...]:
    return (moment(line.at), line.kind, line.job_type or str(line.instance_id), line.actor, line.message)
