"""No row of the history is missed and none is told twice, whatever the order of the commits."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.test.utils import CaptureQueriesContext

from jobsaga.conf import settings
from jobsaga.ids import uuid7
from jobsaga.live.feed import AGAIN, PATCHED, QUEUE, Feed, Listener, Reader
from jobsaga.live.tail import LOOK_BACK, MOST, PATIENCE, Tail, newest
from jobsaga.models import JobHistory
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.conftest import EVERYWHERE
from tests.threads import in_thread

pytestmark = EVERYWHERE


def happen(number: int | None = None, job_id: UUID | None = None) -> UUID:
    """A row of the history, with a number of its own choice."""
    job_id = job_id or uuid7()
    rows = JobHistory.objects.using(settings.DATABASE)
    rows.create(id=number, job_id=job_id, at=DatabasePlace(None).now(), kind="Test")
    return job_id


def tail_at_end() -> Tail:
    tail = Tail(settings.DATABASE)
    tail.begin(0.0)
    return tail


def test_each_row_is_told_once(db: None) -> None:
    happen()
    tail = tail_at_end()
    assert tail.read(0.0) == set()
    first, second = happen(), happen()
    assert tail.read(0.1) == {first, second}
    assert tail.read(0.2) == set()


def test_a_lower_number_that_commits_later_is_told(db: None) -> None:
    happen()
    tail = tail_at_end()
    at = tail.cursor
    late_number, soon = at + 1, happen(at + 2)
    assert tail.read(0.0) == {soon}
    assert tail.read(5.0) == set()
    late = happen(late_number)
    assert tail.read(10.0) == {late}
    assert tail.read(11.0) == set()


def test_a_number_that_was_rolled_back_is_asked_for_no_longer_than_needed(db: None) -> None:
    happen()
    tail = tail_at_end()
    jumped = {tail.cursor + 1, tail.cursor + 2}
    happen(tail.cursor + 3)
    tail.read(0.0)
    assert jumped <= set(tail.missing)
    tail.read(PATIENCE.total_seconds() + 1)
    assert tail.missing == {}


def test_what_is_missing_just_before_the_beginning_may_still_come(db: None) -> None:
    happen(1000)
    happen(1002)
    tail = tail_at_end()
    assert set(tail.missing) == {*range(1003 - LOOK_BACK, 1000), 1001}
    assert tail.read(1.0) == set()
    late = happen(1001)
    assert tail.read(2.0) == {late}


def test_a_jump_of_a_million_numbers_costs_nothing(db: None) -> None:
    happen()
    tail = tail_at_end()
    far = happen(tail.cursor + 1_000_000)
    assert tail.read(0.0) == {far}
    assert len(tail.missing) <= MOST
    assert tail.cursor - 1 in tail.missing, "those near the newest are the likeliest to come"
    from django.db import connections

    with CaptureQueriesContext(connections[settings.DATABASE]) as queries:
        tail.read(0.1)
    assert len(queries) == 2


def test_a_gap_is_remembered_also_while_many_numbers_are_missing(db: None) -> None:
    """A batch that is rolled back leaves hundreds of numbers that never come."""
    happen()
    tail = tail_at_end()
    far = happen(tail.cursor + 2 * MOST)
    assert tail.read(0.0) == {far}
    late_number, soon = tail.cursor + 1, happen(tail.cursor + 2)
    assert tail.read(1.0) == {soon}
    late = happen(late_number)
    assert tail.read(2.0) == {late}
    assert len(tail.missing) <= MOST


def test_many_rows_are_taken_in_turns(db: None) -> None:
    tail = tail_at_end()
    wanted = {happen() for _ in range(MOST + 20)}
    first = tail.read(0.0)
    assert len(first) == MOST
    assert first | tail.read(0.2) == wanted
    assert tail.cursor == newest(settings.DATABASE)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_open_for_a_while_on_postgresql() -> None:
    tail = tail_at_end()
    written, may_commit, held = Event(), Event(), uuid4()

    def hold() -> None:
        with transaction.atomic(using=settings.DATABASE):
            happen(job_id=held)
            written.set()
            assert may_commit.wait(20)

    holder = in_thread(hold)
    assert written.wait(20)
    soon = happen()
    assert tail.read(0.0) == {soon}
    may_commit.set()
    holder.join(20)
    assert tail.read(1.0) == {held}


def test_progress_of_a_watched_job_is_told_though_it_is_no_history(db: None) -> None:
    world = World(DatabasePlace(None))
    worker = world.worker()
    job_id = world.submit()
    (start,) = worker.receive()
    worker.started(start)
    world.lap()
    reader = Reader(settings.DATABASE)
    reader.begin()
    assert reader.round({job_id}) == (False, [])
    worker.progress(start, 3, limit=12, message="<b>frame</b>")
    world.lap()
    happened, (patch,) = reader.round({job_id})
    assert not happened
    assert (patch["id"], patch["said"]) == (str(job_id), "3 / 12 <b>frame</b>")
    assert "<progress" in patch["bar"]
    assert "Running" in patch["pill"]
    assert reader.round({job_id}) == (False, [])
    worker.complete(start)
    world.lap()
    happened, (patch,) = reader.round(())
    assert happened
    assert "Completed" in patch["pill"]


def test_of_a_flood_it_is_said_only_that_much_has_changed(db: None) -> None:
    reader = Reader(settings.DATABASE)
    reader.begin()
    World(DatabasePlace(None)).submit_many(PATCHED + 1)
    assert reader.round(()) == (True, [])


def test_who_does_not_keep_up_is_told_to_read_again() -> None:
    async def listen() -> list[dict[str, Any]]:
        listener = Listener()
        for number in range(QUEUE + 1):
            listener.tell({"t": "patch", "n": number})
        return [listener.queue.get_nowait() for _ in range(listener.queue.qsize())]

    assert asyncio.run(listen()) == [AGAIN]


class FakeTail:
    cursor = 7
    late_until = 0.0


class FakeReader:
    """Rounds that were written down before; an exception in them is raised."""

    def __init__(self, *rounds: Any) -> None:
        self.rounds, self.watched, self.begun, self.tail = list(rounds), [], 0, FakeTail()

    def begin(self) -> int:
        self.begun += 1
        return 7

    def round(self, watched: Any) -> Any:
        self.watched.append(set(watched))
        found = self.rounds.pop(0) if self.rounds else (False, [])
        if isinstance(found, Exception):
            raise found
        return found


def follow(reader: FakeReader, messages: int, monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, Any]]]:
    """What two who listen are told, until each has so many messages."""
    monkeypatch.setattr("jobsaga.live.feed.AFTER_ERROR", 0.0)

    async def run() -> list[list[dict[str, Any]]]:
        feed = Feed(lambda: reader, interval=0.0)  # type: ignore[arg-type, return-value]
        both = [Listener(frozenset({UUID(int=1)}), sees_everything=True),
                Listener(frozenset({UUID(int=2)}), sees_everything=True)]  # fmt: skip
        for each in both:
            await feed.join(each)
        told = [[await asyncio.wait_for(each.queue.get(), 5) for _ in range(messages)] for each in both]
        for each in both:
            feed.leave(each)
        assert feed._task is None, "nobody listens, so nobody follows"
        return told

    return asyncio.run(run())


def test_all_are_told_the_same_and_all_that_is_watched_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    patch = {"id": "x"}
    reader = FakeReader((False, [patch]), (True, []))
    told = follow(reader, 3, monkeypatch)
    assert told[0] == told[1] == [AGAIN, {"t": "patch", "jobs": [patch]}, {"t": "changed", "cursor": 7}]
    assert reader.watched[0] == {UUID(int=1), UUID(int=2)}


def test_who_does_not_see_all_is_told_of_what_they_watch() -> None:
    mine, other = UUID(int=1), UUID(int=2)
    limited, all_seeing, blind = Listener(frozenset({mine})), Listener(sees_everything=True), Listener()
    feed = Feed()
    feed._listeners = {limited, all_seeing, blind}
    feed._tell_of([{"id": str(mine)}, {"id": str(other)}])
    assert limited.queue.get_nowait() == {"t": "patch", "jobs": [{"id": str(mine)}]}
    assert all_seeing.queue.get_nowait() == {"t": "patch", "jobs": [{"id": str(mine)}, {"id": str(other)}]}
    assert blind.queue.empty()


def test_after_an_error_all_are_told_to_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = FakeReader(OSError("the database is away"), (True, []))
    told = follow(reader, 3, monkeypatch)
    assert told[0] == [AGAIN, AGAIN, {"t": "changed", "cursor": 7}]
    assert reader.begun == 2
