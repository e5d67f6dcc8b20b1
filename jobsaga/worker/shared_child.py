"""The shared child: all thread jobs and all async jobs of an instance, in one process.

Its main thread is the event loop. A thread of its own says that the process is alive, and how long the loop
has not answered: a loop that is blocked by one job is another thing than a process that holds still.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async

from jobsaga.messages import Message
from jobsaga.properties import Properties
from jobsaga.worker import connections
from jobsaga.worker.child import Child
from jobsaga.worker.runner import Attempt
from jobsaga.worker.wire import Beat, Channel

log = logging.getLogger("jobsaga.worker")

BEAT = 0.5
#: Each job the instance starts gets a thread at once; how many there are is for the job types' limits to say.
MAX_THREADS = 10_000


class SharedChild(Child):
    """Runs what it is given side by side."""

    def __init__(self, channel: Channel, instance_properties: Properties) -> None:
        super().__init__(channel, instance_properties)
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="job")
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop_seen = time.monotonic()

    def serve(self) -> None:
        """Keep the event loop going."""
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._note_that_the_loop_runs)
        self._loop.call_soon(self.say_ready)
        self.flusher.start()
        Thread(target=self._beat, name="jobsaga-beat", daemon=True).start()
        while True:
            try:
                self._loop.run_forever()
            except BaseException:
                # SystemExit in a task that a job started and forgot: the others still run.
                log.exception("A task ended the event loop; it goes on.")

    def begin(self, attempts: list[Attempt]) -> None:
        """Each in a thread or in a task."""
        tasks = []
        for attempt in attempts:
            if attempt.is_async:
                tasks.append(attempt)
            else:
                self._submit(attempt)
        if tasks:
            self._loop.call_soon_threadsafe(self._create_tasks, tasks)

    # threads

    def _submit(self, attempt: Attempt) -> None:
        try:
            self._pool.submit(self._in_thread, attempt)
        except RuntimeError as error:
            if not self._pool._threads:
                raise
            log.warning("%s waits until another job's thread is free: %s", attempt.start.job_type, error)

    def _in_thread(self, attempt: Attempt) -> None:
        contextvars.copy_context().run(self._run, attempt)

    def _run(self, attempt: Attempt) -> None:
        connections.work_for(attempt.start.attempt_id)
        self._end(attempt, attempt.run())
        connections.reset_connections()

    # tasks

    def _create_tasks(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self._keep(self._in_task(attempt))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """The loop itself would forget a task while it runs."""
        task = self._loop.create_task(work, context=contextvars.copy_context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_task(self, attempt: Attempt) -> None:
        connections.work_for(attempt.start.attempt_id)
        # A thread for this job's queries: jobs shall not wait for each other's.
        async with ThreadSensitiveContext() as context:
            last_word = await attempt.arun()
            try:
                if context in SyncToAsync.context_to_thread_executor:
                    # A task that was canceled ends at once, but not the function it awaited in that thread: this waits.
                    if attempt.token.is_cancellation_requested:
                        connections.cancel_queries(attempt.start.attempt_id)
                    await sync_to_async(connections.close_all)()
            finally:  # a job may have left something behind that cancels this task, too
                self._end(attempt, last_word)

    def _end(self, attempt: Attempt, last_word: Message) -> None:
        self.channel.send(last_word)
        self.attempts.pop(attempt.start.attempt_id, None)
        connections.forget(attempt.start.attempt_id)

    # signs of life

    def _note_that_the_loop_runs(self) -> None:
        self._loop_seen = time.monotonic()
        self._loop.call_later(BEAT / 2, self._note_that_the_loop_runs)

    def _beat(self) -> None:
        while True:
            silence = time.monotonic() - self._loop_seen
            self.channel.send(Beat(loop_delay=max(0.0, silence - BEAT / 2)))
            time.sleep(BEAT)
