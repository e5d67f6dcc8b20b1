"""The sending of public events, beside the saga host's own work.

What was decided is told after the commit, in the order of the rows: of one job, in the order in which things
happened, as far as one saga host goes. A row is deleted when the broker has confirmed its event, so a crash in
between sends the event again, with the same id.

It has a thread of its own, because whoever likes may bind a slow queue to the exchange: then the events wait, and the
sagas do not. The host wakes it after each lap, which is also how it learns of what clients have written. While the
broker is away it looks only now and then.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from threading import Event, Thread

from jobsaga.clock import SystemClock
from jobsaga.remote.events import Announcement
from jobsaga.store.base import Dead, Store
from jobsaga.transport.base import Transport

logger = logging.getLogger("jobsaga.engine")

#: The endpoint of dead letters that are events.
EVENTS = "events"
#: How many events are sent at once, and how many characters; a single one may be longer.
AT_ONCE, LONGEST = 100, 4_000_000
FIRST_PAUSE, LAST_PAUSE = 0.25, 5.0
#: Seconds that a stopping host gives the last events; what is left others send.
LAST_WORDS = 10.0


class Outbox:
    """Sends what waits to be published."""

    def __init__(self, store: Store, transport: Transport) -> None:
        self.store, self.transport = store, transport
        self.error = ""

    def send(self) -> bool:
        """Send the first events that wait; whether there may be more that can be sent now. ``error`` says why not, if
        something is wrong.
        """
        with self.store.outbox(AT_ONCE) as waiting:
            events = _as_many_as_fit(waiting.events)
            if not events:
                self.error = ""
                return False
            receipt = self.transport.publish_events(list(events.values()))
            done = {*receipt.taken, *receipt.refused}
            dead = [
                _letter(each, receipt.refused[each.id])
                for each in events.values()
                if each.id in receipt.refused
            ]
            if done:
                waiting.remove([key for key, each in events.items() if each.id in done], dead)
            more = len(waiting.events) == AT_ONCE or len(events) < len(waiting.events)
        for each in dead:
            logger.error("An event is not published, and is a dead letter now: %s", each.reason)
        self.error = receipt.error
        return more and not receipt.error


class Post:
    """A thread that empties the outbox whenever it is woken. ``start``, ``wake`` and ``close`` are the host's."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self._woken, self._stopping = Event(), Event()
        self._failures, self._said = 0, ""
        self._thread = Thread(target=self._run, name="jobsaga-events", daemon=True)

    def start(self) -> None:
        """Begin; what lies there from earlier is sent at once."""
        self.wake()
        self._thread.start()

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    def close(self) -> None:
        """Send what is there now, if the broker takes it, and end."""
        self._stopping.set()
        self.wake()
        self._thread.join(LAST_WORDS)

    def _run(self) -> None:
        is_last = False
        try:
            while not is_last:
                self._woken.wait()
                self._woken.clear()
                is_last = self._stopping.is_set()
                self._empty()
        finally:
            self.outbox.store.close()

    def _empty(self) -> None:
        """Send all that can be sent now; after a failure, pause."""
        outbox = self.outbox
        try:
            outbox.store.refresh()
            while outbox.send():
                pass
            self._tell(outbox.error)
        except Exception as error:
            if not outbox.store.is_transient(error):
                logger.exception("The sending of events failed in an unforeseen way")
            self._tell(str(error) or type(error).__name__)
        if not self._said:
            self._failures = 0
            return
        self._failures += 1
        pause = min(LAST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10)) * (0.5 + random.random() / 2)
        self._stopping.wait(pause)
        self.wake()

    def _tell(self, error: str) -> None:
        """Once when it begins to fail, once when it works again."""
        if error and not self._said:
            logger.warning("Events cannot be published, and wait: %s", error)
        elif self._said and not error:
            logger.info("Events are published again")
        self._said = error


def _as_many_as_fit(events: Mapping[int, Announcement]) -> dict[int, Announcement]:
    """The first of them, so that a slow line can carry them in time."""
    fit: dict[int, Announcement] = {}
    length = 0
    for key, each in events.items():
        length += len(each.body)
        if fit and length > LONGEST:
            break
        fit[key] = each
    return fit


def _letter(event: Announcement, why: str) -> Dead:
    reason = f"The broker does not take this event ({len(event.body.encode())} bytes): {why}"
    return Dead(at=SystemClock().now(), endpoint=EVENTS, body=event.body, reason=reason)
