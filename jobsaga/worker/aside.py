"""What a database or a broker may keep waiting for ever is done aside: in a thread, which can be left behind.

The main thread has to hear signals, look after its children and see its lease end, whatever is away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread

from django.db import connections

logger = logging.getLogger("jobsaga.worker")

LOOK_EVERY = 0.1


def aside(what: Callable[[], bool], name: str, enough: Callable[[], bool]) -> bool:
    """What it gives; False if there was *enough* before it ended. Raises what it raises."""
    outcome: Future[bool] = Future()

    def run() -> None:
        try:
            try:
                answer = what()
            finally:
                connections.close_all()
            outcome.set_result(answer)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            outcome.set_exception(error)

    Thread(target=run, name=f"jobsaga-{name}", daemon=True).start()
    while not wait([outcome], LOOK_EVERY).done:
        if enough():
            return False
    return outcome.result()


def in_time(what: Callable[[], bool], purpose: str, timeout: float) -> bool:
    """What it gives; False, and the log says why, if it failed or took longer. *purpose* is what it could not do."""
    end = time.monotonic() + timeout
    try:
        done = aside(what, "last-words", enough=lambda: time.monotonic() > end)
    except Exception:
        logger.exception("This worker could not %s", purpose)
        return False
    if not done:
        logger.error("This worker could not %s: no answer within %.0f s", purpose, timeout)
    return done
