"""A saga is a table: in this state, on this message, if this holds, do these things, go there.

Theory of operation
  A table maps a state to its rows. Rows are tried in order; the first one of the message's type whose
  condition holds is followed: its verbs run in turn, each taking the record and giving the next one
  and what to say. Nothing here touches a database, a clock or the network.

  Every (state, message) pair has a row. A pair that means nothing is an ``ignore`` with its reason, in
  a line of its own; a pair without any row raises ``Unexpected``, and a test walks all pairs so that
  this never happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Self, TypeVar
from uuid import UUID

import msgspec

from jobsaga.messages import Address, JobEvent, Message
from jobsaga.sagas.states import State


@dataclass(frozen=True, slots=True)
class Send:
    """Hand a message to the saga or worker it is addressed to; ``to`` narrows the address."""

    message: Message
    to: tuple[Address, ...] | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell the site's own code, after the commit."""

    event: JobEvent


@dataclass(frozen=True, slots=True)
class Note:
    """Write a line of history that no change of state writes by itself."""

    kind: str
    text: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class MoveFence:
    """From here on only this attempt may save the job's state; None: no attempt may. What was saved in another
    *run* is gone.
    """

    attempt_id: UUID | None
    run: int | None = None


@dataclass(frozen=True, slots=True)
class EndSession:
    """End the database session of an attempt that holds the fence although nobody waits for it."""

    attempt_id: UUID


Effect = Send | Publish | Note | MoveFence | EndSession
Effects = Sequence[Effect]


class Record:
    """A frozen dataclass that ``but`` gives the next version of."""

    def but(self, **changes: Any) -> Self:
        """A copy with these fields changed. Much cheaper than ``dataclasses.replace``."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, **changes)
        return other


S = TypeVar("S", bound=Any)
Verb = Callable[[S, Any, Any], tuple[S, Effects]]
Condition = Callable[[S, Any, Any], bool]


@dataclass(frozen=True, slots=True)
class On:
    """One row: on *message*, provided that *given* holds, *do* each verb in turn and go *to* a state."""

    message: type[Message]
    do: tuple[Verb[Any], ...] = ()
    to: State | None = None
    given: Condition[Any] | None = None
    because: str = ""

    @property
    def ignored(self) -> bool:
        return not self.do and self.to is None


def ignore(message: type[Message], because: str, given: Condition[Any] | None = None) -> On:
    """A row that does nothing, with the reason why nothing is right."""
    return On(message, given=given, because=because)


class Unexpected(Exception):
    """The table has no row for this message in this state."""


class Outcome(msgspec.Struct, Generic[S], frozen=True):
    """What a step gave: the next record, what to say, and the row that was followed (None: not heard)."""

    saga: S
    effects: Effects
    row: On | None


#: By state, or by a tuple of states that share their rows.
Table = Mapping[Any, Iterable[On]]


class Machine(Generic[S]):
    """A table, ready to be asked.

    *state_of* reads a record's state; *heard* says whether a message is for this record at all (a
    report of an attempt that was given up is not).
    """

    def __init__(self, states: type[State], table: Table, heard: Callable[[S, Any], bool]) -> None:
        self.states, self.heard = states, heard
        self.rows: dict[tuple[State, type[Message]], list[On]] = {}
        for during, rows in table.items():
            for state in during if isinstance(during, tuple) else (during,):
                for row in rows:
                    self.rows.setdefault((state, row.message), []).append(row)

    def step(self, saga: S, message: Message, env: Any) -> Outcome[S]:
        """Follow the first row whose condition holds.

        Raises ``Unexpected`` when the table has no row for the pair.
        """
        if not self.heard(saga, message):
            return Outcome(saga, (), None)
        for row in self.rows.get((saga.state, type(message)), ()):
            if row.given is None or row.given(saga, message, env):
                return self._follow(row, saga, message, env)
        raise Unexpected(f"{type(message).__name__} during {saga.state} has no row")

    def _follow(self, row: On, saga: S, message: Message, env: Any) -> Outcome[S]:
        effects: list[Effect] = []
        for verb in row.do:
            saga, said = verb(saga, message, env)
            effects.extend(said)
        if row.to is not None and row.to is not saga.state:
            saga = saga.but(state=row.to)
        return Outcome(saga, effects, row)

    def accepts(self, state: State) -> set[type[Message]]:
        """The messages that change something in this state: an admin's buttons, a client's choice."""
        return {
            message
            for (at, message), rows in self.rows.items()
            if at is state and any(not row.ignored for row in rows)
        }

    def as_mermaid(self) -> str:
        """The machine as a Mermaid state diagram; the docs show exactly this."""
        edges = sorted(
            {
                f"    {at.label} --> {row.to.label} : {message.__name__}"
                for (at, message), rows in self.rows.items()
                for row in rows
                if row.to is not None
            }
        )
        return "\n".join(["stateDiagram-v2", *edges])


class Env(msgspec.Struct, frozen=True, kw_only=True):
    """What a saga may know of the world beyond its own row: the time, the options, the checkpoint."""

    now: datetime
    #: A new attempt's id.
    new_id: Callable[[], UUID]
    #: The job's checkpoint, if its row is locked; None if someone else's transaction holds it.
    checkpoint: Any = None
    #: The instance that the distribution strategy chose for the slot that is asked for.
    chosen: UUID | None = None
    finalize_completed: bool = False
    suspect_job_retry_count: int = 3
    suspect_job_retry_delay: timedelta = timedelta(seconds=1)
    job_cancellation_timeout: timedelta = timedelta(seconds=30)
    zombie_grace: timedelta = timedelta(seconds=3)
    misfire_grace: timedelta = timedelta(seconds=60)
