"""Public events: written with what they tell of, sent in order, and until the broker has them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from jobsaga.engine import outbox as sending
from jobsaga.engine.options import EngineOptions
from jobsaga.engine.outbox import AT_ONCE, EVENTS, Outbox, Post
from jobsaga.ids import uuid7
from jobsaga.messages import AddOrUpdateRecurringJob, CancelJob, RetryJob
from jobsaga.remote.events import Announcement
from jobsaga.transport.base import Receipt
from tests.engine.test_statements import another, counted
from tests.engine.world import World, drain
from tests.engine.worlds import COMMITTED, EVERYWHERE, ROW_LOCKS, make_world
from tests.processes import wait_for
from tests.store.rows import announcement, waiting, write

ON = EngineOptions(publish_events=True)


@pytest.fixture(params=EVERYWHERE)
def world(request: pytest.FixtureRequest) -> World:
    return make_world(request.param, options=ON)


@dataclass
class Broker:
    """Takes events, unless told otherwise. ``events`` is what it has got."""

    events: list[Announcement] = field(default_factory=list)
    asked: int = 0
    error: str = ""
    #: Takes so many of a batch, and then the connection is gone.
    takes: int = 1_000_000
    refuses: set[UUID] = field(default_factory=set)

    def publish_events(self, events: Sequence[Announcement]) -> Receipt:
        self.asked += 1
        if self.error:
            return Receipt(error=self.error)
        taken = [each for each in events if each.id not in self.refuses][: self.takes]
        refused = {each.id: "too large" for each in events if each.id in self.refuses}
        self.events += taken
        return Receipt(
            taken=frozenset(each.id for each in taken),
            refused=refused,
            error="" if len(taken) + len(refused) == len(events) else "gone",
        )

    def kinds(self) -> list[str]:
        return [each.kind for each in self.events]


def outbox(world: World, broker: Broker) -> Outbox:
    return Outbox(world.store, broker)  # type: ignore[arg-type]


def told(world: World, job_id: UUID | None = None) -> list[str]:
    """The names of the events that wait, of one job or all."""
    bodies = [json.loads(each.body) for each in waiting(world.place)]
    return [each["type"] for each in bodies if job_id is None or each["body"]["job_id"] == str(job_id)]


# Written


def test_the_life_of_a_job(world: World) -> None:
    worker = world.worker()
    job_id = world.submit(message={"path": "a"}, properties={"tenant": "acme"})
    drain(world, worker)
    bodies = [json.loads(each.body)["body"] for each in waiting(world.place)]
    assert told(world) == ["JobSubmitted", "JobStarted", "JobCompleted"]
    assert {each["job_id"] for each in bodies} == {str(job_id)}
    assert all(each["message"] == {"path": "a"} for each in bodies)
    assert [each.get("instance_id") for each in bodies] == [None, str(worker.id), str(worker.id)]


def test_they_tell_what_the_signals_tell(world: World) -> None:
    worker = world.worker(limit=9)
    faulted, canceled, retried, _ = world.submit_many(4)
    starts = {each.job_id: each for each in worker.receive()}
    for start in starts.values():
        worker.started(start)
    worker.fault(starts[faulted])
    worker.fault(starts[retried], retry_delay=1)
    world.say(CancelJob(job_id=canceled))
    worker.cancel(starts[canceled])
    world.lap()
    world.pass_time(2)
    drain(world, worker)
    assert told(world) == [each.name for each in world.events]
    assert told(world, faulted) == ["JobSubmitted", "JobStarted", "JobFaulted"]
    assert told(world, canceled) == ["JobSubmitted", "JobStarted", "JobCanceled"]
    assert told(world, retried) == ["JobSubmitted", "JobStarted", "JobStarted", "JobCompleted"]


def test_what_a_client_decides_is_told_too(world: World) -> None:
    job_id = world.submit()
    world.command(CancelJob(job_id=job_id))
    world.command(RetryJob(job_id=job_id))
    world.command(
        AddOrUpdateRecurringJob(job_id=uuid7(), job_type="videos.Sweep", name="n", cron="0 0 3 * * *")
    )
    assert told(world) == ["JobSubmitted", "JobCanceled", "JobSubmitted"]
    assert told(world) == [each.name for each in world.events]


def test_each_event_is_written_once_however_often_a_message_comes(world: World) -> None:
    worker = world.worker()
    world.submit()
    (start,) = worker.receive()
    for _ in range(3):
        worker.started(start)
        worker.complete(start)
        world.lap()
    assert told(world) == ["JobSubmitted", "JobStarted", "JobCompleted"]
    assert len({each.id for each in waiting(world.place)}) == 3


def test_without_the_option_nothing_is_written(world: World) -> None:
    world.options = EngineOptions()
    world.engine = world.another_engine()
    worker = world.worker()
    world.submit()
    assert drain(world, worker) == 1
    assert waiting(world.place) == []


def test_a_message_whose_handling_is_undone_is_no_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = world.worker(limit=2)
    good, bad = world.submit_many(2)
    for start in worker.receive():
        worker.started(start)
        worker.complete(start)
    from jobsaga.engine import turn

    real = turn.Turn._put

    def put(self: Any, table: Any, key: Any, row: Any) -> None:
        real(self, table, key, row)
        assert not (key == bad and getattr(row, "finished_at", None)), "a bug in a transition"

    monkeypatch.setattr(turn.Turn, "_put", put)
    world.lap()
    assert "JobCompleted" in told(world, good)
    assert told(world, bad) == ["JobSubmitted", "JobStarted"]


def test_events_outlive_their_job(world: World) -> None:
    world.options = EngineOptions(publish_events=True, finalize_completed=True)
    world.engine = world.another_engine()
    worker = world.worker()
    job_id = world.submit()
    drain(world, worker)
    assert not world.exists(job_id)
    assert told(world, job_id) == ["JobSubmitted", "JobStarted", "JobCompleted"]


# Sent


def test_a_sender_that_dies_before_it_could_remove_them_sends_them_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the same ids and say the same."""
    events = [announcement(str(n)) for n in range(3)]
    write(world.place, events=events)
    broker = Broker()
    real = broker.publish_events

    def publish_and_die(events: Sequence[Announcement]) -> Receipt:
        real(events)
        raise ConnectionError("killed")

    monkeypatch.setattr(broker, "publish_events", publish_and_die)
    with pytest.raises(ConnectionError):
        outbox(world, broker).send()
    monkeypatch.undo()
    outbox(world, broker).send()
    assert broker.events == events * 2
    assert waiting(world.place) == []


def test_they_are_sent_in_order_and_removed(world: World) -> None:
    broker, worker = Broker(), world.worker()
    world.submit()
    drain(world, worker)
    assert outbox(world, broker).send() is False
    assert broker.kinds() == ["JobSubmitted", "JobStarted", "JobCompleted"]
    assert waiting(world.place) == []
    outbox(world, broker).send()
    assert broker.asked == 1, "nothing waits, and the broker is not bothered"


def test_what_is_not_confirmed_stays_and_comes_first(world: World) -> None:
    events = [announcement(str(n)) for n in range(5)]
    write(world.place, events=events)
    broker = Broker(takes=2)
    sender = outbox(world, broker)
    assert sender.send() is False
    assert sender.error == "gone"
    assert waiting(world.place) == events[2:]
    broker.takes = 9
    sender.send()
    assert (broker.events, sender.error, waiting(world.place)) == (events, "", [])


def test_one_that_the_broker_never_takes_is_a_dead_letter_and_blocks_no_other(world: World) -> None:
    events = [announcement(str(n)) for n in range(4)]
    write(world.place, events=events)
    broker = Broker(refuses={events[1].id})
    outbox(world, broker).send()
    assert broker.events == [events[0], *events[2:]]
    assert waiting(world.place) == []
    (dead,) = world.dead()
    assert (dead.endpoint, dead.body) == (EVENTS, events[1].body)
    assert "(3 bytes): too large" in dead.reason


def test_many_are_sent_in_pieces(world: World) -> None:
    events = [announcement(str(n)) for n in range(2 * AT_ONCE + 1)]
    write(world.place, events=events)
    broker, sent = Broker(), []
    while (more := outbox(world, broker).send()) or not sent:
        sent.append(more)
    assert broker.events == events
    assert broker.asked == 3


def test_large_ones_are_sent_in_smaller_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LONGEST", 100)
    events = [announcement("x" * length) for length in (10, 40, 60, 500, 10)]
    write(world.place, events=events)
    broker = Broker()
    rounds = 1
    while outbox(world, broker).send():
        rounds += 1
    assert broker.events == events
    assert rounds == 4


@pytest.mark.parametrize("world", ROW_LOCKS, indirect=True)
def test_two_saga_hosts_send_different_ones(world: World) -> None:
    events = [announcement(str(n)) for n in range(AT_ONCE + 5)]
    write(world.place, events=events)
    other, first = Broker(), Broker()
    thread_ended = threading.Event()

    class Slow(Broker):
        def publish_events(self, events: Sequence[Announcement]) -> Receipt:
            in_thread(lambda: outbox(world, other).send(), thread_ended)
            assert thread_ended.wait(20)
            return first.publish_events(events)

    outbox(world, Slow()).send()
    assert first.events == events[:AT_ONCE]
    assert other.events == events[AT_ONCE:]
    assert waiting(world.place) == []


def in_thread(run: Callable[[], Any], ended: threading.Event) -> None:
    from tests import threads

    def noted() -> None:
        try:
            run()
        finally:
            ended.set()

    threads.in_thread(noted)


@pytest.mark.parametrize("world", COMMITTED, indirect=True)
def test_an_event_of_a_very_long_transaction_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row has a low number and appears late, when the reading begins far above it."""
    from jobsaga.store import outbox as stored

    monkeypatch.setattr(stored, "MARGIN", 0)
    place: Any = world.place
    write(place, events=[announcement()])
    late = place.rows("EventOutbox").get()
    place.rows("EventOutbox").all().delete()
    write(place, events=[announcement(str(n)) for n in range(3)])
    broker = Broker()
    sender = outbox(world, broker)
    sender.send()
    late.save(force_insert=True)
    write(place, events=[announcement()])
    sender.send()
    sender.send()
    assert [each.id for each in waiting(place)] in ([], [late.event_id])
    world.clock.advance(stored.FULL_SCAN_EVERY)
    sender.send()
    assert waiting(place) == []
    assert len(broker.events) == 5


# The thread


@pytest.fixture
def posts() -> Iterator[Callable[[World, Broker], Post]]:
    made: list[Post] = []

    def make(world: World, broker: Broker) -> Post:
        made.append(Post(outbox(world, broker)))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("world", ["memory", *COMMITTED], indirect=True)
class TestPost:
    def test_what_is_written_is_sent_when_the_host_has_looked(self, world: World, posts: Any) -> None:
        write(world.place, events=[announcement("from earlier")])
        broker = Broker()
        post = posts(world, broker)
        wait_for(lambda: len(broker.events) == 1, what="what lay there")
        write(world.place, events=[announcement("new")])
        post.wake()
        wait_for(lambda: len(broker.events) == 2, what="what is new")

    def test_a_broker_that_is_away_is_not_hammered_and_misses_nothing(self, world: World, posts: Any) -> None:
        events = [announcement(str(n)) for n in range(3)]
        write(world.place, events=events)
        broker = Broker(error="it is away")
        post = posts(world, broker)
        wait_for(lambda: broker.asked >= 3, what="three tries")
        before = broker.asked
        for _ in range(1000):
            post.wake()
        assert broker.asked <= before + 1
        assert waiting(world.place) == events
        broker.error = ""
        wait_for(lambda: broker.events == events, what="all, when it is back")

    def test_the_last_ones_are_sent_at_the_end(self, world: World) -> None:
        broker = Broker()
        post = Post(outbox(world, broker))
        post.start()
        write(world.place, events=[announcement() for _ in range(AT_ONCE + 1)])
        post.close()
        assert len(broker.events) == AT_ONCE + 1
        assert waiting(world.place) == []

    def test_a_store_that_fails_for_a_moment_ends_nothing(
        self, world: World, posts: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        broker, real = Broker(), world.store.outbox
        monkeypatch.setattr(world.store, "outbox", lambda _: 1 / 0)
        posts(world, broker)
        wait_for(lambda: "unforeseen" in caplog.text, what="a failure")
        monkeypatch.setattr(world.store, "outbox", real)
        write(world.place, events=[announcement()])
        wait_for(lambda: len(broker.events) == 1, what="the event")


# What it costs


def statements_of_a_life(world: World, count: int) -> int:
    """Of one lap in which that many jobs have started and ended."""
    worker = world.worker(limit=count)
    world.submit_many(count)
    for start in worker.receive():
        worker.started(start)
        worker.complete(start)
    with counted() as statements:
        world.engine.process()
    assert world.dead() == []
    return len(statements)


@pytest.mark.parametrize("world", COMMITTED, indirect=True)
def test_a_lap_takes_one_statement_more(world: World) -> None:
    with_events = statements_of_a_life(world, 50)
    plain = another(world)
    assert with_events - statements_of_a_life(plain, 50) == 1


@pytest.mark.parametrize("world", COMMITTED, indirect=True)
def test_to_send_a_hundred_takes_as_many_statements_as_to_send_one(world: World) -> None:
    taken = []
    for count in (1, AT_ONCE):
        write(world.place, events=[announcement() for _ in range(count)])
        sender = outbox(world, Broker())
        with counted() as statements:
            sender.send()
        taken.append(len(statements))
    assert taken == [2, 2]


@pytest.mark.parametrize("world", COMMITTED, indirect=True)
def test_to_look_into_an_empty_outbox_takes_one_statement(world: World) -> None:
    sender = outbox(world, Broker())
    with counted() as statements:
        assert sender.send() is False
    assert len(statements) == 1
