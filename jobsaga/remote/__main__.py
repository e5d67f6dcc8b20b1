"""``python -m jobsaga.remote``: submit jobs to a site and steer them from a shell, by its broker alone.

    export JOBSAGA_URL=amqp://shop@rabbit.example.com/shop JOBSAGA_PASSWORD=...
    python -m jobsaga.remote submit ConvertVideo '{"path": "/media/cat.mov"}'
    python -m jobsaga.remote state 0190b3a0-...

The broker is named by --url, JOBSAGA_URL or AMQP_URL; the password by JOBSAGA_PASSWORD, if the URL has none.

Exit codes: 0: it worked. 1: it was refused, or there is no such job. 2: the command line makes no sense. 3: there was
no answer in time. 4: the broker or the site takes no requests.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from jobsaga.ids import uuid7
from jobsaga.remote import contract
from jobsaga.remote.client import TIMEOUT, JobClient, fields_of, moment
from jobsaga.remote.contract import JobState, JobSubmissionAccepted, Reply, Request
from jobsaga.remote.errors import RemoteError, RemoteFault, RemoteTimeout

OK, REFUSED, USAGE, LATE, UNAVAILABLE = 0, 1, 2, 3, 4
NOT_FOUND = "NotFound"


def main(args: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    parser = _parser()
    options = parser.parse_args(args)
    url = options.url or os.environ.get("JOBSAGA_URL") or os.environ.get("AMQP_URL")
    if not url:
        parser.error("no broker: give --url, or set JOBSAGA_URL or AMQP_URL")
    password = os.environ.get("JOBSAGA_PASSWORD")
    try:
        request = _request(options)
        with JobClient(url, password=password, timeout=options.timeout) as client:
            return _do(client, request, options)
    except RemoteFault as fault:
        _print(options, {"code": fault.code, "message": fault.text, "field": fault.field, "near": fault.near})
        print(fault, file=sys.stderr)
        return REFUSED
    except RemoteError as error:
        print(error, file=sys.stderr)
        return LATE if isinstance(error, RemoteTimeout) else UNAVAILABLE
    except ValueError as error:  # InvalidMessage is one
        parser.error(str(error))


def _do(client: JobClient, request: Request, options: argparse.Namespace) -> int:
    ids: dict[str, Any] = {"request_id": options.request_id or uuid7()}
    if not options.wait:
        client.send(request, **ids)
        job_id = getattr(request, "job_id", None)
        _print(options, {"job_id": job_id, **ids}, f"{job_id} was left at the broker")
        return OK
    submits = isinstance(request, contract.SubmitJob)
    answer: type[Reply] = JobSubmissionAccepted if submits else JobState
    reply = client.ask(request, answer, **ids)
    _print(options, reply, _line(reply))
    return REFUSED if _is_refused(request, reply) else OK


def _is_refused(request: Request, reply: Reply) -> bool:
    if not isinstance(reply, JobState):
        return False
    if isinstance(request, contract.GetJobState):
        return reply.current_state == NOT_FOUND
    return bool(reply.refused)


def _line(reply: Reply) -> str:
    """The answer as a person wants to read it."""
    if not isinstance(reply, JobState):
        return str(getattr(reply, "job_id", ""))
    more = [
        f"refused: {reply.refused}" if reply.refused else "",
        reply.remark,
        f"waits: {reply.waiting_for}" if reply.waiting_for else "",
        f"{reply.progress_value:g} of {reply.progress_limit:g}" if reply.progress_limit else "",
        reply.reason,
        "" if reply.result is None else f"result: {msgspec.json.encode(reply.result).decode()}",
    ]
    return "\n  ".join([f"{reply.job_id} {reply.job_type} {reply.current_state}", *filter(None, more)])


def _print(options: argparse.Namespace, value: Any, text: str = "") -> None:
    if options.json:
        print(msgspec.json.encode(value).decode())
    elif text:
        print(text)


# What was asked for


def _request(options: argparse.Namespace) -> Request:
    given: dict[str, Any] = {"actor": options.actor}
    if options.verb in ("submit", "schedule"):
        text = sys.stdin.read() if options.fields == "-" else options.fields
        given |= {
            "job_type": options.type,
            "message": fields_of(text),
            "job_id": options.job_id or uuid7(),
            "properties": dict(options.property),
            "priority": options.priority,
        }
        if options.verb == "submit":
            return contract.SubmitJob(**given)
        return contract.ScheduleJob(**given, start=moment(options.when))
    given["job_id"] = options.job_id
    if options.verb == "state":
        if not options.wait:
            raise ValueError("state is a question: without --no-wait somebody hears the answer")
        return contract.GetJobState(job_id=options.job_id)
    given["reason"] = options.reason
    if options.verb == "cancel":
        return contract.CancelJob(**given, run=options.run)
    if options.verb == "run":
        return contract.RunJob(**given, run=options.run)
    return {"retry": contract.RetryJob, "finalize": contract.FinalizeJob}[options.verb](**given)


def _parser() -> argparse.ArgumentParser:
    about, _, codes = (__doc__ or "").partition("\n\nExit codes")
    parser = argparse.ArgumentParser(
        prog="python -m jobsaga.remote",
        description=about,
        epilog=f"Exit codes{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = _common()
    submit = argparse.ArgumentParser(add_help=False, parents=[common])
    submit.add_argument("type", metavar="TYPE", help="the job type's name")
    submit.add_argument("fields", metavar="JSON", nargs="?", default="{}", help="the message; - reads stdin")
    submit.add_argument("--job-id", type=UUID, metavar="ID", help="made here, if it is left out")
    submit.add_argument("--property", type=_property, action="append", default=[], metavar="NAME=VALUE")
    submit.add_argument("--priority", type=int, default=0, help="higher goes first")
    steer = argparse.ArgumentParser(add_help=False, parents=[common])
    steer.add_argument("job_id", type=UUID, metavar="ID")
    verbs.add_parser("submit", parents=[submit], help="make a job")
    schedule = verbs.add_parser("schedule", parents=[submit], help="make a job that starts at a time")
    times = schedule.add_mutually_exclusive_group(required=True)
    times.add_argument("--at", dest="when", type=_time, metavar="TIME", help="2026-01-31T06:00:00+01:00")
    times.add_argument("--in", dest="when", type=_seconds, metavar="SECONDS")
    cancel = verbs.add_parser("cancel", parents=[steer], help="end a job as Canceled")
    run = verbs.add_parser("run", parents=[steer], help="run a job now that waits for its time")
    for each in (cancel, run):
        each.add_argument("--run", type=int, metavar="N", help="only this run of a recurring job")
    retry = verbs.add_parser("retry", parents=[steer], help="run a faulted or canceled job again")
    finalize = verbs.add_parser("finalize", parents=[steer], help="remove an ended job")
    for each in (cancel, run, retry, finalize):
        each.add_argument("--reason", default="", help="why, for the site's history")
    verbs.add_parser("state", parents=[steer], help="how a job is")
    return parser


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", help="amqp://user@host/virtual-host; or JOBSAGA_URL or AMQP_URL")
    common.add_argument("--timeout", type=float, default=TIMEOUT, metavar="SECONDS", help="wait so long")
    common.add_argument("--no-wait", dest="wait", action="store_false", help="leave it at the broker")
    common.add_argument("--json", action="store_true", help="print the answer as JSON")
    common.add_argument("--actor", default="", help="who the site's history says has asked")
    common.add_argument("--request-id", type=UUID, metavar="ID", help="of a request that is said again")
    return common


def _property(text: str) -> tuple[str, Any]:
    """VALUE is JSON, if it can be read as such; else text."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    try:
        return name, msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError):
        return name, value


def _time(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"is no time: {text!r}") from None
    if when.tzinfo is None:
        raise argparse.ArgumentTypeError(f"has no time zone: {text!r}; write {text}Z for UTC")
    return when


def _seconds(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"is no number of seconds: {text!r}") from None


if __name__ == "__main__":
    sys.exit(main())
