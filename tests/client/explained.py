"""What the tests of explanations bring about beside the sagas: what a person asked for, and work."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.client.acts import TYPE
from tests.client.conftest import Site
from tests.engine.workers import ScriptedWorker

OTHER = "audio.Mix"


def set_type(site: Site, **columns: Any) -> None:
    """As a saga host has written it, after a person asked for it."""
    assert site.place.rows("JobTypeSaga").filter(name=TYPE).update(**columns) == 1


def set_worker(site: Site, worker: ScriptedWorker, **columns: Any) -> None:
    assert site.place.rows("JobInstance").filter(pk=worker.id).update(**columns) == 1


def busy(site: Site, slots: int = 1) -> list[UUID]:
    """Jobs that run, one a second; on one new worker if there is none yet."""
    if not site.workers:
        site.worker(slots)
    ids = []
    for n in range(slots):
        if n:
            site.pass_time(1)
        ids.append(site.submit(TYPE))
        for worker in site.workers:
            for start in worker.receive():
                worker.started(start)
        site.lap()
    return ids
