"""The admin of jobsaga: every row can be seen, none can be touched, and no page grows with the tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.conf import settings as site_settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connections
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobsaga.admin import base
from jobsaga.conf import settings
from jobsaga.messages import FinalizeJob
from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World

pytestmark = pytest.mark.django_db(databases=list(site_settings.DATABASES))

MODELS = list(apps.get_app_config("jobsaga").get_models())
SCRIPT = "<script>alert('x')</script>"


@dataclass
class Rows:
    """A site with at least one row of each model."""

    world: World
    failed: UUID
    waiting: UUID


@pytest.fixture
def rows(db: None) -> Rows:
    world = World(DatabasePlace(None))
    worker = world.worker(properties={"zone": "a"})
    failed = world.submit(message={"path": SCRIPT, "nested": {"deep": [1, 2]}}, properties={"tenant": "acme"})
    (start,) = worker.receive()
    worker.started(start)
    worker.log(start, f"Reading {SCRIPT}", data={"bytes": 12})
    worker.progress(start, 3, limit=12, message="frame 3")
    worker.save(start, {"frame": 3})
    worker.fault(start, SCRIPT)
    world.lap()
    world.submit()
    waiting = world.submit()
    place = DatabasePlace(None)
    place.rows("DeadLetter").create(
        endpoint="saga", body=f'{{"type": "{SCRIPT}"}}', reason="odd", at=datetime.now(UTC)
    )
    place.rows("EventOutbox").create(
        event_id=uuid4(),
        kind="JobSubmitted",
        job_type=TYPE,
        body=f'{{"type": "{SCRIPT}"}}',
        at=datetime.now(UTC),
    )
    place.rows("RemoteRequest").create(id=uuid4(), at=datetime.now(UTC))
    place.rows("JobTypeHistory").create(
        job_type=TYPE, kind="PauseJobType", message=SCRIPT, actor="ben", at=datetime.now(UTC)
    )
    return Rows(world, failed, waiting)


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("ada", password="x"))
    return client


def address(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"admin:jobsaga_{model._meta.model_name}_{page}", args=args)


def model(name: str) -> type[Model]:
    return apps.get_model("jobsaga", name)


def stored(model: type[Model]) -> Any:
    return model._default_manager.using(settings.DATABASE)


def read(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, url
    return answer.content.decode()


def listed(client: Client, name: str, **query: str) -> set[Any]:
    answer = client.get(address(model(name), "changelist"), query)
    assert answer.status_code == 200, query
    return {row.pk for row in answer.context["cl"].result_list}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_model_has_a_list_and_a_page_for_each_row(
    client: Client, rows: Rows, model: type[Model]
) -> None:
    assert admin.site.is_registered(model)
    found = stored(model).all()
    assert found
    text = read(client, address(model, "changelist"))
    assert f"{len(found)} " in text
    for row in found:
        assert SCRIPT not in read(client, address(model, "change", row.pk))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_nobody_adds_changes_or_deletes(client: Client, rows: Rows, model: type[Model]) -> None:
    row = stored(model).first()
    before = stored(model).count()
    assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(model, "change", row.pk), {"state": "1", "name": "x"}).status_code == 403
    assert client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    doing = {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"}
    client.post(address(model, "changelist"), doing)
    assert stored(model).count() == before
    assert "<input" not in read(client, address(model, "change", row.pk)).split("<fieldset", 1)[1].replace(
        '<input type="hidden"', ""
    )


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_list_asks_as_much_for_many_rows_as_for_few(client: Client, rows: Rows, model: type[Model]) -> None:
    few = count_queries(client, address(model, "changelist"))
    worker = rows.world.worker(types=["audio.Mix", "audio.Cut"], limit=9)
    rows.world.submit_many(6, "audio.Mix")
    rows.world.submit_many(6, "audio.Cut")
    for start in worker.receive()[:9]:
        worker.complete(start)
    place = DatabasePlace(None)
    for _ in range(9):
        place.rows("DeadLetter").create(endpoint="saga", body="{", reason="odd", at=datetime.now(UTC))
        rows.world.send(FinalizeJob(job_id=rows.failed))
    assert count_queries(client, address(model, "changelist")) == few


def count_queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
        read(client, url)
    return len([query for query in queries.captured_queries if "jobsaga_" in query["sql"]])


def test_json_is_laid_out_and_escaped(client: Client, rows: Rows) -> None:
    text = read(client, address(model("JobSaga"), "change", rows.failed))
    assert (
        "<pre>{\n  &quot;path&quot;: &quot;&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;,\n" in text
    )
    assert "    &quot;deep&quot;: [\n      1,\n      2\n    ]" in text
    assert "&quot;frame&quot;: 3" in text  # what it saved
    assert SCRIPT not in text


def test_a_job_is_shown_with_its_attempts_and_its_history(client: Client, rows: Rows) -> None:
    (attempt,) = rows.world.attempts(rows.failed)
    text = read(client, address(model("JobSaga"), "change", rows.failed))
    assert address(model("JobAttemptSaga"), "change", attempt.id) in text
    assert "test:1" in text
    for kind in ("JobSubmitted", "JobAttemptStarted", "JobAttemptFaulted"):
        assert kind in text
    assert "Reading &lt;script&gt;" in text
    assert "3 of 12" in text


def test_only_the_newest_lines_are_shown_with_a_job(
    client: Client, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "INLINE", 2)
    text = read(client, address(model("JobSaga"), "change", rows.failed))
    assert "JobAttemptFaulted" in text
    assert "JobSubmitted" not in text


def test_the_history_of_a_job_that_is_gone(client: Client, rows: Rows) -> None:
    rows.world.command(FinalizeJob(job_id=rows.failed))
    history = listed(client, "JobHistory", q=str(rows.failed))
    assert len(history) == len(rows.world.history(rows.failed))
    for key in history:
        assert str(rows.failed) in read(client, address(model("JobHistory"), "change", key))


def test_an_attempt_whose_worker_is_gone(client: Client, rows: Rows) -> None:
    (attempt,) = rows.world.attempts(rows.failed)
    DatabasePlace(None).rows("JobInstance").all().delete()
    assert "odd" not in read(client, address(model("JobAttemptSaga"), "change", attempt.id))
    read(client, address(model("JobSaga"), "change", rows.failed))


@pytest.mark.parametrize(
    "shape", [str, lambda key: key.hex, lambda key: key.hex[-8:], lambda key: str(key)[:-2]]
)
def test_jobs_are_found_by_an_id_or_a_part_of_it(client: Client, rows: Rows, shape: Any) -> None:
    assert listed(client, "JobSaga", q=f" {shape(rows.failed)} ") == {rows.failed}


@pytest.mark.parametrize("text", ["nothing", "abc", "%", "zzzzzzzz", "00000000-0000-7000-8000-000000000001"])
@pytest.mark.parametrize("name", [model.__name__ for model in MODELS])
def test_what_is_searched_in_vain(client: Client, rows: Rows, name: str, text: str) -> None:
    assert listed(client, name, q=text) == set()


def test_other_rows_are_found_by_what_they_are_about(client: Client, rows: Rows) -> None:
    (attempt,) = rows.world.attempts(rows.failed)
    assert listed(client, "JobAttemptSaga", q=str(rows.failed)) == {attempt.id}
    assert listed(client, "JobAttemptSaga", q=str(attempt.id)) == {attempt.id}
    assert listed(client, "JobCheckpoint", q=str(rows.failed)) == {rows.failed}
    assert listed(client, "JobTypeSaga", q=TYPE) == set(
        stored(model("JobTypeSaga")).values_list("pk", flat=True)
    )
    (worker,) = rows.world.workers
    assert listed(client, "JobInstance", q="test") == {worker.id}
    assert len(listed(client, "TransportMessage", q=worker.endpoint)) == 1
    assert len(listed(client, "JobTypeInstance", q=str(worker.id))) == 1
    assert len(listed(client, "JobHistory", q=str(attempt.id))) > 2


def test_jobs_by_state_and_by_type(client: Client, rows: Rows) -> None:
    other = rows.world.submit("audio.Mix")
    assert listed(client, "JobSaga", state="5") == {rows.waiting, other}
    assert listed(client, "JobSaga", state="8") == {rows.failed}
    assert listed(client, "JobSaga", state="5", job_type=TYPE) == {rows.waiting}
    assert listed(client, "JobSaga", job_type="no.Such") == set()
    assert len(listed(client, "JobSaga", state="odd")) == 4
    assert "jobsapp.ActInProcess" in read(client, address(model("JobSaga"), "changelist"))


def test_a_long_list_is_counted_only_so_far(
    client: Client, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.world.submit_many(5)
    monkeypatch.setattr(base, "COUNTED", 3)
    answer = client.get(address(model("JobSaga"), "changelist"))
    assert answer.context["cl"].result_count == 3


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_column_can_be_sorted_by(client: Client, rows: Rows, model: type[Model]) -> None:
    assert "sortable" not in read(client, address(model, "changelist")).split('id="changelist"')[1]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_who_may_see(rows: Rows, model: type[Model]) -> None:
    user = get_user_model().objects.create_user("eve", password="x", is_staff=True)
    client = Client()
    client.force_login(user)
    assert client.get(address(model, "changelist")).status_code == 403
    view = Permission.objects.get(
        codename=f"view_{model._meta.model_name}", content_type__app_label="jobsaga"
    )
    user.user_permissions.add(view)
    assert client.get(address(model, "changelist")).status_code == 200
    assert client.get(address(model, "change", stored(model).first().pk)).status_code == 200


def test_the_payload_is_for_those_who_may_see_it(rows: Rows) -> None:
    """What the live page does not show to somebody, the admin does not either."""
    hidden = {"tenant", "nested", "&quot;frame&quot;", "&quot;bytes&quot;"}
    views = [f"view_{model._meta.model_name}" for model in MODELS]
    for codenames, seen in ((views, set()), ([*views, "view_job_payload"], hidden)):
        user = get_user_model().objects.create_user(f"user{len(codenames)}", password="x", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="jobsaga", codename__in=codenames)
        )
        client = Client()
        client.force_login(user)
        shown = ""
        for model in MODELS:
            for row in model._base_manager.using(settings.DATABASE):
                url = reverse(f"admin:jobsaga_{model._meta.model_name}_change", args=[row.pk])
                answer = client.get(url)
                assert answer.status_code == 200, url
                shown += answer.content.decode()
        assert {each for each in hidden if each in shown} == seen


def test_a_part_of_an_id_is_looked_for_among_the_newest(
    client: Client, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No index leads to it: all of a million ids would be read."""
    monkeypatch.setattr(base, "LOOKED_THROUGH", 2)
    url = reverse("admin:jobsaga_jobsaga_changelist")
    for job_id, looked_for, found in (
        (rows.waiting, rows.waiting.hex[-8:], True),
        (rows.failed, rows.failed.hex[-8:], False),
        (rows.failed, str(rows.failed), True),
    ):
        listed = client.get(url, {"q": looked_for}).context["cl"].queryset
        assert listed.filter(pk=job_id).exists() == found
