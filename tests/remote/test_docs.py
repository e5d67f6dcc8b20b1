"""The page on other services: its tables are the code's, and its examples run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobsaga.models import JobSaga
from jobsaga.remote import JobClient, contract
from jobsaga.remote.schema import schema, text
from jobsaga.transport.rabbitmq.requests import Requests
from tests.brokers import transport_url
from tests.faults.ledger import ALIAS
from tests.private_broker import PrivateBroker
from tests.processes import ROOT, wait_for
from tests.remote.conftest import GIVE, TYPE, letters, open_desk

PAGE = (ROOT / "docs/remote.md").read_text()
BROKER = "amqp://shop@rabbit.example.com/shop"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def rows() -> dict[str, str]:
    """First and second cell of every row of a table that begins with a word in backquotes."""
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", PAGE, re.M))


def test_the_schema_is_that_of_the_classes() -> None:
    """After a change: ``python -m jobsaga.remote.schema > docs/remote-contract.schema.json``."""
    assert (ROOT / "docs/remote-contract.schema.json").read_text() == text()


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    made = schema()
    leads = set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(made)))
    assert leads == set(made["$defs"])


def test_every_request_with_its_fields() -> None:
    told = rows()
    for kind in contract.REQUEST_TYPES:
        fields = set(re.findall(r"`(\w+)`", told[kind.__name__])) - {"id"}
        if kind is contract.ScheduleJob:
            assert fields == {"start"}
        else:
            assert fields == set(kind.__struct_fields__), kind


def test_every_code_of_a_fault() -> None:
    faults = PAGE.partition("## Faults")[2].partition("##")[0]
    assert re.findall(r"^\| `(\w+)`", faults, re.M) == list(contract.CODES)


def test_the_envelope_is_one() -> None:
    (example,) = blocks("json")
    _, request = contract.decode_request(example.encode())
    assert isinstance(request, contract.SubmitJob)


def here(code: str, url: str) -> str:
    """An example as it is for a test's broker and the test app."""
    prefix = url.partition("queue_prefix=")[2]
    code = code.replace("amqp://shop:...@rabbit.example.com/shop", url.partition("?")[0])
    code = code.replace(BROKER, url).replace('password="..."', 'password="guest"')
    code = code.replace("videos.ConvertVideo", TYPE).replace("videos.ConvertVidoe", TYPE[:-1])
    code = code.replace("jobsaga.v1.requests", f"{prefix}.v1.requests")
    return code.replace('{"path": "/media/cat.mov"}', json.dumps(GIVE))


@pytest.mark.rabbitmq
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("code", blocks("python"), ids=["client", "again", "pika"])
def test_the_examples_in_python(
    code: str, desk: Requests, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    exec("from jobsaga.remote import JobClient, RemoteTimeout\n", names)
    wait_for(lambda: desk._answers is not None, 20, "the desk to open")
    exec(compile(here(code, url), "docs/remote.md", "exec"), names)
    printed = capsys.readouterr().out
    assert JobSaga.objects.using(ALIAS).count() == 1
    for said in re.findall(r"print\(.*# ([A-Z]\w+)", code):
        assert said in printed


@pytest.mark.rabbitmq
@pytest.mark.timeout(240)
@pytest.mark.django_db(transaction=True)
def test_the_examples_in_a_shell(managed: PrivateBroker, tmp_path: Path) -> None:
    """All of them, each as it stands."""
    url = transport_url(managed.url)
    desk = open_desk(url)
    try:
        wait_for(lambda: desk._answers is not None, 60, "the desk to open")
        (tmp_path / "message.json").write_text(json.dumps(GIVE))
        for block in blocks("console"):
            script = re.sub(r"^\$ ", "", here(block, url), flags=re.M).replace(
                "python -m", f"{sys.executable} -m"
            )
            script = script.replace("JOBSAGA_PASSWORD=...", "JOBSAGA_PASSWORD=guest").replace(
                "shop:...", "guest:guest"
            )
            script = script.replace(r"{\"path\": \"/media/cat.mov\"}", json.dumps(json.dumps(GIVE))[1:-1])
            script = script.replace("rabbit.example.com:15672", f"127.0.0.1:{managed.http_port}")
            script = script.replace("/api/exchanges/shop/", "/api/exchanges/%2F/")
            run(script, tmp_path)
        wait_for(lambda: JobSaga.objects.using(ALIAS).count() == 4, 20, "four jobs")
    finally:
        desk.close()
    assert letters() == []


@pytest.mark.rabbitmq
@pytest.mark.timeout(240)
@pytest.mark.django_db(transaction=True)
def test_the_rights_that_a_service_needs(managed: PrivateBroker) -> None:
    said = re.search(r"`rabbitmqctl set_permissions --vhost shop (.*?)`", PAGE)
    assert said
    managed.ctl("add_user", "billing", "secret")
    managed.ctl("set_permissions", "--vhost", "/", *shlex.split(said[1]))
    url = transport_url(managed.url)
    desk = open_desk(url)
    try:
        wait_for(lambda: desk._answers is not None, 60, "the desk to open")
        with JobClient(url.replace("guest:guest", "billing:secret")) as client:
            job_id = client.submit_job(TYPE, GIVE)
            assert client.get_job_state(job_id).current_state == "WaitingForSlot"
    finally:
        desk.close()


def run(script: str, directory: Path) -> None:
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=directory, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
