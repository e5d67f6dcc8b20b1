"""Artifacts: named, by reference, there at once, and never the bytes."""

from __future__ import annotations

import io
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.storage import InMemoryStorage, default_storage
from django.core.management import call_command
from django.db.models.fields.files import FieldFile, FileField

from jobsaga import get_job_artifacts, submit_job
from jobsaga.exceptions import InvalidMessage
from jobsaga.messages import WriteJobLog
from jobsaga.models import JobHistory
from jobsaga.testing import run_until_quiet
from jobsaga.worker.artifacts import ARTIFACTS
from tests.hours.hands import ALIAS, Hands
from tests.jobsapp.jobs.hours import Hour

pytestmark = pytest.mark.django_db


def field_file(name: str, storage: Any = default_storage) -> FieldFile:
    return FieldFile(None, FileField(storage=storage), name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reference", "stored"),
    [
        ("https://example.org/a.pdf", {"url": "https://example.org/a.pdf"}),
        ("s3://bucket/a", {"url": "s3://bucket/a"}),
        ("/media/a.pdf", {"url": "/media/a.pdf"}),
        ("reports/a.pdf", {"storage": "default", "path": "reports/a.pdf"}),
        (field_file("reports/b.pdf"), {"storage": "default", "path": "reports/b.pdf"}),
        (
            field_file("c.pdf", InMemoryStorage(location="elsewhere")),
            {"storage": "django.core.files.storage.memory.InMemoryStorage", "path": "c.pdf"},
        ),
    ],
    ids=["url", "other scheme", "absolute", "path", "file", "file elsewhere"],
)
def test_what_is_stored_of_a_reference(reference: Any, stored: dict[str, str]) -> None:
    job = Hands()
    job.attempt().add_artifact("report", reference)
    (said,) = job.said
    assert isinstance(said, WriteJobLog)
    assert (said.kind, said.message, said.sequence, said.data) == ("JobArtifact", "report", None, stored)


@pytest.mark.parametrize("reference", [b"bytes", io.BytesIO(b"x"), "", "x" * 3000, 5, field_file("")])
def test_what_is_no_reference_is_refused(reference: Any) -> None:
    with pytest.raises(InvalidMessage, match="artifact"):
        Hands().attempt().add_artifact("report", reference)


@pytest.mark.parametrize("name", ["", "x" * 201, 5, None])
def test_a_wrong_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidMessage, match="name of an artifact"):
        Hands().attempt().add_artifact(name, "a")


def test_an_attempt_leaves_so_many_and_no_more() -> None:
    job = Hands()
    context = job.attempt()
    for number in range(ARTIFACTS):
        context.add_artifact("report", f"reports/{number}.pdf")
    with pytest.raises(InvalidMessage, match=r"an attempt may leave 1000.*list"):
        context.add_artifact("report", "reports/last.pdf")
    assert len(job.said) == ARTIFACTS
    job.attempt().add_artifact("report", "reports/last.pdf")


def test_they_are_told_by_name_and_the_last_one_counts() -> None:
    job_id = submit_job(Hour("leave_artifacts"))
    run_until_quiet()
    known = get_job_artifacts(job_id)
    assert {name: each.reference for name, each in known.items()} == {
        "report": "reports/2.pdf", "page": "https://example.org/",
    }  # fmt: skip
    assert known["page"].url == "https://example.org/"
    out = io.StringIO()
    call_command("jobsaga", "show", str(job_id), stdout=out)
    assert "reports/2.pdf" in out.getvalue()


def test_the_late_word_of_a_zombie_does_not_replace_what_its_successor_left() -> None:
    job_id = submit_job(Hour("leave_artifacts"))
    run_until_quiet()
    rows = JobHistory.objects.using(ALIAS).filter(job_id=job_id, kind="JobArtifact")
    late = rows.get(data__path="reports/2.pdf")
    late.pk, late.attempt_id, late.data = None, type(late.attempt_id)(int=1), {"url": "https://zombie/"}
    late.save(using=ALIAS)
    assert get_job_artifacts(job_id)["report"].path == "reports/2.pdf"


def test_a_job_without_artifacts_has_none() -> None:
    assert get_job_artifacts(uuid4()) == {}
