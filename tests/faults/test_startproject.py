"""An unedited startproject: its settings, its SQLite, its manage.py; jobsaga and an app are all that is added."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.processes import ROOT, Site, Worker

pytestmark = pytest.mark.process

JOBS = """
from dataclasses import dataclass
from pathlib import Path
from jobsaga import job_consumer

@dataclass
class Order:
    number: int

@job_consumer(Order, concurrent_job_limit=5)
def deliver(context):
    print("delivered by version 1")
"""
URLS = """
from django.http import HttpResponse
from jobsaga import submit_job
from shop.jobs import Order

def order(request, number):
    return HttpResponse(submit_job(Order(number)))

urlpatterns += [path("order/<int:number>/", order)]
"""


class Project(Site):
    """Its processes know nothing of the tests' settings."""

    def environment(self, **extra: str) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith(("JOBSAGA", "DJANGO"))}
        return {
            **ours,
            "JOBSAGA_TEST_SITE": self.mark,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **extra,
        }

    def states(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        with sqlite3.connect(self.root / "db.sqlite3", timeout=20) as database:
            rows = database.execute("SELECT state, count(*) FROM jobsaga_jobsaga GROUP BY state").fetchall()
        database.close()
        return {{7: "Completed"}.get(state, str(state)): count for state, count in rows}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    root = tmp_path / "project"
    root.mkdir()
    project = Project(tmp_path, root=root, command=(sys.executable, "-m", "django"))
    project.manage("startproject", "shopping", ".")
    project.command = (sys.executable, "manage.py")
    project.manage("startapp", "shop")
    with (root / "shopping/settings.py").open("a") as settings:
        settings.write('\nINSTALLED_APPS += ["jobsaga", "shop"]\n')
    with (root / "shopping/urls.py").open("a") as urls:
        urls.write(URLS)
    (root / "shop/jobs.py").write_text(JOBS)
    project.manage("migrate")
    yield project
    project.close()
    print(project.log())


def test_two_workers_and_a_web_process_share_an_unedited_sqlite(project: Project) -> None:
    workers = [project.worker(), project.worker()]
    web = project.start("runserver", "--noreload", "127.0.0.1:0")
    address = project.wait_for(lambda: address_of(web), what="the web server")
    with ThreadPoolExecutor(4) as browsers:
        answers = list(browsers.map(lambda number: visit(f"{address}order/{number}/"), range(200)))
    assert answers == [200] * 200
    project.wait_for(lambda: project.states() == {"Completed": 200}, 60, "all orders to be delivered")
    assert "OperationalError" not in project.log()
    assert "jobsaga.W001" in workers[0].log(), "what the settings lack is said"
    assert [project.stop(worker) for worker in workers] == [0, 0]


def address_of(web: Worker) -> str | None:
    """What the server says it listens on."""
    found = [word for word in web.log().split() if word.startswith("http://127.0.0.1:")]
    return found[0] if found else None


def visit(url: str) -> int:
    with urlopen(url, timeout=30) as answer:
        return int(answer.status)


def test_reload_starts_again_when_the_code_changes(project: Project) -> None:
    worker = project.worker("--reload")
    project.wait_for(lambda: "is ready" in worker.log(), what="the worker to be ready")
    project.manage("jobsaga", "submit", "shop.Order", '{"number": 1}')
    project.wait_for(lambda: "delivered by version 1" in worker.log(), what="the first delivery")
    jobs = project.root / "shop/jobs.py"
    jobs.write_text(JOBS.replace("version 1", "version 2"))
    project.wait_for(lambda: worker.log().count("is ready") == 2, what="the worker to start again")
    project.manage("jobsaga", "submit", "shop.Order", '{"number": 2}')
    project.wait_for(lambda: "delivered by version 2" in worker.log(), what="the second delivery")
    assert project.stop(worker) == 0
    project.wait_for(lambda: not worker.tree(), what="all its processes to be gone")
