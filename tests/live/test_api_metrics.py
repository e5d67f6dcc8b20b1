"""The metrics are what Prometheus reads, say what the rows say, and cost the same however many rows there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from jobsaga.conf import settings
from jobsaga.live import shell
from jobsaga.live.api.metrics import Metric, written
from jobsaga.live.queries import metrics as metric_queries
from jobsaga.live.tokens import make
from jobsaga.models import DeadLetter, JobSaga
from jobsaga.sagas.states import JobStates
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live import scenes
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE

URL = "/api/v1/metrics"
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Values:
    """Every value by its name and labels, as Prometheus' own parser reads them."""
    found: Values = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def read(client: Client) -> Values:
    answer = client.get(URL)
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(answer.content.decode())


def value(found: Values, name: str, **labels: str) -> float | None:
    return found.get((f"jobsaga_{name}", frozenset(labels.items())))


def test_they_say_what_the_rows_say(client: Client) -> None:
    scenes.usual_day()
    found = read(client)

    def of(name: str, job_type: str = scenes.CONVERT, **labels: str) -> float | None:
        return value(found, name, job_type=job_type, **labels)

    assert (of("jobs", state="running"), of("jobs", state="waiting")) == (3, 2)
    assert of("jobs", scenes.CALL, state="retrying") == 1
    assert of("jobs", scenes.PACK, state="scheduled") == 1
    assert (of("slots_held"), of("slots"), of("worker_job_limit"), of("type_workers")) == (3, 3, 1, 2)
    assert of("global_job_limit") is None
    assert of("global_job_limit", scenes.RUN) == 2
    assert of("type_paused") == 0
    assert 0 < (of("oldest_waiting_seconds") or 0) < 3600
    assert of("oldest_waiting_seconds", scenes.CALL) is None
    assert value(found, "workers", state="running") == 2
    assert value(found, "workers", state="lost") == 0
    assert value(found, "workers_drained") == 0
    assert value(found, "dead_letters") == value(found, "overdue_deadlines") == 0


def test_what_goes_wrong_is_there(client: Client) -> None:
    scenes.overloaded()
    letters = DeadLetter.objects.using(settings.DATABASE)
    letters.bulk_create(DeadLetter(at=shell.now(), endpoint="saga", body="", reason="") for _ in range(3))
    late = JobSaga.objects.using(settings.DATABASE).filter(state=JobStates.WAITING_FOR_SLOT.value).first()
    assert late is not None
    JobSaga.objects.using(settings.DATABASE).filter(pk=late.pk).update(
        state=JobStates.WAITING_TO_RETRY.value, due_at=shell.now() - timedelta(hours=1)
    )
    found = read(client)
    assert (value(found, "workers", state="running"), value(found, "workers", state="lost")) == (5, 1)
    assert value(found, "dead_letters") == 3
    assert (value(found, "overdue_deadlines") or 0) >= 1


def test_a_label_is_escaped() -> None:
    for name in ('a"b', "a\\b", "a\nb", 'a\\"\n\\n', "é中,}={ "):
        text = written([Metric("jobs", "Jobs.", [({"job_type": name, "state": "x"}, 1234567.0), ({}, 0.25)])])
        assert parsed(text) == {
            ("jobsaga_jobs", frozenset({("job_type", name), ("state", "x")})): 1234567,
            ("jobsaga_jobs", frozenset()): 0.25,
        }
        assert len(text.splitlines()) == 4 or "\n" not in name


def test_a_token_that_may_read_is_needed_and_sees_its_types_only(someone: Someone) -> None:
    world = World(DatabasePlace(None))
    world.submit("videos.Film")
    world.submit("audio.Mix")
    ada = get_user_model().objects.create_superuser("ada", password="x")

    def robot(name: str, *scopes: str, **more: Any) -> Client:
        return Client(headers={"authorization": f"Bearer {make(name, ada, scopes, **more)[1]}"})

    assert Client().get(URL).status_code == 401
    assert someone("submit_job").get(URL).status_code == 403
    assert robot("no", "steer", "submit").get(URL).status_code == 403
    labels = {dict(labels).get("job_type") for _, labels in read(robot("all", "read"))}
    assert {"videos.Film", "audio.Mix"} <= labels
    labels = {dict(labels).get("job_type") for _, labels in read(robot("some", "read", types=["videos.*"]))}
    assert labels == {"videos.Film", None}


def test_they_ask_as_many_statements_of_many_rows_as_of_few(client: Client) -> None:
    counted = []
    world = World(DatabasePlace(None))
    for many in (1, 40):
        for number in range(many):
            world.submit(f"type{number}.{many}")
            world.submit(f"type{number}.{many}", start_at=shell.now() + timedelta(hours=1))
        world.worker(types=[f"type{number}.{many}" for number in range(many)], limit=many)
        world.lap()
        with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
            metric_queries.read(settings.DATABASE, shell.now())
        asked = [each["sql"] for each in queries.captured_queries]
        counted.append(len(asked))
        assert not [sql for sql in asked if "jobsaga_jobhistory" in sql]
    assert counted[0] == counted[1] <= 11, counted


def test_what_is_due_is_counted_up_to_a_bound_and_the_first_of_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_queries, "COUNTED", 5)
    world = World(DatabasePlace(None))
    for hours in range(1, 9):
        world.submit("later.Job", start_at=shell.now() + timedelta(hours=hours))
    job_id = world.submit("soon.Job")
    rows = JobSaga.objects.using(settings.DATABASE)
    rows.filter(pk=job_id).update(
        state=JobStates.WAITING_TO_RETRY.value, due_at=shell.now() + timedelta(minutes=1)
    )
    found = read(client)
    assert value(found, "jobs", job_type="soon.Job", state="retrying") == 1
    assert value(found, "jobs", job_type="later.Job", state="scheduled") == 4
