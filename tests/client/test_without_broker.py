"""A web request never waits for the broker: clients write rows, and wake the saga hosts through the database."""

from __future__ import annotations

import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.db import connections, transaction
from django.test import override_settings

from jobsaga import cancel_job, get_job_state, submit_job
from jobsaga.conf import settings
from jobsaga.models import TransportMessage
from jobsaga.transport import default_transport
from tests.jobsapp.jobs.acting import ActInProcess
from tests.private_broker import free_port

pytestmark = pytest.mark.django_db(transaction=True)

#: Milliseconds for submit and commit.
AT_MOST = 50


@pytest.fixture(params=["down", "silent"])
def broker_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Nobody listens there; or somebody takes the connection and says nothing, ever."""
    if request.param == "down":
        yield free_port()
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(autouse=True)
def away(broker_port: int) -> Iterator[None]:
    jobsaga = {**django_settings.JOBSAGA, "TRANSPORT": f"amqp://127.0.0.1:{broker_port}/"}
    with override_settings(JOBSAGA=jobsaga):
        yield
    assert "jobsaga-rabbitmq" not in {thread.name for thread in threading.enumerate()}


def milliseconds_to_submit() -> float:
    began = time.perf_counter()
    with transaction.atomic(using=settings.DATABASE):
        submit_job(ActInProcess("give"))
    return (time.perf_counter() - began) * 1000


def test_submit_and_commit_take_less_than_50_ms() -> None:
    milliseconds_to_submit()
    took = [milliseconds_to_submit() for _ in range(20)]
    print(f"median {statistics.median(took):.1f} ms, at most {max(took):.1f} ms")
    assert statistics.median(took) < AT_MOST


def test_a_fork_of_a_web_server_submits_as_quickly() -> None:
    """As gunicorn forks after it has loaded, and perhaps used, the site."""
    milliseconds_to_submit()
    connections.close_all()
    pid = os.fork()
    if pid == 0:  # pragma: no cover
        code = 1
        try:
            milliseconds_to_submit()
            code = int(statistics.median([milliseconds_to_submit() for _ in range(5)]) >= AT_MOST)
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def test_commands_exist_exactly_when_the_transaction_commits() -> None:
    job_id = submit_job(ActInProcess("give"))
    with transaction.atomic(using=settings.DATABASE):
        cancel_job(job_id)
        transaction.set_rollback(True, using=settings.DATABASE)
    assert get_job_state(job_id).current_state == "WaitingForSlot"
    cancel_job(job_id)
    assert get_job_state(job_id).current_state == "Canceled"


def test_what_is_for_the_saga_hosts_waits_for_them_in_the_rows() -> None:
    """Also what a worker says whose broker is away."""
    from tests.transport.contract import note

    transport = default_transport()
    transport._ship = lambda messages: False  # type: ignore[attr-defined]
    transport.send([("saga", note("said"))])
    assert TransportMessage.objects.using(settings.DATABASE).filter(endpoint="saga").count() == 1
