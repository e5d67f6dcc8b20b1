"""One worker instance, from its registration to its end. It owns lease, transport and reports; it runs no user
code.

Threads
  main        asks the executor what is to be said, hands it what is to be started; touches no database
  receiver    takes start messages and cancels, claims the attempts
  reporter    sends what is said to the sagas
  heartbeat   renews the lease and compares both sides' lists of attempts
  stopping    says, once, that no more jobs shall come
  and one each for its registration and for its last words, which the main thread waits for (``aside``)

The comparison, both ways: running here but not wanted there is killed; canceled there is asked to end; ended
here but open there is said again; taken here according to the database but unknown here is reported. So a
message that was lost is made good within a heartbeat.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections

from jobsaga.clock import Clock, SystemClock
from jobsaga.conf import settings
from jobsaga.consumers import JobConsumerDefinition
from jobsaga.ids import uuid7
from jobsaga.messages import (
    CancelJobAttempt,
    CancelKind,
    Ended,
    JobAttemptCanceled,
    LimitKind,
    Message,
    StartJob,
)
from jobsaga.models.workers import InstanceState
from jobsaga.store.instances import Beat, InstanceStore
from jobsaga.store.job_logs import with_room
from jobsaga.store.upkeep import look_after
from jobsaga.transport.base import SAGA, Transport, instance_endpoint
from jobsaga.worker.announcement import announcement
from jobsaga.worker.aside import aside, in_time
from jobsaga.worker.database_time import DatabaseTime
from jobsaga.worker.executor import Executor
from jobsaga.worker.lease import Lease
from jobsaga.worker.receiver import Receiver
from jobsaga.worker.reporter import Reporter
from jobsaga.worker.roster import Roster

logger = logging.getLogger("jobsaga.worker")

SHUTDOWN_REASON = "Job Service Shutdown"
POLL = 0.5
#: Seconds for its last word, whatever the others took; and for a thread to end that is not needed any more.
LEAVING, LAST_ROUND = 3.0, 1.0


class GiveUp(NamedTuple):
    """End this attempt: nobody waits for it."""

    attempt_id: UUID


class Instance:
    """One life of a worker: ``run`` returns when it was stopped, or its lease was lost."""

    def __init__(
        self,
        executor: Executor,
        transport: Transport,
        definitions: Sequence[JobConsumerDefinition],
        *,
        instance_id: UUID | None = None,
        time: DatabaseTime | None = None,
        clock: Clock | None = None,
        properties: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
    ) -> None:
        self.id = instance_id or uuid7()
        self.clock = clock or SystemClock()
        self.time = time or DatabaseTime(self.clock)
        self._asked_at = self.clock.now()
        self.executor, self.transport, self.definitions = executor, transport, definitions
        self._newest = {each.type_name: each.message_version for each in definitions}
        self.properties, self.concurrency = dict(properties or {}), concurrency
        self.endpoint = instance_endpoint(self.id)
        self.store = InstanceStore(settings.DATABASE, self.id, settings.HEARTBEAT_TIMEOUT)
        self.registered = self.lost = self._stopping = False
        self._inbox: deque[StartJob | CancelJobAttempt | GiveUp] = deque()
        self.roster = Roster()
        self.reporter = Reporter(transport, after=close_stale_connections)
        self.receiver = Receiver(
            transport,
            self.endpoint,
            transaction=self.store.transaction,
            claim=self._claim,
            deliver=self._deliver,
            opened=self._announce,
            after=close_stale_connections,
        )
        self.lease = self._make_lease()

    def _make_lease(self) -> Lease:
        return Lease(
            self._beat,
            self._compare,
            clock=self.clock,
            interval=settings.HEARTBEAT_INTERVAL.total_seconds(),
            lease=settings.HEARTBEAT_TIMEOUT.total_seconds(),
            waits_are_fine=self.store.has_one_writer,
            after=close_stale_connections,
        )

    # One life

    def begin(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Register, and start the threads; neither, if there is *enough* before the database answers.

        The job types are announced as soon as a start can come here.
        """
        self.registered = aside(self._register, "registration", enough)
        if self.registered:
            for part in (self.lease, self.reporter, self.receiver):
                part.start()

    def _register(self) -> bool:
        asked_at = self.clock.now()
        now = self.store.register(socket.gethostname(), os.getpid(), _version(), self.properties)
        self.time.learn(now, asked_at)
        self.receiver.open()
        return True

    def _announce(self) -> None:
        self.transport.send(self._announcements(LimitKind.CONFIGURED))
        logger.info("Worker %s is ready for %d job types", self.id, len(self.definitions))

    def run_once(self, timeout: float = POLL) -> None:
        """One round: hand on what came, collect what is to be said."""
        self._hand_on()
        self.reporter.say(self.executor.poll(timeout))
        self.roster.note(self.executor.running())
        self.reporter.say([self._given_up(*each) for each in self.roster.bury().items()])
        if self.lease.is_over and not self.lost:
            logger.error("Worker %s has lost its lease: all its jobs are ended here", self.id)
            self.lost = True
            self.executor.kill_all()

    @property
    def is_idle(self) -> bool:
        """It is registered, nothing runs, nothing was taken, nothing is left to say."""
        return self.registered and self.roster.is_empty and self.reporter.flush(0)

    @property
    def takes_jobs(self) -> bool:
        """It is registered, its lease lasts, and it can be told what to start."""
        return not (self._stopping or self.lost or self.lease.is_over) and self.transport.is_connected()

    def stop_taking(self) -> None:
        """Say that no more jobs shall come; what is not started yet is given back. May be called by any thread."""
        self._stopping = True
        Thread(target=self._say_that_it_stops, name="jobsaga-stopping", daemon=True).start()

    def _say_that_it_stops(self) -> None:
        """In a thread: the database may be away, and then the main thread has to see the lease end."""
        try:
            self.store.set_state(InstanceState.STOPPING)
        except Exception:
            logger.exception("This worker could not say that it is stopping")
        connections.close_all()

    def cancel_all(self) -> None:
        """Ask everything that runs to save and end: it goes on elsewhere."""
        for attempt_id in self.executor.running():
            self.executor.cancel(attempt_id, CancelKind.SHUTDOWN, SHUTDOWN_REASON)

    def end(self, timeout: float) -> bool:
        """The last words, and out: *timeout* seconds for them, and a few to take leave. Whether all were said."""
        self._stopping = True  # what it is told last is given back
        left = self.executor.running() - self.roster.killed
        self.executor.kill_all()
        said_all = not self.registered or (not self.lost and self._say_last_words(left, timeout))
        for part in (self.receiver, self.lease, self.reporter):
            part.close(LAST_ROUND)
        self.executor.close()
        return said_all

    def _say_last_words(self, left: set[UUID], timeout: float) -> bool:
        end = monotonic() + timeout
        self.reporter.say([self._ended(self.roster.job_of(each), each, CancelKind.SHUTDOWN) for each in left])
        in_time(self._receive_the_last, "give back what it was told last", timeout)
        self._hand_on()
        self.reporter.say(self.executor.poll(0))
        logger.info("Worker %s ends with %d jobs unfinished", self.id, len(left))
        has_reported = self.reporter.flush(max(0.0, end - monotonic()))
        if not has_reported:
            logger.warning("Not all reports could be sent: the sagas will find the jobs lost")
        has_left = in_time(self._leave, "say that it has stopped", max(LEAVING, end - monotonic()))
        return has_left and has_reported

    def _receive_the_last(self) -> bool:
        self.receiver.close()
        self.receiver.receive()
        return True

    def _leave(self) -> bool:
        self.lease.close()  # a heartbeat after this would be refused, and taken for a lost lease
        self.transport.send(self._announcements(LimitKind.STOPPED))
        self.transport.drop(self.endpoint)
        self.store.set_state(InstanceState.STOPPED)
        return True

    # What comes in

    def _claim(self, starts: list[StartJob]) -> list[StartJob]:
        attempts = [start.attempt_id for start in starts]
        self.roster.claim(attempts)
        claimed = self.store.claim(attempts, self.time.now())
        self.roster.unclaim(set(attempts) - claimed)
        return with_room(self.store.alias, [start for start in starts if start.attempt_id in claimed])

    def _deliver(self, messages: Iterable[StartJob | CancelJobAttempt | GiveUp]) -> None:
        self._inbox.extend(messages)
        self.executor.wake()

    def _hand_on(self) -> None:
        while self._inbox:
            message = self._inbox.popleft()
            if isinstance(message, StartJob):
                self._start(message)
            elif isinstance(message, CancelJobAttempt):
                self.executor.cancel(message.attempt_id, CancelKind.USER, message.reason)
            elif self.roster.kill(message.attempt_id):
                self.executor.kill(message.attempt_id)

    def _start(self, start: StartJob) -> None:
        if self._stopping or self.lost:
            self.reporter.say([self._ended(start.job_id, start.attempt_id, CancelKind.NOT_STARTED)])
        elif start.message_version > self._newest.get(start.job_type, 1):
            why = f"Its message has version {start.message_version}, which this worker cannot read"
            self.reporter.say([self._ended(start.job_id, start.attempt_id, CancelKind.NOT_STARTED, why)])
        else:
            self.executor.start(start)
            self.roster.started(start, self.executor.running())
        self.roster.unclaim([start.attempt_id])

    # Both sides compared, in the heartbeat's thread

    def _beat(self) -> Beat | None:
        self.roster.before_the_beat()
        self._asked_at = self.clock.now()
        return self.store.beat([each.type_name for each in self.definitions])

    def _compare(self, beat: Beat) -> None:
        """What differs is put right through the inbox and the reporter."""
        self.time.learn(beat.now, self._asked_at)
        self.reporter.settle({each.attempt_id for each in beat.attempts})
        differences = self.roster.compare(beat.attempts, self.reporter.has_ended)
        self.reporter.say(differences.unknown)
        self._deliver([*differences.canceled, *map(GiveUp, differences.unwanted)])

    # What is said

    def _given_up(self, attempt_id: UUID, job_id: UUID) -> Ended:
        return self._ended(job_id, attempt_id, CancelKind.USER, "It was given up, and ended by its worker")

    def _ended(
        self, job_id: UUID, attempt_id: UUID, kind: CancelKind, reason: str = SHUTDOWN_REASON
    ) -> Ended:
        return JobAttemptCanceled(
            job_id=job_id, attempt_id=attempt_id, timestamp=self.time.now(), reason=reason, kind=kind
        )

    def _announcements(self, kind: LimitKind) -> list[tuple[str, Message]]:
        return [
            (SAGA, announcement(each, kind, self.id, at_most=self.concurrency, properties=self.properties))
            for each in self.definitions
        ]


def close_stale_connections() -> None:
    """Between two uses of this thread's connections: drop what is broken."""
    for connection in connections.all(initialized_only=True):
        look_after(connection)


def _version() -> str:
    try:
        return version("jobsaga")
    except PackageNotFoundError:
        return ""
