"""``types`` and ``instances``: who can do what, who does it, and who waits."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connections

from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.management.cli import limits
from jobsaga.management.cli.output import Output, keys, moment, short, span
from jobsaga.management.cli.records import InstanceLine, JobTypeLine, RunningJob, TypeHistoryLine
from jobsaga.management.cli.verb import OK, Verb
from jobsaga.models import JobInstance, JobTypeSaga
from jobsaga.models.workers import InstanceState
from jobsaga.store import health
from jobsaga.store.django import database_now


def add_types_arguments(parser: ArgumentParser) -> None:
    limits.add_type_actions(parser)


def run_types(options: Namespace, output: Output) -> int:
    if options.action is not None:
        return limits.act(options, output)
    lines = type_lines(settings.DATABASE)
    if output.as_json:
        output.json({"types": lines})
    elif lines:
        headings = (
            "TYPE", "RUNNING", "CAPACITY", "WAITING", "WORKERS", "PER WORKER", "GLOBAL", "PER KEY", "REGISTERED", "NOW",
        )  # fmt: skip
        output.table(headings, map(_type_row, lines))
    else:
        output.remark("There is no job type: no consumer is registered here, and no job waits.")
    return OK


def type_lines(alias: str) -> list[JobTypeLine]:
    """Every type that is registered here, was announced by a worker, or has a waiting job."""
    registered = {each.type_name: each for each in consumers.all()}
    known = {each.name: each for each in JobTypeSaga.objects.using(alias)}
    crews = health.crews(alias, database_now(connections[alias]))
    held: dict[str, int] = {}
    for (name, _), slots in health.slots_held(alias).items():
        held[name] = held.get(name, 0) + slots
    waiting = {name: health.waiting_count(alias, name) for name in health.waiting_types(alias)}
    names = sorted({*registered, *known, *waiting, *held})
    return [
        _type_line(
            name,
            known.get(name),
            crews.get(name),
            name in registered,
            held.get(name, 0),
            waiting.get(name, 0),
        )
        for name in names
    ]


def _type_line(
    name: str, row: JobTypeSaga | None, crew: health.Crew | None, registered: bool, held: int, waiting: int
) -> JobTypeLine:
    return JobTypeLine(
        job_type=name,
        registered=registered,
        concurrent_job_limit=row.concurrent_job_limit if row else None,
        global_concurrent_job_limit=row.global_concurrent_job_limit if row else None,
        slots_held=held,
        waiting=waiting,
        live_instances=crew.instances if crew else 0,
        capacity=crew.capacity if crew else 0,
        concurrency_per_key=row.concurrency_per_key if row else None,
        override_job_limit=row.override_job_limit if row else None,
        override_global_limit=row.override_global_limit if row else None,
        override_until=row.due_at if row else None,
        override_by=row.override_by if row else "",
        override_reason=row.override_reason if row else "",
        paused=row.paused_at if row else None,
        paused_by=row.paused_by if row else "",
        pause_reason=row.pause_reason if row else "",
    )


def _type_row(line: JobTypeLine) -> tuple[str, ...]:
    return (
        line.job_type,
        str(line.slots_held),
        str(line.capacity),
        str(line.waiting),
        str(line.live_instances),
        str(line.concurrent_job_limit or ""),
        str(line.global_concurrent_job_limit or ""),
        str(line.concurrency_per_key or ""),
        "yes" if line.registered else "no",
        "; ".join(_now(line)),
    )


def _now(line: JobTypeLine) -> Iterator[str]:
    """What people have asked of it, in words."""
    if line.paused:
        yield f"paused since {moment(line.paused)}" + _by(line.paused_by, line.pause_reason)
    if line.override_until:
        both = {"per worker": line.override_job_limit, "in all": line.override_global_limit}
        said = ", ".join(f"{limit} {what}" for what, limit in both.items() if limit is not None)
        yield f"{said} until {moment(line.override_until)}" + _by(line.override_by, line.override_reason)


def _by(who: str, why: str) -> str:
    return (f" by {who}" if who else "") + (f" ({why})" if why else "")


def add_instances_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also those that have stopped")
    limits.add_instance_actions(parser)


def run_instances(options: Namespace, output: Output) -> int:
    if options.action is not None:
        return limits.act(options, output)
    lines = instance_lines(settings.DATABASE, stopped=options.all)
    if output.as_json:
        output.json({"instances": lines})
    elif lines:
        output.table(
            ("ID", "WORKER", "STATE", "STARTED", "LEASE", "RUNNING", "TYPES"), map(_instance_row, lines)
        )
    else:
        output.remark("No worker is running. Start one: manage.py runjobworker")
    return OK


def instance_lines(alias: str, *, stopped: bool) -> list[InstanceLine]:
    """The workers, with the jobs that hold their slots."""
    now = database_now(connections[alias])
    running: dict[UUID | None, list[RunningJob]] = {}
    for instance_id, job_id, job_type in health.holders(alias):
        running.setdefault(instance_id, []).append(RunningJob(job_id=job_id, job_type=job_type))
    return [
        _instance_line(each, now, running.get(each.id, []))
        for each in health.instances(alias, stopped=stopped)
    ]


def _instance_line(instance: JobInstance, now: datetime, running: list[RunningJob]) -> InstanceLine:
    left = (instance.lease_expires_at - now).total_seconds()
    return InstanceLine(
        instance_id=instance.id,
        host=instance.host,
        pid=instance.pid,
        state=_state(instance, left, bool(running)),
        version=instance.version,
        started=instance.started_at,
        lease_expires=instance.lease_expires_at,
        lease_left=round(left, 1),
        job_types=sorted(each.job_type for each in instance.job_types.all()),
        running=running,
        properties=instance.properties,
        drained=instance.drained_at,
        drained_by=instance.drained_by,
        drain_reason=instance.drain_reason,
    )


def _state(instance: JobInstance, left: float, runs: bool) -> str:
    state = InstanceState(instance.state)
    if left <= 0 and state is not InstanceState.STOPPED:
        return "Lost"
    if instance.drained_at is not None and state is InstanceState.RUNNING:
        return "Draining" if runs else "Drained"
    return str(state.label)


def _instance_row(line: InstanceLine) -> tuple[str, ...]:
    left = span(timedelta(seconds=abs(round(line.lease_left))))
    return (
        short(line.instance_id),
        f"{line.host}:{line.pid}",
        line.state,
        moment(line.started),
        f"{left} left" if line.lease_left > 0 else f"over for {left}",
        " ".join(short(job.job_id) for job in line.running) or "-",
        " ".join(line.job_types),
    )


TYPES = Verb(
    "types",
    "The job types: their limits, the slots that are held, the jobs that wait, and the workers that live.",
    f"types: objects with {keys(JobTypeLine)}; of an action: asked, of; history: objects with {keys(TypeHistoryLine)}.",
    add_types_arguments,
    run_types,
)
INSTANCES = Verb(
    "instances",
    "The workers: their lease, and the jobs they run.",
    f"instances: objects with {keys(InstanceLine)}; running holds {keys(RunningJob)}.",
    add_instances_arguments,
    run_instances,
)
