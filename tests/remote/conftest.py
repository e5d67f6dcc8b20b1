"""A desk without a broker, and one at a broker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobsaga.desk.desk import Desk
from jobsaga.models import DeadLetter, JobHistory
from jobsaga.remote import contract
from jobsaga.remote.client import JobClient
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.requests import Asked, Requests
from tests.brokers import clean_up, transport_url
from tests.client.conftest import world  # noqa: F401 - a fixture
from tests.faults.ledger import ALIAS
from tests.private_broker import PrivateBroker, free_port
from tests.threads import close_connections

TYPE = "jobsapp.ActInProcess"
GIVE = {"what": "give", "args": {}}


class Counter:
    """Asks a desk as a service would, and reads what it is answered."""

    def __init__(self) -> None:
        self.desk = Desk(lambda queue: queue.startswith("ours."))

    def ask(self, request: contract.Request, request_id: UUID | None = None, **more: Any) -> Any:
        return self.say(contract.encode(request, request_id or uuid4()), **more)

    def say(self, body: bytes, reply_to: str = "me", correlation_id: str = "", tries: int = 0) -> Any:
        """The answer; None: there was none."""
        answer = self.desk.handle(Asked(body, reply_to, correlation_id, tries))
        return None if answer is None else contract.decode_reply(answer.body)

    def submit(self, **more: Any) -> UUID:
        return self.ask(contract.SubmitJob(job_type=TYPE, message=GIVE, **more)).job_id  # type: ignore[no-any-return]


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def url() -> Iterator[str]:
    """Queues of this test's own."""
    url = transport_url()
    yield url
    clean_up(url)


@pytest.fixture
def desk(url: str, transactional_db: None) -> Iterator[Requests]:
    """A desk at the test's queues."""
    requests = open_desk(url)
    yield requests
    requests.close()


@pytest.fixture(scope="session")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """A broker that may be stopped, with the management plugin."""
    broker = PrivateBroker(tmp_path_factory.mktemp("rabbitmq"), http_port=free_port())
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def open_desk(url: str) -> Requests:
    """A desk in a thread of its own, as beside a saga host."""
    address = Address(url)
    requests = Requests(address, Desk(address.queues.are).handle, ended=close_connections)
    requests.start()
    return requests


@pytest.fixture
def client(url: str) -> Iterator[JobClient]:
    with JobClient(url, timeout=20) as client:
        yield client


def letters() -> list[tuple[str, str]]:
    """Endpoint and reason of all dead letters, the oldest first."""
    rows = DeadLetter.objects.using(ALIAS).order_by("id")
    return list(rows.values_list("endpoint", "reason"))


def history(job_id: UUID) -> list[tuple[str, str]]:
    """What happened to a job, and who did it."""
    rows = JobHistory.objects.using(ALIAS).filter(job_id=job_id).order_by("id")
    return list(rows.values_list("kind", "actor"))
