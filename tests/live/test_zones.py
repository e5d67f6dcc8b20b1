"""Times are said in the zone that the viewer has chosen."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from jobsaga.conf import settings
from jobsaga.models import JobSaga
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE
from tests.live.test_pages import text_of

pytestmark = EVERYWHERE


def choose(client: Client, zone: str) -> None:
    here = reverse("jobsaga_live:jobs")
    answer = client.post(reverse("jobsaga_live:zone"), {"zone": zone, "next": here})
    assert answer.headers["Location"] == here


def test_a_zone_is_chosen_kept_and_given_up(client: Client) -> None:
    job_id = World(DatabasePlace(None)).submit()
    at = JobSaga.objects.using(settings.DATABASE).get(pk=job_id).submitted_at
    page = reverse("jobsaga_live:job", args=[job_id])
    assert f"{at:%Y-%m-%d %H:%M:%S} UTC" in text_of(client.get(page).content.decode())
    choose(client, "Asia/Kathmandu")
    said = text_of(client.get(page).content.decode())
    assert "+0545" in said
    assert f"{at:%Y-%m-%d %H:%M:%S} UTC" not in said
    choose(client, "")
    assert f"{at:%Y-%m-%d %H:%M:%S} UTC" in text_of(client.get(page).content.decode())


@pytest.mark.parametrize("zone", ["Nowhere/AtAll", "../../etc/passwd", "Europe", "x" * 200, "<script>"])
def test_what_is_no_zone_is_the_sites(client: Client, zone: str) -> None:
    choose(client, "Asia/Kathmandu")
    choose(client, zone)
    assert "jobsaga_zone" not in {name for name, each in client.cookies.items() if each.value}
    client.cookies["jobsaga_zone"] = zone
    assert "UTC" in text_of(client.get(reverse("jobsaga_live:health")).content.decode())


def test_it_leads_nowhere_else(client: Client) -> None:
    answer = client.post(reverse("jobsaga_live:zone"), {"zone": "UTC", "next": "https://evil.example/"})
    assert answer.headers["Location"] == reverse("jobsaga_live:now")


def test_strangers_choose_nothing(db: None) -> None:
    answer = Client().post(reverse("jobsaga_live:zone"), {"zone": "UTC"})
    assert answer.status_code == 302
    assert "jobsaga_zone" not in answer.cookies
