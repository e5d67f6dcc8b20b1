"""The ``world`` fixture: each test that asks for it runs in memory, and on the test's database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import brokers
from tests.engine.world import World
from tests.engine.worlds import EVERYWHERE, make_world


@pytest.fixture(params=EVERYWHERE)
def world(request: pytest.FixtureRequest) -> World:
    """A deployment in which time stands still. ``worlds`` has other sets of places to choose from:
    ``@pytest.mark.parametrize("world", WITH_ROW_LOCKS, indirect=True)``.
    """
    return make_world(request.param)


@pytest.fixture(autouse=True)
def close_what_was_opened() -> Iterator[None]:
    """On RabbitMQ, where it was chosen: connections and queues of this test."""
    yield
    if brokers.IS_CHOSEN:
        from tests.engine.rabbit_place import close_all

        close_all()
