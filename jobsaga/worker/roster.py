"""The attempts of one instance, by how far they have come here; and what a heartbeat finds to differ.

An attempt is *claimed* by the receiver, *running* in the executor, sometimes *killed* because nobody waits for
it. The main thread writes, the heartbeat's thread reads: what it reads is replaced whole, and an attempt enters
the next set before it leaves the last, so that none is ever missed in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from uuid import UUID

import msgspec

from jobsaga.messages import AttemptStatus, CancelJobAttempt, JobAttemptStatus, StartJob
from jobsaga.store.instances import OpenAttempt


class Differences(msgspec.Struct):
    """What has to be put right."""

    #: Running here, and not wanted there.
    unwanted: list[UUID] = []
    #: Canceled there, and running here.
    canceled: list[CancelJobAttempt] = []
    #: Taken here, by what the database says, and not known here.
    unknown: list[JobAttemptStatus] = []


class Roster:
    """What this instance knows of its attempts."""

    def __init__(self) -> None:
        self.running: frozenset[UUID] = frozenset()
        self.killed: frozenset[UUID] = frozenset()
        self._claimed: set[UUID] = set()
        self._jobs: dict[UUID, UUID] = {}
        self._running_before: frozenset[UUID] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is claimed, and nothing runs."""
        return not self._claimed and not self.running

    def claim(self, attempts: Iterable[UUID]) -> None:
        """They are about to be ours."""
        self._claimed.update(attempts)

    def unclaim(self, attempts: Iterable[UUID]) -> None:
        """They are not, or they have gone on."""
        self._claimed.difference_update(attempts)

    def started(self, start: StartJob, running: Iterable[UUID]) -> None:
        """An attempt was handed to the executor, which runs these now."""
        self._jobs[start.attempt_id] = start.job_id
        self.note(running)

    def note(self, running: Iterable[UUID]) -> None:
        """The executor runs these."""
        self.running = frozenset(running)
        for attempt_id in self._jobs.keys() - self.running - self.killed:
            del self._jobs[attempt_id]

    def kill(self, attempt_id: UUID) -> bool:
        """It shall end; False if it does not run, or was killed before."""
        if attempt_id not in self.running or attempt_id in self.killed:
            return False
        self.killed |= {attempt_id}
        return True

    def bury(self) -> dict[UUID, UUID]:
        """The killed attempts that have ended since, with their jobs."""
        gone = self.killed - self.running
        self.killed -= gone
        return {attempt_id: self._jobs.pop(attempt_id) for attempt_id in gone}

    def job_of(self, attempt_id: UUID) -> UUID:
        """The job of an attempt that runs."""
        return self._jobs[attempt_id]

    def before_the_beat(self) -> None:
        """What runs is noted before the database is asked: what starts in between is not compared."""
        self._running_before = self.running

    def compare(self, open_there: Collection[OpenAttempt], has_ended: Callable[[UUID], bool]) -> Differences:
        """The database's list against ours. *has_ended*: our last word on it is on its way."""
        differences = Differences()
        for attempt in open_there:
            if attempt.attempt_id in self.running:
                self._compare_running(attempt, differences)
            elif (
                attempt.received and not self._knows(attempt.attempt_id) and not has_ended(attempt.attempt_id)
            ):
                differences.unknown.append(_unknown(attempt))
        there = {attempt.attempt_id for attempt in open_there}
        differences.unwanted += (self._running_before & self.running) - there
        return differences

    def _compare_running(self, attempt: OpenAttempt, differences: Differences) -> None:
        if attempt.given_up:
            differences.unwanted.append(attempt.attempt_id)
        elif attempt.cancel_reason is not None:
            differences.canceled.append(
                CancelJobAttempt(
                    job_id=attempt.job_id, attempt_id=attempt.attempt_id, reason=attempt.cancel_reason
                )
            )

    def _knows(self, attempt_id: UUID) -> bool:
        """In the order in which an attempt goes through the worker."""
        return attempt_id in self._claimed or attempt_id in self.running or attempt_id in self.killed


def _unknown(attempt: OpenAttempt) -> JobAttemptStatus:
    return JobAttemptStatus(
        job_id=attempt.job_id,
        attempt_id=attempt.attempt_id,
        status=AttemptStatus.UNKNOWN,
        reason="Its worker lives, but does not run it",
    )
