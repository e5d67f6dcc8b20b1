"""What the pages read is bounded, however many jobs ended in an hour or wait for their time; and they say so."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobsaga.conf import settings
from jobsaga.live import patches, queries
from jobsaga.live.queries import counts, failures, now, workers
from jobsaga.sagas import JobStates
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE
from tests.live.test_pages import text_of
from tests.store.rows import job, write

pytestmark = EVERYWHERE

BEGIN_WITH_THE_STATE = ("jobsaga_job_retry", "jobsaga_job_ended", "jobsaga_job_waiting", "jobsaga_job_key")


@pytest.fixture
def place(db: None) -> DatabasePlace:
    return DatabasePlace(None)


def ended(place: DatabasePlace, at: datetime, number: int) -> None:
    """So many jobs that completed, a second apart, the last one at this time."""
    times = [at - timedelta(seconds=n) for n in range(number)]
    write(place, jobs=[job(state=JobStates.COMPLETED, finished_at=each) for each in times])


@pytest.fixture
def five(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five are read, where it is 10,000 otherwise."""
    monkeypatch.setattr(queries, "COUNTED", 5)
    monkeypatch.setattr(now, "COUNTED", 5)


def test_the_chart_is_drawn_from_the_last_that_ended(place: DatabasePlace, five: None) -> None:
    at = timezone.now()
    ended(place, at, 5)
    minutes, since = now.throughput(settings.DATABASE, at)
    assert (sum(each.completed for each in minutes), since) == (5, None)
    ended(place, at - timedelta(minutes=10), 3)
    minutes, since = now.throughput(settings.DATABASE, at)
    assert (sum(each.completed for each in minutes), since) == (5, at - timedelta(minutes=10))


def test_the_page_says_when_the_chart_shows_less(client: Client, place: DatabasePlace, five: None) -> None:
    address = reverse("jobsaga_live:now")
    ended(place, timezone.now(), 5)
    said = text_of(client.get(address).content.decode())
    assert "Last hour 5 ended" in said
    assert "Drawn are the last" not in said
    ended(place, timezone.now(), 3)
    said = text_of(client.get(address).content.decode())
    assert "Last hour 5+ ended" in said
    assert "Drawn are the last 5, since " in said


@pytest.mark.django_db(transaction=True, databases="__all__")  # on MariaDB to analyze is to commit
def test_what_tries_again_is_found_without_a_walk_over_what_is_scheduled(place: DatabasePlace) -> None:
    at = timezone.now()
    scheduled = [job(state=JobStates.WAITING_TO_START, due_at=at + timedelta(hours=1)) for _ in range(2000)]
    waits: dict[str, Any] = {"state": JobStates.WAITING_TO_RETRY, "due_at": at, "faulted_at": at}
    write(place, jobs=[*scheduled, *(job(**waits) for _ in range(3))])
    connection = connections[settings.DATABASE]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE jobsaga_jobsaga" if connection.vendor == "mysql" else "ANALYZE")
        cursor.fetchall() if connection.vendor == "mysql" else None
    with CaptureQueriesContext(connection) as asked:
        assert counts.counts(settings.DATABASE, at).retrying == 3
        assert sum(group.retrying for group in failures.read(settings.DATABASE, at)[0]) == 3
    state = f"= {JobStates.WAITING_TO_RETRY.value}"
    found = [each["sql"] for each in asked.captured_queries if state in each["sql"]]
    assert len(found) == 2
    assert [sql for sql in found if not leads_there(sql)] == []


def leads_there(sql: str) -> bool:
    """Whether the database finds the rows by an index of this state; MariaDB has several that begin with it."""
    connection = connections[settings.DATABASE]
    explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        cursor.execute(explain + sql.replace("%", "%%"))
        plan = str(cursor.fetchall())
    if connection.vendor == "mysql":
        return any(
            f"'{name}', '2'" in plan for name in BEGIN_WITH_THE_STATE
        )  # the length of what is compared
    return "jobsaga_job_retry" in plan


def test_what_many_watch_is_read_some_at_a_time(
    place: DatabasePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "AT_ONCE", 2)
    jobs = [job() for _ in range(5)]
    write(place, jobs=jobs)
    with CaptureQueriesContext(connections[settings.DATABASE]) as asked:
        assert set(patches.read(settings.DATABASE, {each.id for each in jobs})) == {each.id for each in jobs}
    assert len(asked) == 3


def test_there_are_pages_of_workers_and_the_api_gives_all(
    client: Client, place: DatabasePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("SHOWN", 2), ("SHOWN_JOBS", 1), ("AT_ONCE", 2)):
        monkeypatch.setattr(workers, name, most)
    world = World(place)
    there = {str(world.worker(limit=2).id) for _ in range(5)}
    jobs = {str(each) for each in world.submit_many(10)}
    address, seen = reverse("jobsaga_live:workers"), set[str]()
    for number, words in (
        ("1", "Workers 1 to 2 of 5"),
        ("2", "Workers 3 to 4 of 5"),
        ("3", "Workers 5 to 5 of 5"),
    ):
        page = client.get(address, {"page": number})
        seen |= {str(line.instance.pk) for line in page.context["page"].there}
        said = text_of(page.content.decode())
        assert words in said
        assert "2 of 2" in said, "the slots are counted, whatever is shown"
        assert "Of the jobs that they run the newest 1 are shown." in said
    assert seen == there
    assert client.get(address, {"page": "nonsense"}).status_code == 200
    answer = client.get(reverse("jobsaga_api:workers")).json()
    assert {each["instanceId"] for each in answer} == there
    assert {job_id for each in answer for job_id in each["running"]} == jobs
