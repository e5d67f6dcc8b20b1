"""The ``world`` fixture: each test that asks for it runs in memory, and on the test's database."""

from __future__ import annotations

import pytest

from tests.engine.world import World
from tests.engine.worlds import EVERYWHERE, make_world


@pytest.fixture(params=EVERYWHERE)
def world(request: pytest.FixtureRequest) -> World:
    """A deployment in which time stands still. ``worlds`` has other sets of places to choose from:
    ``@pytest.mark.parametrize("world", WITH_ROW_LOCKS, indirect=True)``.
    """
    return make_world(request.param)
