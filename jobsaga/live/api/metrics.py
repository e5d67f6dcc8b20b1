"""``GET v1/metrics``: numbers for Prometheus, in its text format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from jobsaga.conf import settings
from jobsaga.live import scope, shell
from jobsaga.live.api.answers import endpoint
from jobsaga.live.queries import COUNTED
from jobsaga.live.queries import metrics as metric_queries
from jobsaga.live.queries.types import TypeLine
from jobsaga.store.health import MANY

CONTENT = "text/plain"
VERSION = f"{CONTENT}; version=0.0.4; charset=utf-8"
#: What a name of a job type may hold, and the text of a label may not.
ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metric(NamedTuple):
    """One metric, a gauge: its name without ``jobsaga_``, what it is, and its values by their labels."""

    name: str
    help: str
    values: Iterable[tuple[dict[str, str], float]]


@endpoint()
def metrics(request: HttpRequest) -> HttpResponseBase:
    """What waits and runs by type, slots, workers, dead letters; for Prometheus."""
    found = metric_queries.read(settings.DATABASE, shell.now())
    return HttpResponse(
        written([*_of_jobs(found), *_of_slots(found), *_of_the_site(found)]), content_type=VERSION
    )


def written(found: Iterable[Metric]) -> str:
    """The metrics as text."""
    return "".join(f"{line}\n" for metric in found for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    name = f"jobsaga_{metric.name}"
    yield f"# HELP {name} {metric.help}"
    yield f"# TYPE {name} gauge"
    for labels, value in metric.values:
        said = ",".join(f'{key}="{text.translate(ESCAPED)}"' for key, text in labels.items())
        yield f"{name}{{{said}}} {_number(value)}" if said else f"{name} {_number(value)}"


def _number(value: float) -> str:
    """With all its digits."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _of_jobs(found: metric_queries.Metrics) -> list[Metric]:
    lines = _lines_of(found)
    jobs = [({"job_type": line.name, "state": "waiting"}, line.waiting) for line in lines]
    jobs += [
        ({"job_type": name, "state": state}, n)
        for (name, state), n in sorted(found.jobs.items())
        if scope.knows_type(name)
    ]
    oldest = [
        ({"job_type": line.name}, max(0.0, (found.now - line.oldest).total_seconds()))
        for line in lines
        if line.oldest
    ]
    return [
        Metric(
            "jobs",
            "Jobs that have not ended, by type and state. "
            f"Of those that are scheduled or retrying the first {COUNTED} that are due.",
            jobs,
        ),
        Metric(
            "oldest_waiting_seconds", "How long the oldest job of the type has waited for a slot.", oldest
        ),
    ]


def _of_slots(found: metric_queries.Metrics) -> list[Metric]:
    lines = _lines_of(found)

    def each(name: str, help_text: str, values: Iterable[tuple[TypeLine, float | None]]) -> Metric:
        return Metric(name, help_text, [({"job_type": line.name}, n) for line, n in values if n is not None])

    return [
        each("slots_held", "Slots that jobs of the type hold.", ((line, line.held) for line in lines)),
        each(
            "slots", "Jobs of the type that the live workers can run at once, by all limits.",
            ((line, line.capacity) for line in lines),
        ),
        each(
            "worker_job_limit", "How many jobs of the type one worker may run: announced last, or set for a while.",
            ((line, line.per_worker) for line in lines),
        ),
        each(
            "global_job_limit", "How many jobs of the type all workers together may run; no value: no limit.",
            ((line, line.saga.global_limit) for line in lines),
        ),
        each("type_workers", "Live workers that run the type.", ((line, line.workers) for line in lines)),
        each(
            "type_paused", "1 if no jobs of the type are started because somebody paused it.",
            ((line, line.saga.paused_at is not None) for line in lines),
        ),
    ]  # fmt: skip


def _of_the_site(found: metric_queries.Metrics) -> list[Metric]:
    return [
        Metric("workers", "Workers that have not stopped, by how they are.",
               [({"state": state}, n) for state, n in found.workers.items()]),
        Metric("workers_drained", "Workers that get no more jobs because somebody drained them.",
               [({}, found.drained)]),
        Metric("dead_letters", f"Messages that could not be handled, counted up to {MANY}.",
               [({}, found.dead_letters)]),
        Metric("overdue_deadlines", "Deadlines of jobs and of attempts that passed and nobody looked, "
               f"each counted up to {MANY}.", [({}, found.overdue)]),
    ]  # fmt: skip


def _lines_of(found: metric_queries.Metrics) -> list[TypeLine]:
    return [found.types.lines[name] for name in found.types.names if scope.knows_type(name)]
