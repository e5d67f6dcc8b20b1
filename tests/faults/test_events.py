"""Public events while brokers and saga hosts are killed: each transition is told at least once, by one id, in order.

``JOBSAGA_TRIALS=20`` is 20 deaths of each kind.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pika
import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from jobsaga import cancel_job, schedule_job, submit_job, submit_jobs
from jobsaga.clock import SystemClock
from jobsaga.models import DeadLetter, EventOutbox, JobAttemptSaga, JobSaga
from jobsaga.sagas import JobStates
from jobsaga.transport.rabbitmq.address import Address
from tests.brokers import transport_url
from tests.faults.conftest import Figure, wait_for_workers
from tests.faults.ledger import ALIAS, ENDED, Ledger
from tests.jobsapp.jobs.faults import CrowdDeed, TaskDeed
from tests.private_broker import PrivateBroker
from tests.processes import Site, Worker, wait_for

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgresql, pytest.mark.mariadb, pytest.mark.timeout(300)]

TRIALS = int(os.environ.get("JOBSAGA_TRIALS", "1"))
SEED = int(os.environ.get("JOBSAGA_SEED", "20"))
JOBS = 300
ORDER = ["JobSubmitted", "JobStarted", "JobCompleted"]


@pytest.fixture
def telling(quick: Site, broker: PrivateBroker) -> Iterator[Site]:
    """A site that publishes its events, on this broker; so does what the test itself submits."""
    quick.jobsaga.update(TRANSPORT=transport_url(broker.url), PUBLISH_EVENTS=True)
    with override_settings(JOBSAGA={**django_settings.JOBSAGA, **quick.jobsaga}):
        yield quick


class Listener:
    """Another service: it has bound a queue of its own, and reads it at the end."""

    def __init__(self, site: Site) -> None:
        self.address = Address(site.jobsaga["TRANSPORT"])
        self.queue = f"{self.address.queues.prefix}.listener"
        self.events: list[dict[str, Any]] = []
        with pika.BlockingConnection(self.address.parameters) as connection:
            channel = connection.channel()
            channel.exchange_declare(self.address.queues.events, "topic", durable=True)
            channel.queue_declare(self.queue, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(self.queue, self.address.queues.events, "#")

    def read(self) -> list[dict[str, Any]]:
        """All envelopes that have come so far, in order, doubles included."""
        with pika.BlockingConnection(self.address.parameters) as connection:
            channel = connection.channel()
            while (message := channel.basic_get(self.queue, auto_ack=True))[0] is not None:
                self.events.append(json.loads(message[2]))
        return self.events

    def by_job(self) -> dict[UUID, list[dict[str, Any]]]:
        """Of each job the envelopes in order, without doubles."""
        found: dict[UUID, dict[str, dict[str, Any]]] = defaultdict(dict)
        for each in self.events:
            first = found[UUID(each["body"]["job_id"])].setdefault(each["id"], each)
            assert first == each, "what comes twice is the same"
        return {job_id: list(events.values()) for job_id, events in found.items()}


def all_is_told(site: Site, jobs: list[UUID], timeout: float) -> None:
    """Until all jobs have ended, and no event waits."""
    open_ = JobSaga.objects.using(ALIAS).filter(id__in=jobs).exclude(state__in=ENDED)
    site.wait_for(lambda: not open_.exists(), timeout, "all jobs to end")
    waiting = EventOutbox.objects.using(ALIAS)
    site.wait_for(lambda: not waiting.exists(), 30, "all events to be published")


def test_brokers_and_saga_hosts_that_die_lose_no_event(
    telling: Site, ledger: Ledger, broker: PrivateBroker, figure: Figure
) -> None:
    listener, random, jobs = Listener(telling), Random(SEED), list[UUID]()
    host = telling.worker("--sagas-only")
    telling.worker("--jobs-only")
    wait_for_workers(telling, 1)
    canceled = canceled_before_they_began(20)
    for _ in range(TRIALS):
        jobs += submit_jobs([CrowdDeed(args={"seconds": 0.01}) for _ in range(JOBS)])
        time.sleep(random.uniform(0.1, 0.6))  # the random moment
        host = another_host(telling, host)
        time.sleep(random.uniform(0.1, 0.6))
        broker.kill()
        jobs += submit_jobs([TaskDeed() for _ in range(5)])
        broker.start()
    all_is_told(telling, [*jobs, *canceled], 60 + 20 * TRIALS)
    listener.read()
    told = listener.by_job()
    figure(
        f"{len(jobs)} jobs: events came twice", len(listener.events) - sum(map(len, told.values())), "times"
    )
    assert set(told) == {*jobs, *canceled}
    starts = Counter(attempts_that_ran(jobs))
    for job_id in jobs:
        kinds = [each["type"] for each in told[job_id]]
        assert kinds == sorted(kinds, key=ORDER.index), "in order"
        assert Counter(kinds) == {"JobSubmitted": 1, "JobStarted": starts[job_id], "JobCompleted": 1}
    assert [[each["type"] for each in told[job_id]] for job_id in canceled] == [
        ["JobSubmitted", "JobCanceled"]
    ] * len(canceled)
    assert not DeadLetter.objects.using(ALIAS).exists()
    assert "Traceback" not in telling.log()


def another_host(site: Site, host: Worker) -> Worker:
    """Kill it without a word, and start one in its place."""
    site.kill_tree(host)
    return site.worker("--sagas-only")


def canceled_before_they_began(count: int) -> list[UUID]:
    """The client itself decides about these, and writes their events."""
    later = SystemClock().now() + timedelta(hours=1)
    jobs = [schedule_job(later, CrowdDeed()) for _ in range(count)]
    for job_id in jobs:
        cancel_job(job_id, reason="not needed")
    return jobs


def attempts_that_ran(jobs: list[UUID]) -> list[UUID]:
    """The job of each attempt that was started."""
    rows = JobAttemptSaga.objects.using(ALIAS).filter(job_id__in=jobs, started_at__isnull=False)
    return list(rows.values_list("job_id", flat=True))


def test_events_cost_three_messages_more_and_arrive_at_once(
    telling: Site, ledger: Ledger, broker: PrivateBroker, figure: Figure
) -> None:
    listener = Listener(telling)
    telling.worker("--sagas-only")
    telling.worker("--jobs-only")
    wait_for_workers(telling, 1)
    all_is_told(telling, [submit_job(TaskDeed())], 40)
    before = broker.received()
    job_id = submit_job(TaskDeed())
    telling.wait_for(lambda: state_of(job_id) == JobStates.COMPLETED.value, 20, "the job to end")
    ended_at = time.monotonic()
    wait_for(
        lambda: "JobCompleted" in [each["type"] for each in of(listener, job_id)], what="its end to be told"
    )
    figure("told after the end is seen in the rows", time.monotonic() - ended_at)
    assert [each["type"] for each in of(listener, job_id)] == ORDER
    assert broker.received() - before == 6


def of(listener: Listener, job_id: UUID) -> list[dict[str, Any]]:
    return [each for each in listener.read() if each["body"]["job_id"] == str(job_id)]


def state_of(job_id: UUID) -> int:
    return JobSaga.objects.using(ALIAS).values_list("state", flat=True).get(id=job_id)
