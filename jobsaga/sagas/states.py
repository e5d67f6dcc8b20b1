"""The states of the three sagas: MassTransit's names and integers.

Words are what people see, integers are what is stored; the order of the integers means nothing.
"""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """A state that reads as its name in MassTransit's spelling."""

    @property
    def label(self) -> str:
        """``WAITING_FOR_SLOT`` -> ``WaitingForSlot``."""
        return self.name.title().replace("_", "")

    def __str__(self) -> str:
        return self.label


class JobStates(State):
    """A job, from submission to its end. FINAL is never stored: the row is gone."""

    INITIAL = 1
    FINAL = 2
    SUBMITTED = 3
    WAITING_TO_START = 4
    WAITING_FOR_SLOT = 5
    STARTED = 6
    COMPLETED = 7
    FAULTED = 8
    CANCELED = 9
    STARTING_JOB_ATTEMPT = 10
    ALLOCATING_JOB_SLOT = 11
    WAITING_TO_RETRY = 12
    CANCELLATION_PENDING = 13


class AttemptStates(State):
    """One try. FINAL (completed or canceled) and FAULTED are kept: attempts are the job's biography."""

    INITIAL = 1
    FINAL = 2
    STARTING = 3
    RUNNING = 4
    FAULTED = 5
    CHECKING_STATUS = 6
    SUSPECT = 7


class JobTypeStates(State):
    """A job type: ACTIVE while some job holds a slot. Never FINAL."""

    INITIAL = 1
    FINAL = 2
    ACTIVE = 3
    IDLE = 4


#: Passed through inside one transaction, never stored.
TRANSIENT_JOB_STATES = frozenset({JobStates.INITIAL, JobStates.SUBMITTED, JobStates.ALLOCATING_JOB_SLOT})
#: What a row of a job can be in.
STORED_JOB_STATES = tuple(
    state for state in JobStates if state not in TRANSIENT_JOB_STATES and state is not JobStates.FINAL
)
#: Nothing more will happen unless someone asks for it.
ENDED_JOB_STATES = frozenset({JobStates.COMPLETED, JobStates.FAULTED, JobStates.CANCELED})
#: An attempt of the job is under way.
ACTIVE_JOB_STATES = frozenset(
    {JobStates.STARTING_JOB_ATTEMPT, JobStates.STARTED, JobStates.CANCELLATION_PENDING}
)
#: The attempt may still run.
OPEN_ATTEMPT_STATES = frozenset(
    {AttemptStates.STARTING, AttemptStates.RUNNING, AttemptStates.CHECKING_STATUS, AttemptStates.SUSPECT}
)
