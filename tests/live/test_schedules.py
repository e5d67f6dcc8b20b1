"""The page of the recurring jobs, and a recurring job's own page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse

from jobsaga.client import add_or_update_recurring_job, cancel_recurring_job
from jobsaga.conf import settings
from jobsaga.consumers import consumers, job_consumer
from jobsaga.models import JobSaga
from tests.live.conftest import EVERYWHERE, Someone
from tests.live.test_pages import text_of

pytestmark = EVERYWHERE

TYPE = "reports.Send"


def send_reports(context: object) -> None:
    """Nothing is sent: no worker runs here."""


@pytest.fixture(autouse=True)
def consumer(db: None) -> Iterator[None]:
    with consumers.temporary():
        job_consumer(job_type_name=TYPE)(send_reports)
        yield


def page(client: Client) -> str:
    return text_of(client.get(reverse("jobsaga_live:schedules")).content.decode())


def test_a_schedule_is_said_in_words_with_its_next_runs(client: Client) -> None:
    job_id = add_or_update_recurring_job("nightly", send_reports, "0 0 3 * * *", time_zone="Europe/Berlin")
    said = page(client)
    assert "nightly" in said
    assert "at 03:00 every day (Europe/Berlin)" in said
    assert "0 0 3 * * *" in said
    assert "Scheduled" in said
    own = client.get(reverse("jobsaga_live:job", args=[job_id])).content.decode()
    assert "at 03:00 every day (Europe/Berlin)" in text_of(own)
    assert own.partition('class="nexts"')[2].partition("</ol>")[0].count("<li>") == 5


def test_a_recurring_job_is_run_now_by_those_who_may(client: Client, someone: Someone) -> None:
    job_id = add_or_update_recurring_job("nightly", send_reports, "0 0 3 * * *")
    address = reverse("jobsaga_live:do", args=[job_id, "run"])
    assert address in client.get(reverse("jobsaga_live:schedules")).content.decode()
    viewer = someone("view_jobsaga").get(reverse("jobsaga_live:schedules")).content.decode()
    assert address not in viewer
    client.post(address, {"next": reverse("jobsaga_live:schedules")})
    assert JobSaga.objects.using(settings.DATABASE).get(pk=job_id).run == 1
    assert "Waiting" in page(client)


def test_a_recurrence_that_was_canceled_says_so(client: Client) -> None:
    add_or_update_recurring_job("nightly", send_reports, "0 0 3 * * *")
    cancel_recurring_job(send_reports, "nightly", "not needed")
    said = page(client)
    assert "canceled" in said
    assert "not needed" in said


def test_a_site_without_schedules_is_told_how(client: Client) -> None:
    assert "No job recurs" in page(client)
