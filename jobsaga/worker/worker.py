"""The worker of ``runjobworker``: one instance after another, until it is told to stop.

A lease that is lost ends an instance with all its jobs; the worker comes back as another one. Stopping is a
ladder: take nothing more, let short jobs finish for the grace time, ask the others to save and hand over, and
end by force what does not listen. A second signal skips the grace, a third the rest.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import Error

from jobsaga.clock import Clock, SystemClock
from jobsaga.consumers import JobConsumerDefinition
from jobsaga.pulse import Beat, no_pulse
from jobsaga.transport.base import Transport
from jobsaga.worker.connections import close_stale_connections
from jobsaga.worker.database_time import DatabaseTime
from jobsaga.worker.executor import Executor
from jobsaga.worker.fork_server import SiteNotLoaded
from jobsaga.worker.instance import Instance

logger = logging.getLogger("jobsaga.worker")

GRACE = 5.0
LAST_REPORTS = 10.0
COME_BACK_AFTER = 1.0


class Worker:
    """Runs instances. ``run`` belongs to the main thread; ``stop`` may be called by a signal handler.

    ``between`` is called after each round, ``pulse`` is told then whether the worker takes jobs.
    """

    def __init__(
        self,
        make_executor: Callable[[DatabaseTime], Executor],
        transport: Transport,
        definitions: Sequence[JobConsumerDefinition],
        *,
        properties: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        grace: float = GRACE,
        clock: Clock | None = None,
        between: Callable[[], None] = lambda: None,
        pulse: Beat = no_pulse,
    ) -> None:
        self.clock = clock or SystemClock()
        self.make_executor, self.transport, self.definitions = make_executor, transport, definitions
        self.properties, self.concurrency, self.grace = properties, concurrency, grace
        self._between, self._pulse = between, pulse
        self._stops = 0
        #: Whether the last instance told the sagas all there was to say.
        self.took_leave = True
        self.instance: Instance | None = None

    def stop(self) -> None:
        """Stop; said again, hurry."""
        self._stops += 1
        if self.instance is not None:
            self.instance.executor.wake()

    def ask_jobs_to_end(self) -> None:
        """When their grace is over, or at the second word. For another thread, while a job holds up the main one."""
        instance, finish_by = self.instance, self.clock.monotonic() + self.grace
        if instance is None:
            return
        instance.stop_taking()
        while self._stops < 2 and self.clock.monotonic() < finish_by:
            time.sleep(0.1)
        instance.cancel_all()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stops > 0

    def run(self) -> None:
        """Work until stopped. Raises what the database raises when the first instance registers."""
        again = not self._stops and self._one_life()
        while again and not self._stops:
            logger.warning("The worker comes back as a new instance")
            try:
                again = self._one_life()
            except (Error, SiteNotLoaded) as error:
                logger.warning("It cannot yet, tried again in %.0f s: %s", COME_BACK_AFTER, error)
                close_stale_connections()
                time.sleep(COME_BACK_AFTER)

    def _one_life(self) -> bool:
        """One instance from begin to end; whether another should follow."""
        database_time, self.took_leave = DatabaseTime(self.clock), True
        executor = self.make_executor(database_time)
        if self.is_stopping:
            executor.close()
            return False
        instance = self.instance = Instance(
            executor,
            self.transport,
            self.definitions,
            time=database_time,
            clock=self.clock,
            properties=self.properties,
            concurrency=self.concurrency,
        )
        try:
            self._begin(instance)
            while not self._stops and not instance.lost:
                instance.run_once()
                self._pulse(instance.takes_jobs)
                self._between()
            if not instance.lost:
                self._wind_down(instance)
        finally:
            self._pulse(ready=False)
            self.took_leave = instance.end(LAST_REPORTS)
            self.instance = None
        return instance.lost

    def _begin(self, instance: Instance) -> None:
        try:
            instance.begin(enough=lambda: self.is_stopping)
        finally:
            instance.lost = not instance.registered  # it never was: there is nothing to wind down

    def _wind_down(self, instance: Instance) -> None:
        logger.info("Stopping: no more jobs are taken, %d are running", len(instance.executor.running()))
        instance.stop_taking()
        finish_by = self.clock.monotonic() + self.grace
        self._rounds(instance, lambda: self._stops > 1 or self.clock.monotonic() > finish_by)
        if instance.executor.running():
            logger.info(
                "Stopping: %d jobs are asked to save and go on elsewhere", len(instance.executor.running())
            )
            instance.cancel_all()
            self._rounds(instance, lambda: self._stops > 2)

    def _rounds(self, instance: Instance, enough: Callable[[], bool]) -> None:
        while instance.executor.running() and not instance.lost and not enough():
            instance.run_once(0.1)
            self._pulse(ready=False)
            self._between()
