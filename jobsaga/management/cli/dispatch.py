"""From the command line to a verb, and from whatever goes wrong to one clear line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from argparse import ArgumentParser, Namespace
from functools import partial

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import Error as DatabaseFailure

from jobsaga.checks import check_database, check_settings
from jobsaga.conf import settings
from jobsaga.exceptions import JobSagaError
from jobsaga.management.cli import doctor, jobs, recurring, show, steer, submit, watch, workers
from jobsaga.management.cli.output import Output
from jobsaga.management.cli.verb import EXIT_CODES, FAILED, INTERRUPTED, Verb
from jobsaga.store.sqlite import prepare

VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        submit.SUBMIT,
        jobs.LIST,
        show.SHOW,
        watch.WATCH,
        steer.CANCEL,
        steer.RETRY,
        steer.RUN,
        steer.FINALIZE,
        recurring.RECURRING,
        workers.TYPES,
        workers.INSTANCES,
        doctor.DOCTOR,
    )
}


def add_verbs(parser: ArgumentParser) -> None:
    """A parser for each verb."""
    parser.epilog = EXIT_CODES
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    for verb in VERBS.values():
        each = verbs.add_parser(verb.name, help=verb.help, description=verb.help)
        each.epilog = f"With --json: {verb.gives} {EXIT_CODES}"
        verb.add_arguments(each)
        each.add_argument("--json", action="store_true", help="answer in JSON, for scripts")
        _add_django_options(each)


def run(options: Namespace, output: Output) -> int:
    """Run a verb; its exit code. Raises CommandError with whatever went wrong."""
    verb = VERBS[options.verb]
    try:
        if verb.needs_sound_site:
            _check_site()
            prepare(settings.DATABASE)
        return verb.run(options, output)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_standard_output()
        return FAILED
    except (JobSagaError, ImproperlyConfigured) as error:
        raise CommandError(str(error)) from error
    except DatabaseFailure as error:
        text = " ".join(str(error).split()).rstrip(".")
        raise CommandError(
            f"The database {settings.DATABASE!r} says: {text}. manage.py jobsaga doctor looks for the cause."
        ) from error


def _check_site() -> None:
    """Settings that cannot work stop every verb. What is wrong with a consumer does not: a job must be
    cancellable whatever was deployed.
    """
    errors = [each for each in (*check_settings(None), *check_database(None)) if each.is_serious()]
    if errors:
        raise CommandError("\n".join(each.msg for each in errors))


def _add_django_options(parser: ArgumentParser) -> None:
    """Django's own options are taken behind the verb too, where people write them."""
    add = partial(parser.add_argument, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    add("--settings")
    add("--pythonpath")
    add("-v", "--verbosity", type=int, choices=range(4))
    for flag in ("--traceback", "--no-color", "--force-color"):
        add(flag, action="store_true")


def _forget_standard_output() -> None:
    """Whoever read it has gone: Python must not try once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
