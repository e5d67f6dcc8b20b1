"""The form of a job type is made from its message class, and the codec has the last word on what is typed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.test import Client, override_settings
from django.urls import reverse

from jobsaga.client import submit_job
from jobsaga.conf import settings
from jobsaga.consumers import consumers, job_consumer
from jobsaga.models import DeadLetter, JobSaga, JobTypeHistory, TransportMessage
from jobsaga.payload import decode
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE, Someone

pytestmark = EVERYWHERE

TYPE = "films.Cut"


class Codec(Enum):
    H264 = "h264"
    AV1 = "av1"


@dataclass
class Cut:
    source: str
    frames: int
    codec: Codec = Codec.H264
    day: date | None = None
    fast: bool = False
    speed: float = 1.0
    parts: list[int] = field(default_factory=list)
    note: str | None = None


@pytest.fixture(autouse=True)
def consumer() -> Iterator[None]:
    with consumers.temporary():
        job_consumer(Cut, job_type_name=TYPE)(lambda context: None)
        yield


def address(**query: str) -> str:
    return reverse("jobsaga_live:submit", args=[TYPE])


def typed(**fields: str) -> dict[str, str]:
    return {"priority": "0", **{f"field-{name}": text for name, text in fields.items()}}


def stored() -> Any:
    return JobSaga.objects.using(settings.DATABASE)


def test_the_form_has_a_field_for_each_of_the_message(client: Client) -> None:
    page = client.get(address()).content.decode()
    for name in ("source", "frames", "codec", "day", "fast", "speed", "parts", "note"):
        assert f'id="field-{name}"' in page
    assert '<option value="&quot;av1&quot;"' in page
    assert '<textarea name="field-parts"' in page


def test_what_is_typed_becomes_a_job(client: Client) -> None:
    answer = client.post(address(), typed(
        source="a.mp4", frames="12", codec='"av1"', day="2026-11-21", fast="true", speed="0.5", parts="[1, 2]",
    ) | {"priority": "3"})  # fmt: skip
    job = stored().get()
    assert answer.headers["Location"] == reverse("jobsaga_live:job", args=[job.id])
    cut = Cut("a.mp4", 12, Codec.AV1, date(2026, 11, 21), fast=True, speed=0.5, parts=[1, 2])
    assert decode(Cut, job.message) == cut
    assert (job.priority, job.submitted_by, job.job_type) == (3, "ada", TYPE)


def test_what_is_left_out_has_its_default(client: Client) -> None:
    client.post(address(), typed(source="", frames="1"))
    assert decode(Cut, stored().get().message) == Cut("", 1)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"source": "a", "frames": ""}, "is needed"),
        ({"source": "a", "frames": "many"}, "is no number"),
        ({"source": "a", "frames": "1.5"}, "is not valid: expected `int`, got `float`"),
        ({"source": "a", "frames": "1", "codec": '"vp9"'}, "is not valid: invalid enum value"),
        ({"source": "a", "frames": "1", "parts": "[1, x]"}, "is no JSON"),
        ({"source": "a", "frames": "1", "parts": '["x"]'}, "[0] is not valid"),
        ({"source": "a", "frames": "1", "day": "soon"}, "is not valid: invalid"),
        ({"source": "a\0", "frames": "1"}, "NUL character"),
        ({"source": "a", "frames": "9" * 30}, "more than 64 bits"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(client: Client, fields: dict[str, str], problem: str) -> None:
    answer = client.post(address(), typed(**fields))
    assert answer.status_code == 422
    problems = [each.problem for each in answer.context["fields"] if each.problem]
    assert any(problem in each for each in problems), problems
    assert not stored().exists()
    assert 'value="a' in answer.content.decode(), "what was typed is kept"


def test_a_priority_that_is_none_is_said(client: Client) -> None:
    answer = client.post(address(), typed(source="a", frames="1") | {"priority": "high"})
    assert "priority must be a whole number" in answer.context["problem"]
    assert not stored().exists()


def test_a_job_can_be_run_again_with_the_same_input(client: Client) -> None:
    first = submit_job(Cut("b.mp4", 7, Codec.AV1, note="x"), properties={"tenant": "acme"}, priority=2)
    page = client.get(reverse("jobsaga_live:job", args=[first])).content.decode()
    again = f"{address()}?again={first}"
    assert again in page
    form = client.get(again)
    values = {each.id: each.text for each in form.context["fields"]}
    assert values["field-source"] == "b.mp4"
    client.post(address(), {**values, "priority": form.context["priority"], "again": str(first)})
    one, two = stored().order_by("id")
    assert decode(Cut, one.message) == decode(Cut, two.message)
    assert (one.properties, one.priority) == (two.properties, two.priority)
    assert one.id != two.id


def test_who_may_submit(someone: Someone) -> None:
    assert someone("view_jobsaga").get(address()).status_code == 403
    assert someone("view_jobsaga").post(address(), typed(source="a", frames="1")).status_code == 403
    assert someone("view_jobsaga", "submit_job").get(address()).status_code == 200
    secret = submit_job(Cut("secret.mp4", 7))
    form = someone("view_jobsaga", "submit_job").get(f"{address()}?again={secret}")
    assert "secret" not in form.content.decode(), "who may not see an input cannot copy it"


def test_a_type_that_is_not_registered_has_no_form(client: Client) -> None:
    assert client.get(reverse("jobsaga_live:submit", args=["no.Such"])).status_code == 404


def letter(body: str, **fields: Any) -> DeadLetter:
    rows = DeadLetter.objects.using(settings.DATABASE)
    return rows.create(
        at=DatabasePlace(None).now(), endpoint="saga", body=body, reason="KeyError: odd", **fields
    )


def settle(client: Client, row: DeadLetter, verb: str, reason: str = "") -> Any:
    return client.post(reverse("jobsaga_live:settle", args=[row.pk, verb]), {"reason": reason}, follow=True)


def test_a_dead_letter_is_handed_in_again_or_thrown_away(client: Client) -> None:
    world = World(DatabasePlace(None))
    job_id = world.submit()
    body = f'{{"type": "CancelJob", "job_id": "{job_id}", "reason": "late"}}'
    replayed, discarded = letter(body, job_id=job_id), letter(body)
    assert client.get(reverse("jobsaga_live:letters")).content.decode().count('name="reason"') == 4
    page = client.get(reverse("jobsaga_live:letters")).content.decode()
    assert "KeyError: odd" in page
    settle(client, discarded, "discard", "of a test")
    world.lap()
    assert world.state(job_id) == "WaitingForSlot"
    settle(client, replayed, "replay", "mended")
    world.lap()
    assert world.state(job_id) == "Canceled"
    assert not world.dead()
    (noted,) = [row for row in world.history(job_id) if row.kind.startswith("DeadLetter")]
    assert (noted.kind, noted.actor, noted.message) == ("DeadLetterReplay", "ada", "mended")
    assert noted.data == {"dead_letter": "KeyError: odd"}
    about_no_job = JobTypeHistory.objects.using(settings.DATABASE).get()
    assert (about_no_job.kind, about_no_job.actor) == ("DeadLetterDiscard", "ada")
    assert about_no_job.message == "of a test (KeyError: odd)"
    said = client.get(reverse("jobsaga_live:activity"), {"by": "operators"}).content.decode()
    assert "of a test (KeyError: odd)" in said
    assert "somebody else has settled it" in settle(client, replayed, "replay").content.decode()


def test_a_letter_is_handed_in_without_the_broker(client: Client) -> None:
    """It is written with the deletion of the letter, so that both happen or none; and nobody waits for RabbitMQ."""
    row = letter(f'{{"type":"CancelJob","job_id":"{uuid4()}"}}')
    nowhere = {**django_settings.JOBSAGA, "TRANSPORT": "amqp://guest@127.0.0.1:1/"}
    with override_settings(JOBSAGA=nowhere):
        settle(client, row, "replay")
    assert not DeadLetter.objects.using(settings.DATABASE).exists()
    assert [each.body for each in TransportMessage.objects.using(settings.DATABASE).all()] == [row.body]
    assert not [each.name for each in threading.enumerate() if each.name == "jobsaga-rabbitmq"]


@pytest.mark.parametrize("body", ["{}", "no JSON", "[" * 100_000, '{"type": "CancelJob", "job_id": 7}'])
def test_a_letter_that_cannot_be_read_stays(client: Client, body: str) -> None:
    row = letter(body)
    assert "it still cannot be read" in settle(client, row, "replay").content.decode()
    assert DeadLetter.objects.using(settings.DATABASE).filter(pk=row.pk).exists()


def test_who_may_settle_dead_letters(someone: Someone) -> None:
    row = letter("{}")
    assert someone("view_jobsaga").get(reverse("jobsaga_live:letters")).status_code == 403
    reader = someone("view_jobsaga", "view_deadletter")
    assert reader.get(reverse("jobsaga_live:letters")).status_code == 200
    for verb in ("replay", "discard"):
        assert settle(reader, row, verb).status_code == 403
    assert settle(someone("view_jobsaga", "discard_dead_letter"), row, "explode").status_code == 404
    assert DeadLetter.objects.using(settings.DATABASE).exists()
