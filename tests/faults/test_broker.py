"""RabbitMQ that dies, stops, is cut off, loses a queue or has no disk left, under sagas and workers that go on.

``JOBSAGA_TRIALS=20`` is 20,000 jobs, 20 kills and as many orderly ends (``make soak-rabbitmq``, which leaves its
figures in docs/soak).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from uuid import UUID

import pika
import pytest

from jobsaga import submit_job, submit_jobs
from jobsaga.models import JobAttemptSaga, JobInstance, JobSaga
from jobsaga.transport.base import SAGA, instance_endpoint
from jobsaga.transport.rabbitmq.address import Address
from tests.brokers import transport_url
from tests.faults.conftest import SLACK, Figure, attempts_of, state_of, wait_for_workers, walking
from tests.faults.ledger import ALIAS, ENDED, Ledger, boottime, problems
from tests.faults.proxy import Proxy
from tests.hours.soak import SEED, TRIALS, record
from tests.jobsapp.jobs.faults import CrowdDeed, Deed, TaskDeed
from tests.private_broker import PrivateBroker, at
from tests.processes import Site, wait_for

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgresql, pytest.mark.mariadb, pytest.mark.timeout(300)]

JOBS = 1000
KINDS = [CrowdDeed] * 9 + [TaskDeed]
#: What may become of an attempt whose start message was on its way when the broker died.
NEVER_BEGUN = {"NotStarted"}


@pytest.fixture
def apart(quick: Site, broker: PrivateBroker) -> Site:
    """A site on it, whose sagas and jobs are in processes apart, as on two machines. They are not started yet."""
    quick.jobsaga["TRANSPORT"] = transport_url(broker.url)
    return quick


def start(site: Site, **environment: str) -> None:
    """One saga host, and one worker that is ready."""
    site.worker("--sagas-only", **environment)
    site.worker("--jobs-only", **environment)
    wait_for_workers(site, 1)


def a_job_runs(site: Site) -> float:
    """Seconds until a new job has come to its end."""
    began = boottime()
    job_id = submit_job(TaskDeed())
    site.wait_for(lambda: state_of(job_id) == "Completed", 60, "a new job to run")
    return boottime() - began


def all_end(site: Site, jobs: list[UUID], timeout: float) -> None:
    rows = JobSaga.objects.using(ALIAS).filter(id__in=jobs).exclude(state__in=ENDED)
    site.wait_for(lambda: not rows.exists(), timeout, "all to end")


def die_and_come_back(broker: PrivateBroker) -> None:
    broker.kill()
    broker.start()


def restart(broker: PrivateBroker) -> None:
    broker.stop()
    broker.start()


def stop_and_start(broker: PrivateBroker) -> None:
    broker.ctl("stop_app")
    broker.ctl("start_app")
    wait_for(broker.answers, 60, "RabbitMQ to answer again")


@dataclass
class Strike:
    """One end of the broker, and what was seen of it."""

    what: str
    #: Jobs that had not ended when it came.
    open: int
    seconds_away: float
    work_goes_on_after: float = 0.0


@pytest.mark.timeout(300 + 120 * TRIALS)
def test_a_broker_that_dies_again_and_again_loses_nothing(
    apart: Site, ledger: Ledger, broker: PrivateBroker, tmp_path: Path, figure: Figure
) -> None:
    """Every job ends once, what ran goes on, and work goes on within 10 seconds after the broker is back."""
    start(apart)
    began, until = time.monotonic(), tmp_path / "enough"
    walkers = [submit_job(Deed("walk", {"until": str(until), "steps": 1_000_000})) for _ in range(2)]
    for job_id in walkers:
        walking(apart, ledger, job_id)
    random, jobs, strikes = Random(SEED), list[UUID](), list[Strike]()
    for trial in range(TRIALS):
        jobs += submit_jobs([random.choice(KINDS)(args={"seconds": 0.01}) for _ in range(JOBS)])
        for end in (die_and_come_back, restart if trial % 2 else stop_and_start):
            time.sleep(random.uniform(0.2, 1.0))  # the random moment
            strikes.append(strike(apart, jobs, end, broker))
    all_end(apart, jobs, 60 + 30 * TRIALS)
    until.touch()
    all_end(apart, walkers, 20)
    worst, pause = max(each.work_goes_on_after for each in strikes), longest_pause(ledger, walkers)
    figure(f"{len(jobs)} jobs, {len(strikes)} ends of the broker: work went on after at most", worst)
    wrong = problems(ledger, [*jobs, *walkers])
    attempts = Counter(JobAttemptSaga.objects.using(ALIAS).values_list("outcome", flat=True))
    record(
        "rabbitmq",
        began,
        jobs=len(jobs),
        ends=Counter(each.what for each in strikes),
        met_open_jobs=sum(each.open > 0 for each in strikes),
        work_went_on_after_at_most=round(worst, 2),
        longest_pause_between_the_steps_of_a_running_job=round(pause, 2),
        attempts=attempts,
        problems=wrong,
        strikes=[asdict(each) for each in strikes],
    )
    assert wrong == [] or told(apart)
    assert [begun(job_id) for job_id in walkers] == [1, 1]
    assert set(attempts) <= {"Completed", *NEVER_BEGUN}
    assert all(each.open for each in strikes), "an end of the broker that meets no job tries nothing"
    assert worst < 10 * SLACK
    assert pause < 5 * SLACK
    assert "Traceback" not in apart.log()


def strike(
    site: Site, jobs: list[UUID], end: Callable[[PrivateBroker], None], broker: PrivateBroker
) -> Strike:
    """End the broker in this way, and wait until one more of these jobs has started since it is back."""
    open_ = JobSaga.objects.using(ALIAS).filter(id__in=jobs).exclude(state__in=ENDED)
    started = JobAttemptSaga.objects.using(ALIAS).filter(started_at__isnull=False)
    seen = Strike(end.__name__, open_.count(), seconds_away=0.0)
    struck_at = boottime()
    end(broker)
    back_at = boottime()
    before = started.count()
    site.wait_for(lambda: started.count() > before or not open_.exists(), 60, "work to go on")
    seen.seconds_away = round(back_at - struck_at, 2)
    seen.work_goes_on_after = round(boottime() - back_at, 2)
    return seen


def longest_pause(ledger: Ledger, walkers: list[UUID]) -> float:
    """Seconds between two steps of a job that walks all the time."""
    walks: list[list[float]] = [
        [step["at"] for stay in ledger.stays(job_id) for step in stay.events("step")] for job_id in walkers
    ]
    return max(later - earlier for walk in walks for earlier, later in pairwise(walk))


def begun(job_id: UUID) -> int:
    """How many of its attempts ran. A start may come before the worker has its queue: that one is returned."""
    return sum(each.started_at is not None for each in attempts_of(job_id))


def told(site: Site) -> bool:
    print(site.log())
    return False


def test_while_the_disk_is_full_jobs_end_and_afterwards_new_ones_start(
    apart: Site, ledger: Ledger, broker: PrivateBroker, tmp_path: Path, figure: Figure
) -> None:
    until = tmp_path / "enough"
    start(apart)
    running = submit_job(Deed("walk", {"until": str(until)}))
    walking(apart, ledger, running)
    broker.ctl("set_disk_free_limit", "1000GB")
    try:
        waiting = submit_job(TaskDeed())
        until.touch()
        apart.wait_for(lambda: state_of(running) == "Completed", 30, "the running job to end")
    finally:
        broker.ctl("set_disk_free_limit", "1MB")
    freed_at = boottime()
    apart.wait_for(lambda: state_of(waiting) == "Completed", 30, "the waiting job to run")
    figure("alarm is over, and a new job has run after", boottime() - freed_at)
    assert boottime() - freed_at < 10 * SLACK
    assert problems(ledger, [running, waiting]) == []
    assert begun(running) == 1


def test_queues_that_are_deleted_under_their_consumers_come_back(
    apart: Site, ledger: Ledger, broker: PrivateBroker
) -> None:
    start(apart)
    a_job_runs(apart)
    (instance,) = JobInstance.objects.using(ALIAS).values_list("id", flat=True)
    address = Address(apart.jobsaga["TRANSPORT"])
    jobs: list[UUID] = []
    for endpoint in (SAGA, instance_endpoint(instance)):
        jobs += submit_jobs([CrowdDeed(args={"seconds": 0.01}) for _ in range(50)])
        with pika.BlockingConnection(address.parameters) as connection:
            connection.channel().queue_delete(address.queues.name(endpoint))
    all_end(apart, jobs, 40)
    assert problems(ledger, jobs) == []


@pytest.fixture
def cable(broker: PrivateBroker) -> Iterator[Callable[..., Proxy]]:
    """Makes proxies to the broker."""
    made: list[Proxy] = []

    def make(**options: object) -> Proxy:
        made.append(Proxy(("127.0.0.1", broker.port), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_confirmations_that_are_lost_lose_no_report(
    apart: Site, ledger: Ledger, cable: Callable[..., Proxy], figure: Figure
) -> None:
    """The connection is reset after the broker has got a report and before the worker has heard so."""
    lossy = cable(lose_reply_to=rb"JobAttemptCompleted|StartJob", one_in=2, seed=SEED)
    apart.jobsaga["TRANSPORT"] = at(apart.jobsaga["TRANSPORT"], lossy.port)
    start(apart)
    lossy.lossy.set()
    jobs: list[UUID] = []
    while lossy.lost < 3 * TRIALS:
        jobs += submit_jobs([CrowdDeed(args={"seconds": 0.01}) for _ in range(20)])
        all_end(apart, jobs, 60)
    figure(f"{len(jobs)} jobs: connections cut before the confirmation", lossy.lost, "times")
    assert problems(ledger, jobs) == []


def test_a_cable_that_is_pulled_disturbs_no_job_and_is_not_missed_afterwards(
    apart: Site, ledger: Ledger, cable: Callable[..., Proxy], tmp_path: Path, figure: Figure
) -> None:
    """Nobody is told: packets vanish. What runs goes on and ends; what is new waits, and runs afterwards."""
    until, pulled = tmp_path / "enough", cable()
    apart.jobsaga["TRANSPORT"] = at(apart.jobsaga["TRANSPORT"], pulled.port)
    start(apart)
    running = submit_job(Deed("walk", {"until": str(until)}))
    walking(apart, ledger, running)
    pulled.open.clear()
    until.touch()
    cut_at = boottime()
    waiting = submit_job(TaskDeed())
    apart.wait_for(lambda: state_of(running) == "Completed", 40, "the running job to end")
    figure("with the cable pulled, the end of a job is known after", boottime() - cut_at)
    pulled.open.set()
    back_at = boottime()
    apart.wait_for(lambda: state_of(waiting) == "Completed", 40, "the waiting job to run")
    figure("the cable is back, and a new job has run after", boottime() - back_at)
    assert boottime() - back_at < 10 * SLACK
    assert problems(ledger, [running, waiting]) == []
    assert begun(running) == 1


def test_a_job_costs_the_broker_three_messages(apart: Site, ledger: Ledger, broker: PrivateBroker) -> None:
    """Start, started, ended; by the broker's own count. Those to announce and to leave come through the rows."""
    start(apart)
    before = broker.received()
    a_job_runs(apart)
    assert broker.received() - before == 3
    jobs = submit_jobs([CrowdDeed() for _ in range(100)])
    all_end(apart, jobs, 40)
    assert broker.received() - before == 3 * 101
    assert problems(ledger, jobs) == []
