"""The end of an instance in good order."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings

from jobsaga.models import JobInstance
from jobsaga.models.workers import InstanceState
from jobsaga.transport import default_transport
from jobsaga.worker.inline import InlineExecutor
from jobsaga.worker.instance import Instance

ALIAS = settings.JOBSAGA["DATABASE"]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_leaves_does_not_take_its_own_leaving_for_a_lost_lease(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with override_settings(JOBSAGA={**settings.JOBSAGA, "HEARTBEAT_INTERVAL": 0.01, "HEARTBEAT_TIMEOUT": 15}):
        instance = Instance(InlineExecutor(), default_transport(), [])
    set_state = instance.store.set_state

    def set_state_and_wait_for_a_heartbeat(state: Any) -> None:
        set_state(state)
        instance.lease._thread.join(5)

    monkeypatch.setattr(instance.store, "set_state", set_state_and_wait_for_a_heartbeat)
    monkeypatch.setattr(instance.lease, "_after", connections.close_all)
    instance.store.register("test", 1, "", {})
    instance.lease.start()
    instance._leave()
    instance.receiver.close()
    assert not instance.lease.is_over
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert JobInstance.objects.using(ALIAS).get(id=instance.id).state == InstanceState.STOPPED
