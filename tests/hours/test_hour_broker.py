"""An hour without a word whose broker restarts, and whose database connections are dropped.

Short in CI; an hour with JOBSAGA_TRIALS=20.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from jobsaga import get_job_state, submit_job
from tests.brokers import transport_url
from tests.faults.conftest import attempts_of, state_of, wait_for_workers
from tests.faults.ledger import Ledger, problems
from tests.faults.test_database import drop_connections
from tests.hours.soak import TRIALS, record
from tests.jobsapp.jobs.faults import Deed, ThreadDeed
from tests.private_broker import PrivateBroker
from tests.processes import Site

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgresql, pytest.mark.timeout(300 + 200 * TRIALS)]

#: Seconds for which the jobs rest, and the pause before each restart of the broker.
HOUR = 15 if TRIALS == 1 else 180 * TRIALS
PAUSE = 2 if TRIALS == 1 else 300


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """A broker that may be restarted."""
    broker = PrivateBroker(tmp_path_factory.mktemp("rabbitmq"))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def test_a_job_of_an_hour_whose_broker_restarts_completes_at_its_first_try(
    site: Site, ledger: Ledger, broker: PrivateBroker
) -> None:
    """Its broker also dies once, and its database drops all connections each time."""
    began, dropped, restarts = time.monotonic(), 0, 0
    site.jobsaga["TRANSPORT"] = transport_url(broker.url)
    site.worker("--sagas-only")
    site.worker("--jobs-only")
    wait_for_workers(site, 1)
    jobs = [submit_job(kind("walk", {"steps": 5, "rest": HOUR})) for kind in (Deed, ThreadDeed)]
    for job_id in jobs:
        site.wait_for(lambda job_id=job_id: state_of(job_id) == "Started", what="the job to run")  # type: ignore[misc]
    rests_until = time.monotonic() + HOUR
    while not restarts or time.monotonic() + PAUSE < rests_until:
        time.sleep(PAUSE)
        dropped += drop_connections()
        broker.stop() if restarts else broker.kill()
        broker.start()
        restarts += 1
    site.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), HOUR + 60, "both to end")
    assert [len(attempts_of(job_id)) for job_id in jobs] == [1, 1]
    assert [get_job_state(job_id).job_state for job_id in jobs] == [{"step": "rested"}] * 2
    assert problems(ledger, jobs) == []
    record(
        "hour-broker",
        began,
        seconds=HOUR,
        broker_restarts=restarts,
        connections_dropped=dropped,
        attempts=1,
    )
