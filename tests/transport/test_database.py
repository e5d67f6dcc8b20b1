"""The contract, filled by the test's database; and what only a queue of rows can get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from jobsaga.clock import ManualClock
from jobsaga.conf import settings
from jobsaga.ids import uuid7
from jobsaga.messages import AttemptStatus, JobAttemptStatus
from jobsaga.models import TransportMessage
from jobsaga.store.django import DjangoStore
from jobsaga.transport.base import SAGA, backoff, instance_endpoint
from jobsaga.transport.database import FULL_SCAN_EVERY, MARGIN, DatabaseTransport
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.store.rows import announcement
from tests.threads import in_thread
from tests.transport.contract import Post, TransportContract, note, reasons

COMMITTING = pytest.mark.django_db(transaction=True)


@pytest.fixture
def post() -> Post:
    clock = ManualClock()
    return Post(
        DatabaseTransport(clock=clock),
        clock,
        DjangoStore().transaction,
        lambda: DatabaseTransport(clock=clock),
    )


@pytest.mark.django_db
class TestDatabaseTransport(TransportContract):
    pass


def rows() -> Any:
    return TransportMessage.objects.using(settings.DATABASE)


@COMMITTING
class TestSeveralReceivers:
    @pytest.mark.postgresql
    @pytest.mark.mariadb
    def test_two_at_once_never_get_the_same_message_nor_wait_for_each_other(self, post: Post) -> None:
        post.send(*"abcd")
        found: list[list[str]] = []
        both_have = Barrier(2, timeout=20)

        def receive() -> None:
            with post.transaction():
                found.append(reasons(post.transport.receive(SAGA, 2)))
                both_have.wait()

        threads = [in_thread(receive), in_thread(receive)]
        for thread in threads:
            thread.join(20)
        assert sorted(found) == [["a", "b"], ["c", "d"]]
        assert reasons(post.receive()) == ["a", "b", "c", "d"], "neither has acknowledged"

    @pytest.mark.sqlite
    def test_the_second_waits_for_the_first(self, post: Post) -> None:
        post.send(*"abcd")
        found: list[list[str]] = []

        def take() -> None:
            found.append(post.take(limit=2))

        with post.transaction():
            deliveries = post.transport.receive(SAGA, 2)
            second = in_thread(take)
            second.join(0.3)
            assert second.is_alive()
            post.transport.ack(deliveries)
        second.join(20)
        assert found == [["c", "d"]]

    def test_many_at_once_take_each_message_once(self, post: Post) -> None:
        post.send(*(str(n) for n in range(300)))
        taken: list[str] = []

        def take() -> None:
            while batch := post.transport.take(SAGA, 7):
                taken.extend(reasons(batch))

        threads = [in_thread(take) for _ in range(4)]
        for thread in threads:
            thread.join(60)
        assert sorted(taken, key=int) == [str(n) for n in range(300)]


@COMMITTING
class TestReadingFromALowMark:
    """The reading begins a little below the last batch; nothing below that may be lost."""

    def test_a_message_that_becomes_visible_out_of_order_is_found_at_once(self, post: Post) -> None:
        if connections[settings.DATABASE].vendor == "sqlite":
            self._insert(50)
            self._insert(40)
        else:
            self._commit_in_the_other_order(post)
        assert len(post.take(limit=1)) == 1
        assert len(post.take(limit=1)) == 1

    def test_one_far_below_is_found_after_ten_seconds(self, post: Post) -> None:
        self._insert(MARGIN + 500)
        assert len(post.take()) == 1
        self._insert(100)
        assert post.take() == []
        post.clock.advance(FULL_SCAN_EVERY)
        assert len(post.take()) == 1

    def test_one_far_below_that_was_deferred_is_found_when_its_pause_is_over(self, post: Post) -> None:
        self._insert(1)
        post.defer_all()
        self._insert(MARGIN + 500)
        assert len(post.take()) == 1
        post.clock.advance(backoff(0))
        assert len(post.take()) == 1

    def test_each_endpoint_has_a_mark_of_its_own(self, post: Post) -> None:
        self._insert(MARGIN + 500)
        assert len(post.take()) == 1
        other = instance_endpoint(uuid7())
        self._insert(10, other)
        assert len(post.take(other)) == 1

    def test_the_walk_over_what_was_handled_is_spared(self, post: Post) -> None:
        """The reason for the mark: under someone's long transaction the dead rows stay in the index."""
        self._insert(MARGIN + 500)
        post.take()
        with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
            post.receive()
        assert [q["sql"] for q in queries if " > 500 " in q["sql"] or "> 500)" in q["sql"]]

    def _insert(self, key: int, endpoint: str = SAGA) -> None:
        from jobsaga.messages import encode

        rows().create(id=key, endpoint=endpoint, body=encode(note(str(key))))

    def _commit_in_the_other_order(self, post: Post) -> None:
        """The first gets its number first and commits last."""
        has_its_number, commit = Event(), Event()

        def first() -> None:
            with transaction.atomic(using=settings.DATABASE):
                post.send("first")
                has_its_number.set()
                assert commit.wait(20)

        thread = in_thread(first)
        assert has_its_number.wait(20)
        post.send("second")
        assert post.take(limit=1) == ["second"]
        commit.set()
        thread.join(20)
        post.send("third")


@COMMITTING
@pytest.mark.postgresql
class TestNotifying:
    def test_once_for_each_endpoint_after_the_commit(self, post: Post) -> None:
        one, two = instance_endpoint(uuid7()), instance_endpoint(uuid7())
        with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
            with transaction.atomic(using=settings.DATABASE):
                for _ in range(5):
                    post.send("a", "b")
                    post.send("c", endpoint=one)
                    with transaction.atomic(using=settings.DATABASE):
                        post.send("d", endpoint=two)
                    post.transport.hint()
                assert notified(queries) == []
            assert notified(queries) == sorted(
                f"jobsaga_{each}".replace("-", "_") for each in (SAGA, one, two)
            )

    def test_nothing_is_told_of_what_was_rolled_back(self, post: Post) -> None:
        with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
            with transaction.atomic(using=settings.DATABASE):
                with pytest.raises(ZeroDivisionError), transaction.atomic(using=settings.DATABASE):
                    self._fail_after(post)
                post.send("kept", endpoint="kept")
            assert notified(queries) == ["jobsaga_kept"]

    def _fail_after(self, post: Post) -> None:
        post.send("in vain")
        raise ZeroDivisionError

    def test_outside_of_a_transaction_at_once(self, post: Post) -> None:
        with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
            post.send("a")
            assert notified(queries) == ["jobsaga_saga"]


def notified(queries: CaptureQueriesContext) -> list[str]:
    """The channels that were told, sorted."""
    sent = [query["sql"] for query in queries.captured_queries if "pg_notify" in query["sql"]]
    return sorted(sql.split("'")[1] for sql in sent)


@COMMITTING
@pytest.mark.postgresql
def test_many_jobs_in_one_transaction_do_not_each_look_through_all_that_follows_its_commit() -> None:
    """Else a transaction of ten thousand took seconds for this alone, and one of twenty thousand four times that."""
    transport, connection = DatabaseTransport(), connections[settings.DATABASE]
    looked_at = 0

    class Counted(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            nonlocal looked_at
            for each in super().__iter__():
                looked_at += 1
                yield each

    with transaction.atomic(using=settings.DATABASE):
        connection.run_on_commit = Counted()
        for _ in range(100):
            transaction.on_commit(lambda: None, using=settings.DATABASE)
            transport.hint()
    assert looked_at <= 200


@COMMITTING
def test_the_databases_time_decides_when_a_message_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A saga host whose clock is an hour ahead may defer a message: the others get it all the same."""
    if connections[settings.DATABASE].vendor == "sqlite":
        return  # one machine, one clock
    from datetime import timedelta

    from jobsaga.clock import SystemClock
    from tests.processes import wait_for

    transport = DatabaseTransport()
    transport.send([(SAGA, note("a"))])
    right = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: right(self) + timedelta(hours=1))
    store = DjangoStore()
    with store.transaction():
        transport.defer(transport.receive(SAGA, 1))
    monkeypatch.undo()
    wait_for(lambda: transport.take(SAGA, 1), 5, "the message to come again")


def test_without_a_broker_no_event_is_taken() -> None:
    receipt = DatabaseTransport().publish_events([announcement()])
    assert (receipt.taken, receipt.refused, receipt.error) == (frozenset(), {}, "there is no broker")


class TestWorkersThatAreGone:
    @pytest.fixture
    def world(self) -> World:
        place: Any = DatabasePlace(ManualClock())
        return World(place)

    @pytest.mark.django_db
    def test_what_waits_for_them_goes(self, world: World) -> None:
        """Their host died before it could drop it, or it was said after that."""
        dead, stopped, alive = (world.worker() for _ in range(3))
        world.submit_many(3)
        assert [len(world.told(each)) for each in (dead, stopped, alive)] == [1, 1, 1]
        dead.dies()
        stopped.stops()
        with world.store.transaction() as tx:
            world.clock.advance(16)
            alive.beat()
            tx.expire_instances(world.clock.now())
        world.send(JobAttemptStatus(job_id=uuid7(), attempt_id=uuid7(), status=AttemptStatus.LATE))
        world.engine.prune()
        assert [len(world.told(each)) for each in (dead, stopped, alive)] == [0, 0, 1]
        assert len(world.arrived()) == 1

    @pytest.mark.django_db
    def test_not_what_one_that_stops_may_still_give_back(self, world: World) -> None:
        worker = world.worker()
        world.submit()
        worker.stops()
        world.engine.prune()
        assert len(world.told(worker)) == 1

    @COMMITTING
    @pytest.mark.postgresql
    @pytest.mark.mariadb
    def test_one_that_is_frozen_with_a_message_in_its_hand_holds_nobody_up(self, world: World) -> None:
        worker = world.worker(limit=2)
        world.submit_many(2)
        worker.dies()
        first = rows().filter(endpoint=worker.endpoint).order_by("id").values_list("id", flat=True)[0]
        with world.place.hold("message", first):
            swept = in_thread(lambda: world.pass_time(17))
            swept.join(20)
            assert not swept.is_alive(), "a sweep waits for the row that a dead worker holds"
            world.engine.prune()
            assert len(world.told(worker)) == 1
        world.engine.prune()
        assert world.told(worker) == []
