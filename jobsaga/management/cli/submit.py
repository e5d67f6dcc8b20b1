"""``submit``: make a job of a type and a message."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from jobsaga.client import JobState, get_job_state, submit_job
from jobsaga.management.cli import watch
from jobsaga.management.cli.output import Output, keys
from jobsaga.management.cli.steer import actor, add_actor
from jobsaga.management.cli.verb import OK, USAGE, Verb


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("type", metavar="TYPE", help='the name of a job type, like "videos.ConvertVideo"')
    parser.add_argument(
        "message",
        metavar="JSON",
        nargs="?",
        default="{}",
        help="the fields of its message, as a JSON object; - reads it from standard input",
    )
    parser.add_argument(
        "--property", action="append", default=[], type=pair, metavar="KEY=VALUE", help="may be repeated"
    )
    parser.add_argument("--priority", type=int, default=0, metavar="N", help="higher goes first (0)")
    parser.add_argument(
        "--id", type=uuid, metavar="UUID", help="the job's id; a second submit of the same id changes nothing"
    )
    parser.add_argument("--wait", action="store_true", help="watch it until it ends; 0 only if it completed")
    watch.add_timeout(parser)
    add_actor(parser)


def run(options: Namespace, output: Output) -> int:
    if options.timeout and not options.wait:
        raise CommandError("--timeout goes with --wait.", returncode=USAGE)
    job_id = submit_job(
        options.type,
        fields(options.message),
        job_id=options.id,
        properties=dict(options.property),
        priority=options.priority,
        submitted_by=actor(options),
    )
    if not output.as_json:
        output.line(str(job_id))
    if options.wait:
        return watch.follow(job_id, output, options.timeout)
    if output.as_json:
        output.json(get_job_state(job_id))
    return OK


def fields(text: str) -> dict[str, Any]:
    """The fields of a message, from the command line or from standard input."""
    try:
        message = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise CommandError(
            f'The message is no JSON: {error}. Write it in single quotes: \'{{"path": "a.mp4"}}\'.',
            returncode=USAGE,
        ) from None
    if not isinstance(message, dict):
        raise CommandError(f"The message must be a JSON object, not {text}.", returncode=USAGE)
    return message


def pair(text: str) -> tuple[str, str]:
    """A property as ``key=value``."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ArgumentTypeError(f"must be KEY=VALUE, not {text!r}")
    return key, value


def uuid(text: str) -> UUID:
    """A whole id."""
    try:
        return UUID(text)
    except ValueError:
        raise ArgumentTypeError(f"must be a UUID, not {text!r}") from None


SUBMIT = Verb(
    "submit",
    "Make a job, and print its id. With --wait, watch it until it ends.",
    f"the job: {keys(JobState)}; with --wait a line for each change, as jobsaga watch.",
    add_arguments,
    run,
)
