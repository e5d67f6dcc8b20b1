"""Why a job that is due has no slot: each limit, pause, drain and worker that may be the reason."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobsaga import explain_job, get_job_state
from jobsaga.client.explain import Holder
from jobsaga.client.explain.facts import Facts
from jobsaga.client.explain.rules import complete
from jobsaga.messages import LimitKind
from tests.client.acts import TYPE
from tests.client.conftest import Site
from tests.client.explained import OTHER, busy, set_type, set_worker

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


class TestNoWorker:
    def test_that_ever_ran_the_type(self, world: Site) -> None:
        why = explain_job(world.submit(TYPE))
        assert why.sentence == f"No live worker runs {TYPE}, and none ever did."
        assert (why.code, why.since, why.mend) == ("no-worker", None, "manage.py runjobworker")

    def test_nor_a_consumer_of_that_name(self, world: Site) -> None:
        why = explain_job(world.submit("old.Name"))
        assert why.sentence == (
            "No live worker runs old.Name, and none ever did; nor is a consumer of that name registered here."
        )

    def test_but_others(self, world: Site) -> None:
        world.worker(types=[OTHER])
        job_id = world.submit(TYPE)
        assert explain_job(job_id).sentence == (
            f"No live worker runs {TYPE}, and none ever did; 1 other worker lives, but not for this type."
        )
        world.worker(types=[OTHER])
        assert explain_job(job_id).sentence.endswith("; 2 other workers live, but not for this type.")

    def test_since_the_last_was_lost(self, world: Site) -> None:
        worker = world.worker()
        world.clock.advance(5)
        worker.beat()
        seen = world.clock.now()
        worker.dies()
        world.pass_time(100, step=5)
        why = explain_job(world.submit(TYPE))
        assert (
            why.sentence == f"No live worker runs {TYPE}: test:1 was seen last at 00:00:05 (1 min 40 s ago)."
        )
        assert (why.code, why.since, why.worker) == ("no-worker", seen, "test:1")

    def test_since_the_last_has_left_in_good_order(self, world: Site) -> None:
        worker = world.worker()
        worker.announce([TYPE], 1, kind=LimitKind.STOPPED)
        world.lap()
        worker.stops()
        assert explain_job(world.submit(TYPE)).sentence == f"No live worker runs {TYPE} any more."

    def test_but_one_that_has_just_stopped(self, world: Site) -> None:
        world.worker().stops()
        assert explain_job(world.submit(TYPE)).sentence == f"No live worker runs {TYPE}: test:1 has stopped."

    def test_but_one_that_is_stopping(self, world: Site) -> None:
        worker = world.worker()
        set_worker(world, worker, state=2)
        why = explain_job(world.submit(TYPE))
        assert why.sentence == f"No live worker runs {TYPE}: test:1 is stopping, and takes no more."

    def test_is_said_before_a_pause(self, world: Site) -> None:
        worker = world.worker()
        set_type(world, paused_at=world.clock.now(), paused_by="ada")
        worker.dies()
        world.pass_time(15, step=5)
        why = explain_job(world.submit(TYPE))
        assert why.code == "no-worker"
        assert why.also == (f"{TYPE} is paused by ada since 00:00.",)


class TestAPerson:
    def test_has_paused_the_type(self, world: Site) -> None:
        world.worker()
        set_type(world, paused_at=world.clock.now(), paused_by="ada", pause_reason="the disk is full.")
        job_id = world.submit(TYPE)
        why = explain_job(job_id)
        assert why.sentence == f"{TYPE} is paused by ada (the disk is full) since 00:00."
        assert (why.code, why.since, why.by) == ("paused", world.clock.now(), "ada")
        assert why.reason == "the disk is full."
        assert get_job_state(job_id).waiting_code == "paused"

    def test_has_drained_the_only_worker(self, world: Site) -> None:
        set_worker(
            world, world.worker(), drained_at=world.clock.now(), drained_by="ada", drain_reason="reboot"
        )
        why = explain_job(world.submit(TYPE))
        assert why.sentence == (
            f"test:1 is drained by ada (reboot) since 00:00, and no other live worker runs {TYPE}."
        )
        assert (why.code, why.since, why.by, why.worker) == ("drained", world.clock.now(), "ada", "test:1")

    def test_has_drained_all_workers(self, world: Site) -> None:
        workers = [world.worker(), world.worker()]
        set_worker(world, workers[0], drained_at=world.clock.now(), drained_by="ada")
        world.clock.advance(60)
        set_worker(world, workers[1], drained_at=world.clock.now(), drained_by="bob")
        for each in workers:
            each.beat()
        assert explain_job(world.submit(TYPE)).sentence == (
            f"All 2 live workers of {TYPE} are drained by bob since 00:01."
        )

    def test_has_lowered_the_limit_for_a_while(self, world: Site) -> None:
        worker = world.worker(limit=5)
        set_type(
            world, override_job_limit=1, override_by="ada", override_reason="the night is long",
            override_at=world.clock.now(), due_at=world.clock.now() + timedelta(minutes=30),
        )  # fmt: skip
        (first,) = busy(world)
        world.clock.advance(10)
        why = explain_job(world.submit(TYPE))
        assert worker.alive
        assert why.sentence == (
            f"The one slot of its worker is taken, since 00:00 by job {first.hex[-8:]} (an override by ada "
            "(the night is long), which ends in 29 min 50 s); it is the next in line."
        )
        assert (why.code, why.limit, why.held) == ("slots", 1, 1)

    def test_has_lowered_it_below_what_runs(self, world: Site) -> None:
        first, *_ = busy(world, 3)
        set_type(world, override_job_limit=1, override_by="ada")
        why = explain_job(world.submit(TYPE))
        assert why.sentence == (
            "3 slots of its worker are taken, where 1 may be, the longest since 00:00 by job "
            f"{first.hex[-8:]} (an override by ada); it is the next in line."
        )
        assert (why.limit, why.held) == (1, 3)

    @pytest.mark.parametrize(
        ("column", "code", "where"),
        [
            ("override_job_limit", "slots", "on its worker"),
            ("override_global_limit", "global-limit", "anywhere"),
        ],
    )
    def test_has_lowered_it_to_nothing(self, world: Site, column: str, code: str, where: str) -> None:
        world.worker(limit=5)
        set_type(world, **{column: 0}, override_by="ada", due_at=world.clock.now() + timedelta(minutes=30))
        why = explain_job(world.submit(TYPE))
        assert why.sentence == (
            f"{TYPE} may not run {where} (an override by ada, which ends in 30 min); it is the next in line."
        )
        assert (why.code, why.limit, why.held, why.holders) == (code, 0, 0, ())


class TestLimits:
    def test_of_one_worker(self, world: Site) -> None:
        held = busy(world, 3)
        world.clock.advance(10)
        job_id = world.submit(TYPE)
        why = explain_job(job_id)
        assert why.sentence == (
            f"All 3 slots of its worker are taken, the longest since 00:00 by job {held[0].hex[-8:]}; "
            "it is the next in line."
        )
        assert (why.code, why.limit, why.held, why.ahead) == ("slots", 3, 3, 0)
        assert why.since == world.job(held[0]).started_at
        assert [each.job_id for each in why.holders] == held
        assert why.holders[0] == Holder(
            job_id=held[0],
            attempt_id=world.attempts(held[0])[0].id,
            since=world.clock.now() - 12 * SECOND,
            worker="test:1",
        )
        assert get_job_state(job_id).waiting_for == why.sentence

    def test_of_several_workers_one_of_them_drained(self, world: Site) -> None:
        for limit in (1, 2, 4):
            worker = world.worker(limit)
        set_worker(world, worker, drained_at=world.clock.now())
        held = world.submit_many(3, TYPE)
        why = explain_job(world.submit(TYPE))
        assert why.sentence.startswith(
            "All 3 slots of its 2 workers are taken, the longest since 00:00 by job "
        )
        assert why.sentence.endswith("; 1 other is drained; it is the next in line.")
        assert {each.job_id for each in why.holders} == set(held)

    def test_of_those_that_can_read_it(self, world: Site) -> None:
        """In a rolling deploy: the old worker has room, which is not for a job of the new release."""
        world.worker()
        (held,) = busy(world)
        old = world.worker(limit=5)
        world.place.rows("JobTypeInstance").exclude(instance_id=old.id).update(message_version=2)
        job_id = world.submit(TYPE, message_version=2)
        assert explain_job(job_id).sentence == (
            f"The one slot of its worker is taken, since 00:00 by job {held.hex[-8:]}; "
            "1 other is of an older release and cannot read it; it is the next in line."
        )
        world.place.rows("JobTypeInstance").update(message_version=1)
        why = explain_job(job_id)
        assert why.sentence == (
            f"Its message has version 2, and the live workers of {TYPE} read version 1 at most: "
            "it waits for one of the newer release."
        )
        assert (why.code, why.also) == ("too-old", ())

    def test_of_all_workers_together(self, world: Site) -> None:
        worker = world.worker(limit=5, global_limit=2)
        held = world.submit_many(2, TYPE)
        assert len(worker.receive()) == 2
        world.clock.advance(5)
        why = explain_job(world.submit(TYPE))
        assert why.sentence == (
            f"All 2 slots of all workers together are taken, the longest since 00:00 by job {held[0].hex[-8:]}; "
            "it is the next in line."
        )
        assert (why.code, why.limit, why.held) == ("global-limit", 2, 2)

    def test_a_lost_worker_counts_until_its_slots_are_free(self, world: Site) -> None:
        first, second = world.worker(global_limit=1), world.worker(global_limit=1)
        (held,) = busy(world)
        holder = first if world.attempts(held)[0].instance_id == first.id else second
        holder.dies()
        world.pass_time(12)
        why = explain_job(world.submit(TYPE))
        assert (why.code, why.held) == ("global-limit", 1)

    def test_none_that_it_holds_itself(self, world: Site) -> None:
        """It is given one after its own row was read, and before the slots are."""
        job_id = world.submit(TYPE)
        facts = Facts(world.place.alias, world.place.rows("JobSaga").get(pk=job_id))
        busy(world)
        assert world.slots()[0].job_id == job_id
        assert complete(facts).sentence == "It has just been given a slot."

    def test_only_ten_holders_are_named(self, world: Site) -> None:
        busy(world, 12)
        why = explain_job(world.submit(TYPE))
        assert (why.held, len(why.holders)) == (12, 10)

    def test_of_its_key(self, world: Site) -> None:
        world.worker(limit=5)
        set_type(world, concurrency_per_key=1)
        held = world.submit(TYPE, concurrency_key="acme")
        world.clock.advance(5)
        before, job_id = (world.submit(TYPE, concurrency_key="acme") for _ in range(2))
        why = explain_job(job_id)
        assert why.sentence == (
            f'Key "acme" is at its limit of 1, since 00:00 by job {held.hex[-8:]}; 1 job of its key is before it.'
        )
        assert (why.code, why.key, why.limit, why.held, why.ahead) == ("key", "acme", 1, 1, 1)
        assert [(each.job_id, each.key) for each in why.holders] == [(held, "acme")]
        assert explain_job(before).sentence.endswith("; it is the next of its key in line.")

    def test_a_key_means_nothing_where_the_type_has_no_limit_for_it(self, world: Site) -> None:
        world.worker(limit=1)
        world.submit(TYPE, concurrency_key="acme")
        assert explain_job(world.submit(TYPE, concurrency_key="acme")).code == "slots"

    def test_key_and_slots(self, world: Site) -> None:
        world.worker(limit=1)
        set_type(world, concurrency_per_key=1)
        world.submit(TYPE, concurrency_key="acme")
        why = explain_job(world.submit(TYPE, concurrency_key="acme"))
        assert why.code == "key"
        assert len(why.also) == 1
        assert why.also[0].startswith("The one slot of its worker is taken")
