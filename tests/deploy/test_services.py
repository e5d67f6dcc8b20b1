"""The services of docker-compose.yml, each by its own command, with its own healthcheck, stopped as Compose does.

There is no Docker here: they are processes of this machine, in a directory that holds what the Dockerfile copies, on
a database of their own and the tests' broker. Of a command only places differ: the port, and where the signs of life
are given.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from tests import brokers
from tests.databases import server_url, settings_for
from tests.deploy.compose import ROOT, in_order, load, seconds
from tests.deploy.test_compose import DOCKERFILE, SECRETS
from tests.private_broker import free_port
from tests.processes import Site, Worker

pytestmark = [pytest.mark.postgresql, pytest.mark.rabbitmq]


@dataclass
class House:
    """The services, and what stands for the network between them."""

    site: Site
    directory: Path
    database: str
    broker: str
    port: int

    def __post_init__(self) -> None:
        self.services: dict[str, Any] = load(SECRETS)["services"]

    def here(self, text: str, name: str) -> str:
        """A part of a command, with this machine's places."""
        database, broker = urlsplit(self.database), urlsplit(self.broker)
        for there, place in {
            "/tmp/health": str(self.directory / "health" / name),
            "8000": str(self.port),
            "127.0.0.1/5672": f"{broker.hostname}/{broker.port or 5672}",
            "--host=127.0.0.1": f"--host={database.hostname}",
        }.items():
            text = text.replace(there, place)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """What Compose sets, with the addresses of this machine; passwords stay apart from them."""
        given = dict(self.services[service].get("environment", {}))
        apart = {"DATABASE_URL": self.database, "JOBSAGA_TRANSPORT": self.broker}
        assert {key: urlsplit(given[key]).password for key in apart} == dict.fromkeys(apart)
        passwords = {"DATABASE_URL": "DATABASE_PASSWORD", "JOBSAGA_TRANSPORT": "JOBSAGA_TRANSPORT_PASSWORD"}
        for key, password in passwords.items():
            parts = urlsplit(apart[key])
            given[key] = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@")).geturl()
            given[password] = parts.password or ""
        image = dict(re.findall(r"(\w+)=(\S+)", re.findall(r"^ENV (.*)$", DOCKERFILE, re.M)[0]))
        return {**image, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **given}

    def command(self, service: str) -> list[str]:
        return [self.here(each, service) for each in self.services[service]["command"]]

    def start(self, service: str, name: str = "") -> Worker:
        command = [self.here(each, name or service) for each in self.services[service]["command"]]
        return self.site.start(*command, **self.environment(service))

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.site.root, env={**os.environ, **self.environment("site")},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def is_healthy(self, service: str, name: str = "") -> bool:
        """What its healthcheck says."""
        kind, *test = (
            self.here(each, name or service) for each in self.services[service]["healthcheck"]["test"]
        )
        command = ["sh", "-c", *test] if kind == "CMD-SHELL" else test
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0

    def answer(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())


@pytest.fixture
def house(site: Site, tmp_path: Path) -> Iterator[House]:
    site.root, site.command = tmp_path / "app", ()
    site.root.mkdir()
    (site.root / "manage.py").write_bytes((ROOT / "manage.py").read_bytes())
    copytree(ROOT / "dashboard", site.root / "dashboard", ignore=ignore_patterns("__pycache__"))
    server = urlsplit(server_url("postgresql"))
    name = f"jobsaga_deploy_{uuid4().hex[:8]}"
    url = server._replace(scheme="postgres", path=f"/{name}").geturl()
    broker = brokers.transport_url()
    with closing(connect(server.path[1:] or "postgres")) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield House(site, tmp_path, url, broker, free_port())
        finally:
            workers = [UUID(str(each)) for each in rows(name, "SELECT id FROM jobsaga_jobinstance")]
            site.close()
            brokers.clean_up(broker, workers)
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def connect(name: str) -> Any:
    import psycopg

    server = settings_for(server_url("postgresql"))
    return psycopg.connect(
        host=server["HOST"], port=server["PORT"] or 5432, user=server["USER"], password=server["PASSWORD"],
        dbname=name, autocommit=True,
    )  # fmt: skip


def rows(name: str, query: str) -> list[Any]:
    with closing(connect(name)) as connection:
        return [row[0] for row in connection.execute(query)]


def test_the_services_start_do_a_job_and_stop(house: House) -> None:
    name = house.database.rpartition("/")[2]
    collect = re.findall(r"python manage.py collectstatic --noinput", DOCKERFILE)
    house.run(*collect[0].split())
    for service in ("database", "broker"):
        assert house.is_healthy(service), service
    house.run(*house.command("migrate"))

    order = [each for each in in_order(house.services) if each not in ("database", "broker", "migrate")]
    names = {"site": ["site"], "sagas": ["sagas"], "worker": ["worker-1", "worker-2"]}
    crew = [(service, each) for service in order for each in names[service]]
    assert [each for each in crew if house.is_healthy(*each)] == [], "not started yet"
    running = {each: house.start(*each) for each in crew}
    for each in crew:
        house.site.wait_for(lambda each=each: house.is_healthy(*each), 40, f"{each} to be healthy")

    message = '{"number": 7}'
    house.run("python", "manage.py", "jobsaga", "submit", "dashboard.QuickJob", message)
    house.site.wait_for(
        lambda: rows(name, "SELECT completed_at FROM jobsaga_jobsaga")[0], what="the job to end"
    )
    workers = rows(name, "SELECT pid FROM jobsaga_jobinstance WHERE state = 1")
    assert {running[each].pid for each in crew if each[0] == "worker"} == set(workers)

    page = house.answer("/admin/login/")
    (style,) = re.findall(r'href="(/static/admin/css/base[^"]*)"', page)
    assert "font-family" in house.answer(style)

    for each, worker in running.items():
        worker.process.terminate()
        allowed = seconds(house.services[each[0]]["stop_grace_period"])
        assert worker.process.wait(allowed) in ((0, -15) if each[0] == "site" else (0,)), worker.log()
    assert [each for each in crew if house.is_healthy(*each)] == []
    assert SECRETS["SECRET_KEY"] not in house.site.log()
