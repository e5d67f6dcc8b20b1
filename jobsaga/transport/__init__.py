"""The carrying: between the sagas and the workers, over the site's database or, in tests, in memory."""

from __future__ import annotations

from functools import lru_cache

from jobsaga.conf import settings
from jobsaga.transport.base import Transport


def default_transport() -> Transport:
    """The transport of this process, as JOBSAGA["TRANSPORT"] says."""
    return _transport(settings.TRANSPORT, settings.DATABASE)


@lru_cache(maxsize=8)
def _transport(url: str, alias: str) -> Transport:
    from jobsaga.transport.database import DatabaseTransport
    from jobsaga.transport.memory import MemoryTransport

    return MemoryTransport() if url.startswith("memory:") else DatabaseTransport(alias)
