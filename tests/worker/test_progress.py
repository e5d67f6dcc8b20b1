"""Progress is thinned out: by time, by number, and the last value wins."""

from __future__ import annotations

from threading import Event

from jobsaga.messages import Progress
from jobsaga.options import ProgressBuffer
from jobsaga.worker.progress import Flusher, ProgressTracker


class Sent:
    """What a tracker of these limits sends, with the time in the test's hand."""

    def __init__(self, time_limit: float = 10, update_limit: int = 1000) -> None:
        self.time, self.progress, self.notified = 0.0, list[Progress](), 0
        buffer = ProgressBuffer(time_limit, update_limit)
        self.tracker = ProgressTracker(buffer, lambda: self.time, self.notify, self.progress.append)

    def notify(self, tracker: ProgressTracker) -> None:
        self.notified += 1
        tracker.flush_if_due()

    @property
    def values(self) -> list[float]:
        return [each.value for each in self.progress]


def test_a_value_waits_for_the_time_limit_and_the_last_one_is_sent() -> None:
    sent = Sent()
    for value in (1, 2, 3):
        sent.tracker.set(value, 10, "")
    assert sent.values == []
    sent.time = 10
    sent.tracker.flush_if_due()
    assert sent.progress == [Progress(sequence=3, value=3, limit=10)]
    sent.tracker.flush_if_due()
    assert len(sent.progress) == 1


def test_so_many_updates_are_sent_at_once() -> None:
    sent = Sent(update_limit=5)
    for value in range(12):
        sent.tracker.set(value, None, "")
    assert sent.values == [4, 9]
    assert sent.notified == 5  # the first and the last of each lot


def test_the_limit_stays_until_there_is_another() -> None:
    sent = Sent(update_limit=1)
    sent.tracker.set(1, 7, "one")
    sent.tracker.set(2, None, "")
    assert [(each.limit, each.message) for each in sent.progress] == [(7, "one"), (7, "")]


def test_nothing_is_sent_after_the_end() -> None:
    sent = Sent(update_limit=2)
    sent.tracker.set(1, None, "")
    sent.tracker.stop()
    sent.tracker.set(2, None, "")
    sent.time = 100
    sent.tracker.flush_if_due()
    assert sent.values == []
    assert sent.tracker.latest is not None
    assert sent.tracker.latest.value == 2


def test_the_flusher_sends_in_time() -> None:
    from time import monotonic

    flusher, arrived = Flusher(monotonic), Event()
    flusher.start()
    tracker = ProgressTracker(ProgressBuffer(0.05), monotonic, flusher.notify, lambda _: arrived.set())
    tracker.set(1, None, "")
    assert arrived.wait(5)
