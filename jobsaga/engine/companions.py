"""What runs beside every saga host of this process, from its start to its end.

The engine knows none of them. Who has something that belongs to the hosts adds it here when the site is loaded: a
function that is given the host's engine, for a context that lasts as long as the host runs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobsaga.engine.engine import Engine

Companion = Callable[["Engine"], AbstractContextManager[None]]

companions: list[Companion] = []
