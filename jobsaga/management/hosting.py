"""What ``runjobworker`` starts: an instance that runs jobs, a saga host that decides, or both.

With both, the saga host is a process of its own: a busy Python thread beside the instance's selector would
cut its speed to a small part. Only ``--isolation inline`` keeps everything in one process, with the saga host
in a thread. That process and the server that makes the jobs' processes are forked first of all, while there is one
thread and no connection.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread

from django.core.management.base import CommandError
from django.db import Error, connections

from jobsaga.client.declared import warn_of_drift
from jobsaga.conf import settings
from jobsaga.consumers import JobConsumerDefinition, consumers
from jobsaga.engine.host import SagaHost
from jobsaga.engine.process import SagaProcess
from jobsaga.engine.site import make_engine
from jobsaga.exceptions import UnknownJobType
from jobsaga.pulse import Beat, Pulse, no_pulse
from jobsaga.store.probes import is_idle
from jobsaga.store.sqlite import prepare
from jobsaga.transport import default_transport
from jobsaga.worker.aside import aside
from jobsaga.worker.connections import close_stale_connections
from jobsaga.worker.database_time import DatabaseTime
from jobsaga.worker.executor import Executor
from jobsaga.worker.fork_server import is_connected
from jobsaga.worker.inline import InlineExecutor
from jobsaga.worker.worker import Worker

logger = logging.getLogger("jobsaga.worker")

IDLE_CHECK_EVERY = 0.3
#: Seconds for the saga host beside a worker to finish what it decides on. Cut short it is decided anew by another.
LAST_LAP = 30.0
#: Seconds until a saga host that has ended is followed by another, and how long one has to live to be a sound one.
FIRST_PAUSE, LONGEST_PAUSE, SOUND = 0.5, 30.0, 60.0
#: Where in the directory with the signs of life the saga host beside a worker gives its own.
SAGAS = "sagas"


@dataclass(frozen=True)
class Plan:
    """The options of the command."""

    sagas: bool = True
    jobs: bool = True
    job_types: Sequence[str] = ()
    concurrency: int | None = None
    isolation: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    until_idle: bool = False
    grace: float = 5.0
    health: Path | None = None


def run(plan: Plan, on_stop: Callable[[Callable[[], None]], None]) -> None:
    """Run what the plan says until it is stopped; *on_stop* is given the function that stops it."""
    may_fork = not is_connected()
    _check_database()
    pulse = _pulse(plan)
    if not plan.jobs:
        host = SagaHost(make_engine(), pulse=pulse)
        on_stop(
            lambda: Thread(target=host.stop).start()
        )  # a signal handler must not take the lock of an Event
        _run_sagas_only(host, plan)
        return
    warn_of_drift()
    if may_fork:
        gc.freeze()  # what is loaded is shared with the forks, and stays so
        connections.close_all()
    sagas = _sagas_beside(plan, may_fork)
    worker = _worker(plan, sagas, may_fork, pulse)
    on_stop(partial(_stop_inline, worker) if plan.isolation == "inline" else worker.stop)
    try:
        worker.run()
    finally:
        sagas.close(LAST_LAP if worker.took_leave else 1)
        worker.transport.close()
    if not worker.took_leave:
        logger.error("The worker could not take its leave: its jobs go on elsewhere when its lease is over")
        raise SystemExit(1)


def _stop_inline(worker: Worker) -> None:
    worker.stop()
    Thread(target=worker.ask_jobs_to_end, name="jobsaga-stopping", daemon=True).start()


def _pulse(plan: Plan) -> Beat:
    """What says to those outside that all is well here, and beside."""
    if plan.health is None:
        return no_pulse
    if plan.isolation == "inline":
        raise CommandError(
            "--health-dir and --isolation inline exclude each other: a job holds up the worker there."
        )
    beside = plan.health / SAGAS if plan.sagas and plan.jobs else None
    try:
        return Pulse(plan.health, beside).beat
    except OSError as error:
        raise CommandError(f"--health-dir: no signs of life can be written: {error}") from error


def _run_sagas_only(host: SagaHost, plan: Plan) -> None:
    if plan.until_idle:
        Thread(target=_stop_when_idle, args=(host,), daemon=True).start()
    logger.info("The saga host is ready. It decides, and runs no jobs.")
    host.run()
    host.engine.transport.close()


def _stop_when_idle(host: SagaHost) -> None:
    while not host.stopping.wait(IDLE_CHECK_EVERY):
        if _seems_idle(None):
            host.stop()
    connections.close_all()


class SagasBeside:
    """The saga host beside an instance: none, a thread, or a process that is started again when it ends."""

    def __init__(self, kind: str, *, may_fork: bool = False, health: Path | None = None) -> None:
        self._health = health
        self._process = SagaProcess(may_fork=may_fork, health=health) if kind == "process" else None
        self._begun_at, self._again_at, self._pause = time.monotonic(), 0.0, FIRST_PAUSE
        self._host: SagaHost | None = SagaHost(make_engine()) if kind == "thread" else None
        self._thread = Thread(target=self._run, name="jobsaga-sagas", daemon=True)
        if self._host:
            self._thread.start()

    def look_after(self) -> None:
        """Start the process again if it has ended: after a pause, which grows while they end soon."""
        if self._process is None or self._process.code is None:
            return
        now = time.monotonic()
        if not self._again_at:
            self._pause = FIRST_PAUSE if now - self._begun_at > SOUND else min(2 * self._pause, LONGEST_PAUSE)
            self._again_at = now + self._pause
            code = self._process.code
            logger.error("The saga host ended with %s: another is started in %.1f s", code, self._pause)
        elif now >= self._again_at:
            self._begun_at, self._again_at = now, 0.0
            self._process = SagaProcess(may_fork=False, health=self._health)

    def close(self, timeout: float) -> None:
        """End it: it finishes its lap, in *timeout* seconds at most."""
        if self._process is not None and not self._process.close(timeout):
            logger.error("The saga host did not end within %.0f s: killed", timeout)
        if self._host:
            self._host.stop()
            self._thread.join(timeout)

    def _run(self) -> None:
        assert self._host is not None
        self._host.run()
        connections.close_all()


def _sagas_beside(plan: Plan, may_fork: bool) -> SagasBeside:
    if not plan.sagas:
        return SagasBeside("none")
    health = plan.health / SAGAS if plan.health else None
    kind = "thread" if plan.isolation == "inline" else "process"
    return SagasBeside(kind, may_fork=may_fork, health=health)


def _worker(plan: Plan, sagas: SagasBeside, may_fork: bool, pulse: Beat) -> Worker:
    definitions = _definitions(plan.job_types)
    names = [each.type_name for each in definitions]
    watch = IdleWatch(names) if plan.until_idle else None

    def make_executor(clock: DatabaseTime) -> Executor:
        if plan.isolation == "inline":
            return InlineExecutor(now=clock.now, instance_properties=plan.properties)
        from jobsaga.worker.children import ChildProcesses

        return ChildProcesses(
            now=clock.now,
            instance_properties=plan.properties,
            isolation=plan.isolation,
            may_fork=may_fork,
            enough=lambda: worker.is_stopping,
        )

    def between() -> None:
        sagas.look_after()
        instance = worker.instance
        if watch is None or worker.is_stopping or instance is None or not instance.is_idle:
            return
        if watch.is_idle(enough=lambda: worker.is_stopping or instance.lease.is_over):
            worker.stop()

    worker = Worker(
        make_executor,
        default_transport(),
        definitions,
        properties=plan.properties,
        concurrency=plan.concurrency,
        grace=plan.grace,
        between=between,
        pulse=pulse,
    )
    return worker


class IdleWatch:
    """Asks the database, not too often, whether there is anything left to do."""

    def __init__(self, job_types: Sequence[str]) -> None:
        self.job_types, self._asked_at = job_types, 0.0

    def is_idle(self, enough: Callable[[], bool]) -> bool:
        """Whether no job of these types can be or is being run; False if there was *enough* before it answers."""
        if time.monotonic() - self._asked_at < IDLE_CHECK_EVERY:
            return False
        self._asked_at = time.monotonic()
        return aside(lambda: _seems_idle(self.job_types), "idle-watch", enough)


def _seems_idle(job_types: Sequence[str] | None) -> bool:
    """A database that is away says nothing."""
    try:
        return is_idle(settings.DATABASE, job_types)
    except Error as error:
        logger.warning("Cannot see whether there is anything left to do: %s", error)
        return False
    finally:
        close_stale_connections()


def _definitions(names: Sequence[str]) -> list[JobConsumerDefinition]:
    if problems := consumers.problems():
        raise CommandError("\n".join(str(problem.error) for problem in problems))
    try:
        found = [consumers.for_type_name(name) for name in names] if names else consumers.all()
    except UnknownJobType as error:
        raise CommandError(str(error)) from error
    if not found:
        raise CommandError(
            f"There is no job consumer to run. Write one in the {settings.AUTODISCOVER_MODULE}.py of an installed app."
        )
    return found


def _check_database() -> None:
    alias = settings.DATABASE
    try:
        prepare(alias)
        with connections[alias].cursor() as cursor:
            tables = connections[alias].introspection.table_names(cursor)
    except Error as error:
        raise CommandError(f"The database {alias!r} cannot be used: {error}".rstrip()) from error
    if "jobsaga_jobsaga" not in tables:
        raise CommandError(
            f"The tables of jobsaga are missing: run manage.py migrate --database {alias} first."
        )
