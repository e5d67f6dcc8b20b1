"""A job's place in the line, when it may start, and what it costs to know that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.test import override_settings

from jobsaga import explain_job, get_job_state
from jobsaga.client.explain.facts import MANY
from jobsaga.client.explain.turn import estimated_start
from jobsaga.conf import settings
from jobsaga.engine.strategies import Strategies
from jobsaga.sagas.distribution import JobDistributionStrategy, JobSlotRequest, JobTypeInfo
from jobsaga.sagas.states import JobStates
from tests.client.acts import TYPE
from tests.client.conftest import Site
from tests.client.explained import OTHER, busy, set_type
from tests.store.rows import job, write

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Picky(JobDistributionStrategy):
    """Nothing is good enough."""

    def is_job_slot_available(self, request: JobSlotRequest, job_type: JobTypeInfo) -> UUID | None:
        return None


def ended(site: Site, *seconds: float, job_type: str = TYPE) -> None:
    """Jobs that took so long."""
    fields: dict[str, Any] = {
        "job_type": job_type,
        "state": JobStates.COMPLETED,
        "finished_at": site.clock.now(),
    }
    write(site.place, jobs=[job(**fields, duration=timedelta(seconds=each)) for each in seconds])


class TestPlace:
    def test_by_priority_then_first_come_first_served(self, world: Site) -> None:
        busy(world)
        first = world.submit(TYPE)
        world.pass_time(1)
        second, third = world.submit_many(2, TYPE)
        world.submit(OTHER)
        urgent, least = world.submit(TYPE, priority=1), world.submit(TYPE, priority=-1)
        order = (
            sorted((second, third)) if connections[settings.DATABASE].vendor == "mysql" else [second, third]
        )
        line_up = [urgent, first, *order, least]
        assert [explain_job(each).ahead for each in line_up] == [0, 1, 2, 3, 4]
        words = [explain_job(each).sentence.rpartition("; ")[2] for each in line_up[:3]]
        assert words == ["it is the next in line.", "1 job is before it.", "2 jobs are before it."]

    def test_one_whose_old_attempt_holds_its_slot_is_overtaken(self, world: Site) -> None:
        busy(world)
        before, job_id = world.submit_many(2, TYPE)
        world.place.rows("JobSaga").filter(pk=before).update(slot=UUID(int=1))
        assert explain_job(job_id).ahead == 0

    def test_those_whose_key_is_full_are_overtaken(self, world: Site) -> None:
        world.worker(limit=2)
        set_type(world, concurrency_per_key=1)
        for key in ("acme", "other"):
            world.submit(TYPE, concurrency_key=key)
        world.clock.advance(1)
        for key in ("acme", "acme", "third", ""):
            world.submit(TYPE, concurrency_key=key)
        world.clock.advance(1)
        why = explain_job(world.submit(TYPE, concurrency_key="fourth"))
        assert (why.code, why.ahead, why.more_ahead) == ("slots", 2, False)

    def test_more_than_a_thousand_are_not_counted(self, world: Site) -> None:
        busy(world)
        backlog = [job(job_type=TYPE, queued_at=NOON - n * SECOND) for n in range(MANY + 1)]
        write(world.place, jobs=backlog)
        last, one_before = explain_job(backlog[0].id), explain_job(backlog[1].id)
        assert last.sentence.endswith("; 1,000 jobs are before it.")
        write(world.place, jobs=[job(job_type=TYPE, priority=1) for _ in range(10)])
        last = explain_job(backlog[0].id)
        assert last.sentence.endswith("; more than 1,000 jobs are before it.")
        assert (last.ahead, last.more_ahead, last.estimated_start) == (MANY, True, None)
        assert (one_before.ahead, one_before.more_ahead) == (MANY - 1, False)

    def test_where_most_of_them_are_overtaken(self, world: Site) -> None:
        world.worker(limit=1)
        set_type(world, concurrency_per_key=1)
        world.submit(TYPE, concurrency_key="acme")
        keys = ["acme"] * (MANY + 50) + ["", "b", "c"]
        write(world.place, jobs=[job(job_type=TYPE, concurrency_key=each, priority=1) for each in keys])
        other = world.submit(TYPE)
        why = explain_job(other)
        assert (why.code, why.more_ahead) == ("slots", True)
        assert why.ahead is not None
        assert why.ahead <= 3
        world.place.rows("JobSaga").filter(priority=1).update(concurrency_key="acme")
        assert explain_job(other).sentence.endswith(f"by job {world.slots()[0].job_id.hex[-8:]}.")


class TestEstimate:
    def test_of_the_next(self, world: Site) -> None:
        ended(world, 100, 300, 290, 310, 1000)
        busy(world)
        world.pass_time(60, step=5)
        job_id = world.submit(TYPE)
        why = explain_job(job_id)
        assert why.sentence.endswith("; it is the next in line, and may start in about 4 min (an estimate).")
        assert why.estimated_start == world.clock.now() + 240 * SECOND
        assert get_job_state(job_id).waiting_for == why.sentence

    def test_of_one_behind_others(self, world: Site) -> None:
        ended(world, *[600] * 5)
        busy(world, 2)
        world.submit_many(3, TYPE)
        world.pass_time(1)
        why = explain_job(world.submit(TYPE))
        assert why.estimated_start == world.clock.now() + (600 + 600 - 1) * SECOND
        assert why.sentence.endswith("; 3 jobs are before it, and may start in about 20 min (an estimate).")

    def test_not_where_no_earlier_one_is_known(self, world: Site) -> None:
        ended(world, *[60] * 5, job_type=OTHER)
        busy(world)
        why = explain_job(world.submit(TYPE))
        assert (why.estimated_start, why.sentence.endswith("; it is the next in line.")) == (None, True)

    def test_not_while_today_takes_longer_than_usual(self, world: Site) -> None:
        ended(world, *[10] * 5)
        busy(world)
        world.pass_time(11, step=1)
        assert explain_job(world.submit(TYPE)).estimated_start is None

    @pytest.mark.parametrize(
        ("since", "slots", "ahead", "expected"),
        [
            ([10], 1, 0, 50),
            ([10], 1, 2, 170),
            ([50, 10], 2, 0, 10),
            ([50, 10], 2, 1, 50),
            ([50, 10], 2, 2, 70),
            ([50, 40, 10], 2, 0, 20),  # one slot too many is held: the first that is free is not given again
            ([70, 10], 2, 0, None),
            ([70, 10], 2, 1, 50),
            ([], 0, 0, None),
        ],
    )
    def test_by_hand(self, since: list[int], slots: int, ahead: int, expected: int | None) -> None:
        starts = [NOON - each * SECOND for each in since]
        start = estimated_start(NOON, starts, slots, ahead, usual=60 * SECOND)
        assert start == (None if expected is None else NOON + expected * SECOND)


class TestAFreeSlot:
    def offered(self, site: Site) -> UUID:
        """A job that nobody has looked at since there is a worker for it."""
        site.worker(limit=2)
        waiting = job(job_type=TYPE, submitted_at=site.clock.now(), queued_at=site.clock.now())
        write(site.place, jobs=[waiting])
        return waiting.id

    def wait(self, site: Site, seconds: int) -> None:
        """The worker lives, no saga host does."""
        for _ in range(seconds):
            site.clock.advance(1)
            for each in site.workers:
                each.beat()

    def test_is_about_to_be_given(self, world: Site) -> None:
        why = explain_job(self.offered(world))
        assert why.sentence == "2 slots are free: it is about to start."
        assert (why.code, why.ahead) == ("about-to-start", 0)

    def test_of_which_there_are_fewer_than_jobs_before_it(self, world: Site) -> None:
        job_id = self.offered(world)
        write(world.place, jobs=[job(job_type=TYPE, priority=1) for _ in range(2)])
        why = explain_job(job_id)
        assert why.sentence == "2 slots are free; 2 jobs are before it."
        assert why.code == "in-line"

    def test_that_is_not_given(self, world: Site) -> None:
        job_id = self.offered(world)
        since = world.clock.now()
        self.wait(world, 11)
        why = explain_job(job_id)
        assert why.sentence == (
            "2 slots are free, but no saga host has given it one since 00:00 (11 s): "
            "no saga host seems to work, or none reaches the worker; it is the next in line."
        )
        assert (why.code, why.since) == ("not-given", since)

    @pytest.mark.parametrize("name", [TYPE, "default", "picky"])
    def test_because_a_strategy_declines_it(self, world: Site, name: str) -> None:
        """The saga hosts ask it, and say nothing of its answer in the rows."""
        world.engine.strategies = Strategies({name: Picky})
        world.worker()
        world.place.rows("JobTypeSaga").update(properties={"distributionstrategy": "picky"})
        job_id = world.submit(TYPE)
        with override_settings(JOBSAGA={**django_settings.JOBSAGA, "DISTRIBUTION_STRATEGIES": {name: Picky}}):
            assert explain_job(job_id).code == "about-to-start"
            world.pass_time(11)
            why = explain_job(job_id)
        assert why.sentence == (
            "A slot is free, but no saga host has given it one since 00:00 (11 s): the type's distribution "
            "strategy, Picky, declines it, or no saga host works; it is the next in line."
        )
        assert why.code == "not-given"

    @pytest.mark.parametrize("what", ["a job ended", "a worker came", "a slot was given"])
    def test_that_came_about_just_now(self, world: Site, what: str) -> None:
        job_id = self.offered(world)
        self.wait(world, 20)
        if what == "a job ended":
            ended(world, 60)
        elif what == "a worker came":
            world.place.register(UUID(int=7))
            world.place.rows("JobTypeInstance").create(job_type=TYPE, instance_id=UUID(int=7))
        else:
            world.place.rows("JobTypeInstance").update(used_at=world.clock.now())
        assert explain_job(job_id).code == "about-to-start"

    def test_where_deadlines_have_passed(self, world: Site) -> None:
        job_id = self.offered(world)
        overdue = job(job_type=OTHER, state=JobStates.WAITING_TO_START, due_at=world.clock.now())
        write(world.place, jobs=[overdue])
        self.wait(world, 11)
        why = explain_job(job_id)
        assert why.sentence.endswith("since 00:00 (11 s): none seems to work.")
        assert why.code == "no-saga-host"
        assert "runjobworker" in why.mend
