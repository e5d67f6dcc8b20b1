"""What every transport must do, whatever it carries the messages with. A test class takes these tests by
inheriting them, and gives a ``post``: the transport, a clock that stands still, and what belongs to its kind.

The listeners are tested in ``listening``, in real time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from jobsaga.clock import ManualClock
from jobsaga.ids import uuid7
from jobsaga.messages import (
    CancelJob,
    CancelKind,
    Fault,
    JobAttemptCanceled,
    JobAttemptCompleted,
    JobAttemptFaulted,
    JobAttemptStarted,
    JobAttemptStatus,
    LimitKind,
    Message,
    Progress,
    SetConcurrentJobLimit,
    SetJobProgress,
    StartJob,
    WriteJobLog,
    decode,
)
from jobsaga.transport.base import SAGA, Delivery, Transport, backoff, instance_endpoint

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Post:
    """A transport in a test's hand."""

    transport: Transport
    clock: ManualClock
    #: A transaction of the store that the transport takes part in; of one that takes part in none, nothing.
    transaction: Callable[[], AbstractContextManager[Any]]
    #: The same transport as another process would open it.
    another: Callable[[], Transport]

    def send(self, *reasons: str, endpoint: str = SAGA) -> None:
        """Send messages that are told apart by their reasons."""
        self.transport.send([(endpoint, note(reason)) for reason in reasons])

    def receive(self, endpoint: str = SAGA, limit: int = 100) -> list[Delivery]:
        with self.transaction():
            return self.transport.receive(endpoint, limit)

    def take(self, endpoint: str = SAGA, limit: int = 100) -> list[str]:
        return reasons(self.transport.take(endpoint, limit))

    def defer_all(self) -> list[Delivery]:
        with self.transaction():
            deliveries = self.transport.receive(SAGA, 100)
            self.transport.defer(deliveries)
        return deliveries


def note(reason: str) -> CancelJob:
    return CancelJob(job_id=UUID(int=1), reason=reason)


def reasons(deliveries: list[Delivery]) -> list[str]:
    return [decode(each.body, "saga").reason for each in deliveries]


class Oops(Exception):
    """Raised by a test in the middle of a transaction."""


class TransportContract:
    """In order, kept until acknowledged, once for each."""

    def test_messages_come_in_the_order_in_which_they_were_sent(self, post: Post) -> None:
        post.send("a", "b")
        post.send("c")
        assert reasons(post.receive()) == ["a", "b", "c"]
        assert reasons(post.receive(limit=2)) == ["a", "b"]

    @pytest.mark.parametrize("index", range(9))
    def test_what_arrives_is_what_was_sent(self, post: Post, index: int) -> None:
        said = everything()[index]
        post.transport.send([(SAGA, said)])
        (delivery,) = post.receive()
        assert decode(delivery.body, "saga") == said
        assert (delivery.endpoint, delivery.tries) == (SAGA, 0)

    def test_a_start_message_arrives_whole(self, post: Post) -> None:
        instance = uuid7()
        start = StartJob(
            job_id=uuid7(), attempt_id=uuid7(), job_type="videos.Convert", instance_id=instance, run=2,
            retry_attempt=1, message={"path": "ü🎬\0", "n": 2**63}, properties={"A": None},
            job_state={"frame": [1, 2.5]}, progress_value=0.5, scheduled_for=NOW,
        )  # fmt: skip
        post.transport.send([(instance_endpoint(instance), start)])
        (delivery,) = post.transport.take(instance_endpoint(instance), 10)
        assert decode(delivery.body, "instance") == start

    def test_each_endpoint_has_its_own(self, post: Post) -> None:
        first, second = instance_endpoint(uuid7()), instance_endpoint(uuid7())
        post.transport.send([(SAGA, note("to the sagas")), (first, note("one")), (second, note("two"))])
        found = [reasons(post.receive(each)) for each in (SAGA, first, second, "unknown")]
        assert found == [["to the sagas"], ["one"], ["two"], []]

    def test_nothing_to_send_is_nothing(self, post: Post) -> None:
        post.transport.send([])
        assert post.receive() == []

    def test_what_was_sent_is_there_for_another_process(self, post: Post) -> None:
        post.send("a", "b")
        another = post.another()
        assert reasons(another.take(SAGA, 1)) == ["a"]
        another.close()
        assert post.take() == ["b"]

    def test_what_is_not_acknowledged_comes_again(self, post: Post) -> None:
        post.send("a", "b")
        with post.transaction():
            first, _ = post.transport.receive(SAGA, 10)
            post.transport.ack([first])
        assert reasons(post.receive()) == ["b"]
        assert reasons(post.receive()) == ["b"]

    def test_a_second_ack_is_no_error(self, post: Post) -> None:
        post.send("a")
        (delivery,) = post.receive()
        for _ in range(2):
            with post.transaction():
                post.transport.ack([delivery])
        post.transport.ack([])
        assert post.receive() == []

    def test_a_handler_that_fails_gets_its_messages_again(self, post: Post) -> None:
        post.send("a", "b")
        with suppress(Oops), post.transaction():
            deliveries = post.transport.receive(SAGA, 10)
            if post.transport.transactional:
                post.transport.ack(deliveries)
                post.send("said in vain")
            raise Oops
        assert reasons(post.receive()) == ["a", "b"]

    def test_what_is_sent_in_a_transaction_that_rolls_back_was_never_sent(self, post: Post) -> None:
        if not post.transport.transactional:
            post.send("kept")
            assert post.take() == ["kept"]
            return
        with suppress(Oops), post.transaction():
            post.send("in vain")
            raise Oops
        assert post.receive() == []

    def test_a_deferred_message_comes_again_a_little_later(self, post: Post) -> None:
        post.send("a")
        post.defer_all()
        assert post.receive() == []
        post.clock.advance(backoff(0) - 0.001)
        assert post.receive() == []
        post.clock.advance(0.001)
        (again,) = post.receive()
        assert (reasons([again]), again.tries) == (["a"], 1)

    def test_each_time_it_waits_longer_but_never_more_than_two_seconds(self, post: Post) -> None:
        post.send("a")
        waits = []
        for tries in range(12):
            (delivery,) = post.defer_all()
            assert delivery.tries == tries
            waits.append(self._time_until_it_comes_again(post))
        assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2, 2, 2, 2]

    def test_messages_pass_those_that_were_deferred(self, post: Post) -> None:
        post.send("a", "b")
        with post.transaction():
            first, _ = post.transport.receive(SAGA, 10)
            post.transport.defer([first])
        assert post.take() == ["b"]
        post.send("c")
        post.clock.advance(backoff(0))
        assert post.take() == ["a", "c"]

    def test_a_deferred_message_can_be_acknowledged(self, post: Post) -> None:
        post.send("a")
        deliveries = post.defer_all()
        post.transport.ack(deliveries)
        post.clock.advance(10)
        assert post.receive() == []

    def test_what_is_gone_cannot_be_deferred(self, post: Post) -> None:
        post.send("a")
        (delivery,) = post.transport.take(SAGA, 1)
        post.transport.defer([delivery])
        post.transport.defer([])
        post.clock.advance(10)
        assert post.receive() == []

    def test_to_take_is_to_receive_and_acknowledge(self, post: Post) -> None:
        post.send("a", "b", "c")
        assert post.take(limit=2) == ["a", "b"]
        assert post.take(limit=2) == ["c"]
        assert post.take() == []

    def test_an_endpoint_is_dropped_with_all_that_waits_there(self, post: Post) -> None:
        gone = instance_endpoint(uuid7())
        post.send("a", "b", endpoint=gone)
        post.send("kept")
        post.transport.drop(gone)
        post.transport.drop(gone)
        assert post.receive(gone) == []
        assert post.take() == ["kept"]
        post.send("late", endpoint=gone)
        assert reasons(post.receive(gone)) == ["late"], "whoever still sends does not fail"

    def test_many_messages_at_once(self, post: Post) -> None:
        expected = [str(n) for n in range(1500)]
        post.send(*expected)
        taken: list[str] = []
        while batch := post.take(limit=500):
            taken += batch
        assert taken == expected

    def test_a_hint_is_no_message(self, post: Post) -> None:
        post.transport.hint()
        assert post.receive() == []

    def test_it_can_be_closed_twice(self, post: Post) -> None:
        post.transport.close()
        post.transport.close()

    def _time_until_it_comes_again(self, post: Post) -> float:
        started = post.clock.now()
        while not post.receive():
            post.clock.advance(0.05)
            assert post.clock.now() - started < timedelta(seconds=5)
        return (post.clock.now() - started).total_seconds()


def everything() -> list[Message]:
    """One of each message that a worker or a client may send to the sagas, with everything filled in."""
    ids: dict[str, Any] = {"job_id": uuid7(), "attempt_id": uuid7()}
    report = {**ids, "timestamp": NOW + timedelta(microseconds=1)}
    progress = Progress(sequence=2**53, value=0.25, limit=1.0, message="ü🎬")
    ended = {**report, "progress": progress, "duration": timedelta(days=2, microseconds=3)}
    return [
        note("ü🎬\0'\"\\%s"),
        JobAttemptStarted(**report, job_timeout=0.5, job_cancellation_timeout=30),
        JobAttemptCompleted(**ended, result={"big": 2**63, "none": None, "list": [True, 1.5, "\0"]}),
        JobAttemptFaulted(
            **ended, fault=Fault(type="E", message="m", traceback="t"), retry_delay=timedelta(0), suspect=True
        ),
        JobAttemptCanceled(**ended, reason="r", kind=CancelKind.SHUTDOWN),
        SetJobProgress(**report, progress=progress),
        WriteJobLog(**report, sequence=3, message="line", status="s", data={"a": [None]}),
        JobAttemptStatus(**ids, status="Unknown", reason="r"),  # type: ignore[arg-type]
        SetConcurrentJobLimit(
            job_type="videos.Convert", kind=LimitKind.CONFIGURED, instance_id=uuid7(), concurrent_job_limit=3,
            global_concurrent_job_limit=9, job_type_properties={"A": 1}, instance_properties={"B": [2]},
        ),
    ]  # fmt: skip
