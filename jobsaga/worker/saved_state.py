"""What the attempts of a job save, as one of them sees it: the job's own state, and how far its iterations are."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Protocol
from uuid import UUID

from jobsaga import payload
from jobsaga.conf import settings
from jobsaga.exceptions import AttemptSuperseded
from jobsaga.messages import StartJob
from jobsaga.payload.saved import Positions, unwrap, wrap


class SaveCheckpoint(Protocol):
    """Stores a job's state in the caller's transaction; False when the attempt was superseded."""

    def __call__(self, job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool) -> bool:
        """Save ``state``; ``advanced``: it is another than the attempt was started with."""


def save_in_database(job_id: UUID, attempt_id: UUID, state: Any, *, advanced: bool) -> bool:
    """As the protocol says, in JOBSAGA's database."""
    from jobsaga.store import checkpoint

    return checkpoint.save(job_id, attempt_id, state, advanced=advanced)


class SavedState:
    """The checkpoint of one job, in the hands of one attempt.

    What is stored may have been rolled back since it was saved, with the transaction it was saved in. So where a
    state and positions have to be put together, the row is read again, and never a copy of it.
    """

    def __init__(self, start: StartJob, write: SaveCheckpoint) -> None:
        self._start, self._write = start, write
        self._given, positions = unwrap(start.job_state)
        self._has_positions = bool(positions)
        self._last: Any = start.job_state
        #: Called when something else is saved than before.
        self.changed: Callable[[], object] = lambda: None

    def given(self) -> Any:
        """The job's own state, as the attempts before this one left it; a copy."""
        return deepcopy(self._given)

    def save(self, state: object) -> None:
        """Save the job's own state. Raises InvalidMessage, WrongTransaction, AttemptSuperseded."""
        plain = payload.encode_value(state, "job state", max_bytes=settings.MAX_MESSAGE_BYTES)
        if not self._has_positions:
            self._store(plain)
            return
        from jobsaga.store import checkpoint

        with checkpoint.locked(self._start.job_id) as stored:
            self._store(wrap(plain, unwrap(stored)[1]))

    def positions(self) -> Positions:
        """How far the iterations are."""
        if not self._has_positions:
            return {}
        from jobsaga.store import checkpoint

        return unwrap(checkpoint.load(self._start.job_id))[1]

    def save_position(self, name: str, position: dict[str, Any]) -> None:
        """Save how far one iteration is, in its own transaction. Raises AttemptSuperseded."""
        from jobsaga.store import checkpoint

        self._has_positions = True
        with checkpoint.locked(self._start.job_id) as stored:
            state, positions = unwrap(stored)
            self._store(wrap(state, {**positions, name: position}))

    def _store(self, plain: Any) -> None:
        advanced = plain != self._start.job_state
        if not self._write(self._start.job_id, self._start.attempt_id, plain, advanced=advanced):
            raise AttemptSuperseded
        if plain != self._last:
            self._last = plain
            self.changed()
