"""Who may live where, with RabbitMQ between them: several saga hosts, and workers with nothing but two addresses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connections

from jobsaga import submit_jobs
from jobsaga.models import JobSaga
from jobsaga.pulse import ALIVE, READY
from tests.databases import url_for
from tests.faults.conftest import wait_for_workers
from tests.faults.ledger import ALIAS, Ledger, problems
from tests.faults.proxy import Proxy
from tests.jobsapp.jobs.faults import Deed, TaskDeed, ThreadDeed
from tests.private_broker import at
from tests.processes import Site, Worker

pytestmark = [pytest.mark.postgresql, pytest.mark.rabbitmq]
COMPLETED = JobSaga.objects.using(ALIAS).filter(completed_at__isnull=False)
TCP_ESTABLISHED, TCP_LISTEN = "01", "0A"


@pytest.fixture
def gates() -> Iterator[Callable[[str, int], Proxy]]:
    made: list[Proxy] = []

    def make(host: str, port: int) -> Proxy:
        made.append(Proxy((host, port)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_workers_elsewhere_need_two_addresses_and_saga_hosts_may_come_and_go(
    quick: Site, ledger: Ledger, gates: Callable[[str, int], Proxy]
) -> None:
    hosts = [quick.worker("--sagas-only") for _ in range(3)]
    settings = connections[ALIAS].settings_dict
    broker = urlsplit(quick.jobsaga["TRANSPORT"])
    database_gate = gates(settings["HOST"], int(settings["PORT"] or 5432))
    broker_gate = gates(broker.hostname or "", broker.port or 5672)
    here = quick.jobsaga["TRANSPORT"]
    quick.jobsaga["TRANSPORT"] = at(here, broker_gate.port)
    elsewhere = url_for({**settings, "HOST": "127.0.0.1", "PORT": str(database_gate.port)})
    workers = [quick.worker("--jobs-only", JOBSAGA_TEST_DATABASE=elsewhere) for _ in range(2)]
    quick.jobsaga["TRANSPORT"] = here
    wait_for_workers(quick, 2, 40)

    jobs = submit_jobs(
        [kind("tick", {"seconds": 0.05}) for kind in (Deed, ThreadDeed, TaskDeed) for _ in range(30)]
    )
    quick.wait_for(lambda: COMPLETED.filter(id__in=jobs).count() >= 10, 40, "the first ten to end")
    quick.kill_tree(hosts[0])
    assert {port for worker in workers for port in reached(worker)} == {database_gate.port, broker_gate.port}
    quick.wait_for(
        lambda: COMPLETED.filter(id__in=jobs).count() >= 30, 40, "others to end without the first host"
    )
    assert quick.stop(hosts[1]) == 0
    quick.wait_for(lambda: COMPLETED.filter(id__in=jobs).count() == len(jobs), 60, "all to end with one host")
    assert hosts[2].alive
    assert problems(ledger, jobs) == []


@pytest.mark.parametrize("option", ["--jobs-only", "--sagas-only"])
def test_without_its_broker_a_process_is_alive_and_not_ready(
    quick: Site, gates: Callable[[str, int], Proxy], tmp_path: Path, option: str
) -> None:
    broker = urlsplit(quick.jobsaga["TRANSPORT"])
    gate = gates(broker.hostname or "", broker.port or 5672)
    here = quick.jobsaga["TRANSPORT"]
    quick.jobsaga["TRANSPORT"] = at(here, gate.port)
    process = quick.worker(option, "--health-dir", str(tmp_path / "health"))
    quick.jobsaga["TRANSPORT"] = here
    alive, ready = tmp_path / "health" / ALIVE, tmp_path / "health" / READY
    quick.wait_for(ready.exists, 40, "it to be ready")
    gate.close()
    quick.wait_for(lambda: not ready.exists(), what="it to miss its broker")
    seen = alive.stat().st_mtime
    quick.wait_for(lambda: alive.stat().st_mtime > seen + 2, what="it to be alive all the same")
    assert not ready.exists()
    assert process.alive


def reached(worker: Worker) -> set[int]:
    """The ports of others that the processes of this worker are connected to; what it listens at counts as -1."""
    found: set[tuple[int, int]] = set()
    for pid in worker.tree():
        own: set[str] = set()
        with suppress(OSError):
            own = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}
        for table in ("tcp", "tcp6"):
            for line in _lines(Path(f"/proc/{pid}/net/{table}")):
                _, local, remote, state, *more = line.split()
                if f"socket:[{more[5]}]" in own and state in (TCP_ESTABLISHED, TCP_LISTEN):
                    found.add((_port(local), _port(remote) if state == TCP_ESTABLISHED else -1))
    # pika wakes its thread through a connection with itself.
    return {remote for _, remote in found} - {local for local, _ in found}


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()[1:]
    except OSError:
        return []
