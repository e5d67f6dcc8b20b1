"""The API: two addresses that give events, and the rest under v1. What it answers is what its document says."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobsaga.client import explain_job
from jobsaga.conf import settings
from jobsaga.consumers import consumers, job_consumer
from jobsaga.live import shell
from jobsaga.live.api.answers import streamed
from jobsaga.live.api.openapi import CONVERTER
from jobsaga.live.api.urls import ROUTES
from jobsaga.messages import FinalizeJob
from jobsaga.models import JobHistory
from jobsaga.sagas import JobStates
from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World
from tests.live import scenes
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE

UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
def world(db: None) -> World:
    return World(DatabasePlace(None))


def address(name: str, *args: Any) -> str:
    return reverse(f"jobsaga_api:{name}", args=args)


def get(client: Client, name: str, *args: Any, status: int = 200, **query: str) -> Any:
    answer = client.get(address(name, *args), query)
    assert answer.status_code == status, answer.content
    return answer.json()


def post(client: Client, name: str, *args: Any, status: int = 200, **body: Any) -> Any:
    answer = client.post(address(name, *args), json.dumps(body), content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def one_job(world: World) -> UUID:
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    for step in (1, 2, 3):
        worker.log(start, f"Completed step {step}.", status=f"Step {step}")
    world.lap()
    worker.complete(start)
    world.lap()
    return job_id


def test_the_addresses_are_those_that_were_promised() -> None:
    assert address("recent-events") == "/api/jobs"
    job_id = uuid4()
    assert address("job-events", job_id) == f"/api/jobs/{job_id}"


def test_all_events_of_a_job_in_chronological_order_also_when_it_is_gone(
    client: Client, world: World
) -> None:
    job_id, other = one_job(world), world.submit()
    rows = get(client, "job-events", job_id)
    assert [row["status"] for row in rows] == [
        "WaitingForSlot", "StartingJobAttempt", "Started", "Step 1", "Step 2", "Step 3", "Completed",
    ]  # fmt: skip
    assert {row["jobId"] for row in rows} == {str(job_id)}
    assert rows[3]["message"] == "Completed step 1."
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(isinstance(row["id"], str) and UTC_TIME.fullmatch(row["timestampUtc"]) for row in rows)
    times = [row["timestampUtc"] for row in rows]
    assert times == sorted(times)
    world.command(FinalizeJob(job_id=job_id))
    assert len(get(client, "job-events", job_id)) == len(rows) + 1
    assert get(client, "job-events", other)
    assert get(client, "job-events", uuid4(), status=404)["error"] == "no-such-job"


def test_all_of_very_many_events_come_in_order_and_are_never_in_memory_at_once(
    client: Client, world: World
) -> None:
    job_id, many = world.submit(), 50_000
    rows = JobHistory.objects.using(settings.DATABASE)
    said, begin = "x" * 200, shell.now()
    lines = (  # as they may come: not quite in the order of their time
        JobHistory(
            job_id=job_id,
            kind="JobLog",
            sequence=n,
            message=f"{n} {said}",
            at=begin + timedelta(seconds=n ^ 3),
        )
        for n in range(many)
    )
    rows.bulk_create(lines, batch_size=2000)
    expected = list(rows.filter(job_id=job_id).order_by("at", "id").values_list("id", flat=True))
    with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
        answer: Any = client.get(address("job-events", job_id))
        tracemalloc.start()
        ids = re.compile(rb'"id":"(\d+)"')
        parts = [[int(each) for each in ids.findall(part)] for part in answer.streaming_content]
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert [each for part in parts for each in part] == expected
    assert most < 12_000_000, "the text alone is more than 10 MB, the rows as objects many times that"
    asked = [each for each in queries.captured_queries if "jobsaga_jobhistory" in each["sql"]]
    assert len(asked) == 2 + many // 500
    text = b"".join(client.get(address("job-events", job_id)).streaming_content)  # type: ignore[attr-defined]
    assert [int(row["id"]) for row in json.loads(text)] == expected


def test_the_newest_200_events_of_all_jobs(client: Client, world: World) -> None:
    assert get(client, "recent-events") == []
    first = world.submit()
    world.submit_many(220)
    rows = get(client, "recent-events")
    assert len(rows) == 200
    ids = [int(row["id"]) for row in rows]
    assert ids == sorted(ids, reverse=True)
    assert str(first) not in {row["jobId"] for row in rows}


def test_a_list_comes_in_pages_and_formats(client: Client, world: World) -> None:
    jobs = {str(each) for each in world.submit_many(5)}
    first = get(client, "jobs", size="3", q="state:waiting")
    rest = get(client, "jobs", size="3", q="state:waiting", before=first["before"])
    assert {each["jobId"] for each in first["jobs"] + rest["jobs"]} == jobs
    assert rest["before"] is None
    lines = b"".join(client.get(address("jobs"), {"format": "ndjson"}).streaming_content).splitlines()  # type: ignore[attr-defined]
    assert {json.loads(line)["jobId"] for line in lines} == jobs
    text = b"".join(client.get(address("jobs"), {"format": "csv"}).streaming_content).decode()  # type: ignore[attr-defined]
    table = list(csv.DictReader(text.splitlines()))
    assert {row["jobId"] for row in table} == jobs


def test_a_cell_is_never_a_formula(client: Client, world: World) -> None:
    world.submit(actor="=cmd|'/c calc'!A0")
    text = b"".join(client.get(address("recent-events"), {"format": "csv"}).streaming_content).decode()  # type: ignore[attr-defined]
    (row,) = csv.DictReader(text.splitlines())
    assert row["actor"] == "'=cmd|'/c calc'!A0"


@pytest.mark.parametrize(
    ("name", "query", "error"),
    [
        ("jobs", {"q": "stat:x"}, "search-not-understood"),
        ("jobs", {"before": "x"}, "unknown-cursor"),
        ("jobs", {"size": "0"}, "bad-size"),
        ("jobs", {"size": "9" * 50}, "bad-size"),
        ("jobs", {"format": "xml"}, "unknown-format"),
    ],
)
def test_what_is_not_understood_is_said(client: Client, name: str, query: dict[str, str], error: str) -> None:
    assert get(client, name, status=400, **query)["error"] == error


def test_a_job_with_its_reasons_attempts_and_input(client: Client, someone: Someone) -> None:
    ids = scenes.usual_day()
    waiting = get(client, "job", ids["waiting"])
    why = explain_job(ids["waiting"])
    assert [(each["code"], each["title"]) for each in waiting["reasons"]] == [(why.code, why.sentence)]
    running = get(client, "job", ids["running"])
    assert running["worker"] == "render-1:4121"
    assert running["progressValue"] == 5109
    assert running["attempts"][0]["state"] == "Running"
    assert running["input"]["source"] == "/media/in/s01e04.mkv"
    assert running["savedState"] == {"frame": 5109}
    viewer = get(someone("view_jobsaga"), "job", ids["running"])
    assert viewer["input"] is viewer["savedState"] is viewer["properties"] is None
    after = get(client, "events", ids["faulted"])[2]["id"]
    assert all(int(each["id"]) > int(after) for each in get(client, "events", ids["faulted"], after=after))


def test_the_other_lists(client: Client) -> None:
    ids = scenes.usual_day()
    types = {each["name"]: each for each in get(client, "types")}
    assert (types[scenes.CONVERT]["slotsHeld"], types[scenes.CONVERT]["capacity"]) == (3, 3)
    assert types["reports.MonthEnd"]["waiting"] == 1
    workers = get(client, "workers")
    assert str(ids["running"]) in next(each for each in workers if each["host"] == "render-1")["running"]
    in_german = client.get(address("workers"), headers={"Accept-Language": "de"}).json()
    assert [each["state"] for each in in_german] == [each["state"] for each in workers]
    assert {each["state"] for each in workers} <= {"running", "silent", "lost", "stopping", "stopped"}
    assert get(client, "stats")["faulted"] == 1


def test_health_is_a_status_too(client: Client, world: World) -> None:
    world.worker()
    assert {each["state"] for each in get(client, "health")} <= {"good", "warn"}
    job_id = world.submit()
    world.place.rows("JobSaga").filter(pk=job_id).update(  # type: ignore[attr-defined]
        state=JobStates.WAITING_TO_RETRY.value, due_at="2026-01-01T00:00:00Z"
    )
    checks = get(client, "health", status=503)
    assert checks[0]["state"] == "bad"


def test_commands(client: Client, world: World) -> None:
    job_id = world.submit()
    stale = post(client, "cancel", job_id, status=409, expectedVersion=99)
    assert "has changed since you looked" in stale["refused"]
    assert post(client, "cancel", job_id, reason="late") == {
        "jobId": str(job_id), "state": "Canceled", "refused": "", "remark": "",
    }  # fmt: skip
    assert world.history(job_id)[-1].message == "late"
    assert post(client, "cancel", job_id, status=409)["refused"] == "the job has ended already"
    assert post(client, "retry", job_id)["state"] == "WaitingForSlot"
    assert post(client, "finalize", job_id, status=409)["state"] == "WaitingForSlot"
    post(client, "cancel", job_id)
    assert post(client, "finalize", job_id)["state"] == "Final"
    assert post(client, "retry", uuid4(), status=404)["error"] == "no-such-job"


def test_a_body_is_checked(client: Client, world: World) -> None:
    url = address("cancel", world.submit())
    for body, kind, status in (
        ("{", "application/json", 400),
        ('{"expectedVersion": "1"}', "application/json", 400),
        ('{"reason": "a\\u0000"}', "application/json", 400),
        ("reason=x", "application/x-www-form-urlencoded", 415),
        ('{"reason": "' + "x" * 20_000 + '"}', "application/json", 413),
    ):
        assert client.post(url, body, content_type=kind).status_code == status, body[:40]


def test_submit(client: Client) -> None:
    with consumers.temporary():
        job_consumer(job_type_name="api.Nothing")(lambda context: None)
        done = post(
            client, "submit", status=201, jobType="api.Nothing", properties={"tenant": "acme"}, priority=2
        )
        wrong = post(client, "submit", status=422, jobType="api.Nothing", message={"x": 1})
    assert wrong["error"] == "invalid-message"
    assert "message.x is unknown" in wrong["detail"]
    stored = get(client, "job", done["jobId"])
    assert (stored["priority"], stored["submittedBy"], stored["properties"]) == (2, "ada", {"tenant": "acme"})
    assert post(client, "submit", status=422, jobType="no.Such")["error"] == "unknown-job-type"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_who_may_ask(someone: Someone, world: World, route: Any) -> None:
    args = {"uuid": [world.submit()], "path": [TYPE]}
    url = address(route.name, *next((args[kind] for kind in args if f"<{kind}:" in route.address), []))
    ask = {
        "get": lambda who: who.get(url),
        "post": lambda who: who.post(url, "{}", content_type="application/json"),
    }
    assert ask[route.method](Client()).status_code == 401
    assert ask[route.method](someone("view_deadletter")).status_code == 403
    other = "get" if route.method == "post" else "post"
    viewer = ask[route.method](someone("view_jobsaga"))
    assert viewer.status_code == (403 if route.method == "post" else 200), viewer.content
    refused = ask[other](someone("view_jobsaga"))
    assert (refused.status_code, refused.json()["error"]) == (405, "method-not-allowed")
    assert route.method.upper() in refused.headers["Allow"]


@pytest.mark.parametrize(
    "url", ["/api/jobs/7", "/api/v1/jobs/x/cancel", "/api/v1/types/a", "/api/v1/workers/a/b"]
)
def test_where_nothing_is_that_is_said_as_json(client: Client, url: str) -> None:
    assert Client().get(url).status_code == 401
    for answer in (client.get(url), client.post(url, "{}", content_type="application/json")):
        assert (answer.status_code, answer.json()["error"]) == (404, "no-such-address")


def test_a_session_needs_its_token_to_post(client: Client, world: World) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert (
        strict.post(address("cancel", world.submit()), "{}", content_type="application/json").status_code
        == 403
    )


def test_the_document_has_every_address_and_every_answer_fits_it(client: Client) -> None:
    ids = scenes.usual_day()
    document = get(client, "openapi")
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/api"}]
    assert len(document["paths"]) == len(ROUTES)
    for route in ROUTES:
        if route.method != "get" or route.content != "application/json":
            continue
        path = "/" + CONVERTER.sub(r"{\2}", route.address)
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        answer = client.get(address(route.name, *([ids["faulted"]] if "{" in path else []))).json()
        fits(schema, answer, document["components"]["schemas"], path)


def fits(schema: dict[str, Any], value: Any, known: dict[str, Any], where: str) -> None:
    """The value is what the schema says, as far as the schemas of the API go."""
    if "$ref" in schema:
        return fits(known[schema["$ref"].rpartition("/")[2]], value, known, where)
    if "anyOf" in schema:
        kinds = {"null": type(None), "string": str, "number": (int, float), "integer": int, "object": dict}
        assert any(
            "type" not in each or isinstance(value, kinds[each["type"]]) for each in schema["anyOf"]
        ), where
        return None
    kind = schema.get("type")
    if kind == "array":
        assert isinstance(value, list), where
        for each in value:
            fits(schema["items"], each, known, f"{where}[]")
    elif kind == "object" and "properties" in schema:
        assert set(schema.get("required", ())) <= set(value) <= set(schema["properties"]), where
        for name, each in value.items():
            fits(schema["properties"][name], each, known, f"{where}.{name}")
    elif kind is not None:
        wanted = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict}[
            kind
        ]
        assert isinstance(value, wanted), (where, value)
    return None


def test_under_asgi_it_is_sent_while_it_is_read(world: World) -> None:
    """Django collects what a plain iterator gives before it sends anything; of an async one it waits for each part."""
    request = ASGIRequest({"type": "http", "method": "GET", "path": "/", "headers": []}, BytesIO())
    taken: list[int] = []

    def parts() -> Iterator[bytes]:
        for number in range(1000):
            taken.append(number)
            yield b"x"

    async def first() -> bytes:
        answer: Any = streamed(request, parts(), "text/plain")
        assert answer.is_async
        return await anext(aiter(answer.streaming_content))

    assert asyncio.run(first()) == b"x" * 200
    assert len(taken) == 200
