"""What is stored as a job's saved state: the job's own state, and how far its iterations are.

Without iterations the state is stored as it is. With them it is wrapped, so that both are one value, which is
saved by one write and guarded by one fence.
"""

from __future__ import annotations

from typing import Any

POSITIONS, STATE = "jobsaga:positions", "state"

Positions = dict[str, dict[str, Any]]
"""How far each iteration is, by its name."""


def wrap(state: Any, positions: Positions) -> Any:
    """What to store (JSON-able, as both arguments)."""
    return {POSITIONS: positions, STATE: state} if positions else state


def unwrap(stored: Any) -> tuple[Any, Positions]:
    """The job's own state, and its positions."""
    if isinstance(stored, dict) and stored.keys() == {POSITIONS, STATE}:
        return stored[STATE], stored[POSITIONS]
    return stored, {}
