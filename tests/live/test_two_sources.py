"""Why a job waits is said in two places: in full by ``explain_job``, which the job's page and the API show, and in
short by the lists, which ask no statement for a single job. They say the same, or the lists say less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from jobsaga import explain_job, submit_job
from jobsaga.clock import ManualClock, use_clock
from jobsaga.conf import settings
from jobsaga.ids import uuid7
from jobsaga.live.explain import LATE, explain
from jobsaga.live.queries import now, types
from jobsaga.models import JobSaga
from tests.client import situations
from tests.client.acts import TYPE, act
from tests.client.conftest import Site
from tests.client.explained import busy, set_type, set_worker
from tests.engine.worlds import database_place
from tests.live.conftest import EVERYWHERE

pytestmark = EVERYWHERE

#: What the lists do not know: who is before the job, and whether a worker was lost or a retry failed by itself.
COARSER = {"in-line": "about-to-start", "retry-lost": "retry", "starting": "", "no-saga-host": "not-given"}


@pytest.fixture
def site(db: None) -> Iterator[Site]:
    clock = ManualClock()
    with use_clock(clock):
        yield Site(database_place(clock))


def unseen(site: Site, **columns: Any) -> UUID:
    """A job that no saga host has looked at yet."""
    job_id = submit_job(act())
    site.place.rows("JobSaga").filter(pk=job_id).update(**columns) if columns else None  # type: ignore[attr-defined]
    return job_id


def late(site: Site, **columns: Any) -> UUID:
    """The same, for so long that one should have; its worker still lives."""
    job_id = unseen(site, **columns)
    site.clock.advance(LATE + timedelta(seconds=2))
    return job_id


def no_worker(site: Site) -> UUID:
    return site.submit(TYPE)


def too_old(site: Site) -> UUID:
    site.worker()
    return late(site, message_version=2)


def older_ones_have_room(site: Site) -> UUID:
    """Between two releases: the one worker of the newer is full."""
    busy(site)
    site.place.rows("JobTypeInstance").all().update(message_version=2)  # type: ignore[attr-defined]
    site.worker()
    return late(site, message_version=2)


def paused(site: Site) -> UUID:
    site.worker()
    set_type(site, paused_at=site.clock.now())
    return late(site)


def drained(site: Site) -> UUID:
    set_worker(site, site.worker(), drained_at=site.clock.now())
    return late(site)


def full(site: Site) -> UUID:
    busy(site, 2)
    return site.submit(TYPE)


def one_of_two_drained(site: Site) -> UUID:
    set_worker(site, site.worker(), drained_at=site.clock.now())
    site.worker()
    return [site.submit(TYPE) for _ in range(2)][1]


def no_slots_at_all(site: Site) -> UUID:
    site.worker()
    set_type(site, override_job_limit=0)
    return late(site)


def global_limit(site: Site) -> UUID:
    site.worker(2, global_limit=1)
    return [site.submit(TYPE) for _ in range(2)][1]


def key_limit(site: Site) -> UUID:
    site.worker(3, per_key=1)
    job_id = [site.submit(TYPE, concurrency_key="acme") for _ in range(2)][1]
    site.clock.advance(LATE + timedelta(seconds=2))
    return job_id


def about_to_start(site: Site) -> UUID:
    site.worker()
    return unseen(site)


def many_in_line(site: Site) -> UUID:
    site.worker()
    return [unseen(site) for _ in range(2)][1]


def not_given(site: Site) -> UUID:
    site.worker()
    return late(site)


def just_moved(site: Site) -> UUID:
    """It has waited for long, and a worker has just come."""
    job_id = late(site)
    site.place.register(uuid7())
    site.worker()
    return unseen(site, queued_at=JobSaga.objects.using(settings.DATABASE).get(pk=job_id).queued_at)


def old_attempt(site: Site) -> UUID:
    site.worker()
    return unseen(site, slot=uuid7())


def overdue(site: Site) -> UUID:
    job_id = situations.waiting_to_start(site)
    site.clock.advance(timedelta(hours=2))
    return job_id


WORLDS: list[Callable[[Site], UUID]] = [
    no_worker, too_old, older_ones_have_room, paused, drained, full, one_of_two_drained, no_slots_at_all,
    global_limit, key_limit, about_to_start, many_in_line, not_given, just_moved, old_attempt, overdue,
    situations.waiting_to_start, situations.waiting_to_retry, situations.starting, situations.cancellation_pending,
]  # fmt: skip


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.__name__)
def test_the_lists_say_the_same_or_less(site: Site, world: Callable[[Site], UUID]) -> None:
    job_id = world(site)
    row = JobSaga.objects.using(settings.DATABASE).get(pk=job_id)
    known = types.read(settings.DATABASE, site.clock.now())
    reasons = explain(row, known.around(row.job_type, row.message_version))
    said, whole = (reasons[0].code if reasons else ""), explain_job(job_id)
    assert said in (whole.code, COARSER.get(whole.code)), whole.sentence


def test_no_alarm_on_the_front_page_for_what_waits_for_its_key(site: Site) -> None:
    key_limit(site)
    page = now.read(settings.DATABASE, site.clock.now(), with_message=False)
    assert [queue.reason.code for queue in page.queues] == ["key"]
    assert [alarm for alarm in page.alarms if alarm.job_type] == []


def test_nor_for_what_waits_for_a_worker_of_its_release(site: Site) -> None:
    older_ones_have_room(site)
    page = now.read(settings.DATABASE, site.clock.now(), with_message=False)
    assert [queue.reason.code for queue in page.queues] == ["slots"]


def test_a_strategy_may_have_a_word(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    not_given(site)
    read = lambda: now.read(settings.DATABASE, site.clock.now(), with_message=False)  # noqa: E731
    assert [alarm.reason.code for alarm in read().alarms] == ["not-given"]
    monkeypatch.setitem(settings.DISTRIBUTION_STRATEGIES, TYPE, object)  # type: ignore[index]
    assert read().alarms == []
    assert "strategy declines it" in read().queues[0].reason.detail
