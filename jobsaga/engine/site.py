"""The engine of this site: on the alias, with the transport and options that the settings name."""

from __future__ import annotations

from jobsaga.conf import settings
from jobsaga.engine.engine import Engine
from jobsaga.engine.events import publish
from jobsaga.engine.strategies import Strategies
from jobsaga.store.django import DjangoStore
from jobsaga.store.sqlite import prepare
from jobsaga.transport import default_transport


def make_engine() -> Engine:
    """An engine for a saga host of this process."""
    prepare(settings.DATABASE)
    strategies = Strategies(settings.DISTRIBUTION_STRATEGIES)
    return Engine(DjangoStore(), default_transport(), strategies=strategies, publish=publish)
