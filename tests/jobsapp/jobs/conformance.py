"""The jobs of the conformance scenarios: the odd job, and every other way in which a handler can behave.

What a handler does, and the life-cycle signals of its job, go into a diary: a file beside the database, one line
for each, appended by whichever process it happens in. So the order of things is seen from outside, and what was
written before a kill stays.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from jobsaga import JobCancellation, JobConsumer, JobContext, JobOptions, ProgressBuffer, Retry, signals

DIARY = "JOBSAGA_TEST_DIARY"
#: No job of the scenarios has to last longer than a test may.
LONG = 60.0


def write(job_id: object, what: str, **more: object) -> None:
    """One line in the diary, if there is one."""
    path = os.environ.get(DIARY)
    if path is None:
        return
    line = {"job": str(job_id), "what": what, "pid": os.getpid(), "at": time.monotonic(), **more}
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


# -- messages: what to do, under options that differ


@dataclass
class OddJob:
    """What to do: the name of a function below, and its arguments. One at a time, as nobody says otherwise."""

    does: str = "quick"
    args: dict[str, Any] = field(default_factory=dict)


class EvenJob(OddJob):
    """Another type, one at a time too."""


class BusyJob(OddJob):
    """Many at a time, in processes."""


class ThreadJob(OddJob):
    pass


class TaskJob(OddJob):
    pass


class TrioJob(OddJob):
    """Three at a time."""


class RareJob(OddJob):
    """Three at a time on each worker, two in all."""


class RegionJob(OddJob):
    """One at a time in all, on a worker of its region."""


class RetriedJob(OddJob):
    """Two more tries, at once."""


class PatientJob(OddJob):
    """One more try, two seconds later."""


class TimedJob(OddJob):
    """Half a second, and no second try."""


class TimedThreadJob(OddJob):
    pass


class TimedTaskJob(OddJob):
    pass


class TimedRetriedJob(OddJob):
    """Half a second, and one more try."""


class SlowlyTellingJob(OddJob):
    """Its progress is stored after a thousand updates, or at its end."""


class RenamedJob(OddJob):
    pass


class DashedJob(OddJob):
    pass


class ScopedJob(OddJob):
    """Its consumer makes things of its own when it is made."""


class UnmakeableJob(OddJob):
    """Its consumer cannot be made."""


# -- consumers

MANY: dict[str, Any] = {"concurrent_job_limit": 10, "job_cancellation_timeout": 1}
TIMED: dict[str, Any] = {"concurrent_job_limit": 10, "job_timeout": 0.5, "job_cancellation_timeout": 0.5}


class OddConsumer(JobConsumer[OddJob]):
    def run(self, context: JobContext[Any]) -> object:
        begun(context)
        try:
            return DOES[context.job.does](context, **context.job.args)
        finally:
            write(context.job_id, "end")


class EvenConsumer(JobConsumer[EvenJob]):
    run = OddConsumer.run


class BusyConsumer(JobConsumer[BusyJob]):
    options = JobOptions(**MANY, progress_buffer=ProgressBuffer(time_limit=0.2))
    run = OddConsumer.run


class ThreadConsumer(JobConsumer[ThreadJob]):
    options = JobOptions(**MANY, isolation="thread")
    run = OddConsumer.run


class TaskConsumer(JobConsumer[TaskJob]):
    options = JobOptions(**MANY)

    async def run(self, context: JobContext[Any]) -> object:
        begun(context)
        try:
            return await DOES_IN_TASK[context.job.does](context, **context.job.args)
        finally:
            write(context.job_id, "end")


class TrioConsumer(JobConsumer[TrioJob]):
    options = JobOptions(concurrent_job_limit=3)
    run = OddConsumer.run


class RareConsumer(JobConsumer[RareJob]):
    options = JobOptions(concurrent_job_limit=3, global_concurrent_job_limit=2)
    run = OddConsumer.run


class RegionConsumer(JobConsumer[RegionJob]):
    options = JobOptions(
        concurrent_job_limit=2,
        global_concurrent_job_limit=1,
        job_type_properties={"DistributionStrategy": "Region"},
    )
    run = OddConsumer.run


class RetriedConsumer(JobConsumer[RetriedJob]):
    options = JobOptions(**MANY, retry=Retry.immediate(2))
    run = OddConsumer.run


class PatientConsumer(JobConsumer[PatientJob]):
    options = JobOptions(retry=Retry.interval(1, 2))
    run = OddConsumer.run


class TimedConsumer(JobConsumer[TimedJob]):
    options = JobOptions(**TIMED)
    run = OddConsumer.run


class TimedThreadConsumer(JobConsumer[TimedThreadJob]):
    options = JobOptions(**TIMED, isolation="thread")
    run = OddConsumer.run


class TimedTaskConsumer(JobConsumer[TimedTaskJob]):
    options = JobOptions(**TIMED)
    run = TaskConsumer.run


class TimedRetriedConsumer(JobConsumer[TimedRetriedJob]):
    options = JobOptions(**TIMED, retry=Retry.immediate(1))
    run = OddConsumer.run


class SlowlyTellingConsumer(JobConsumer[SlowlyTellingJob]):
    options = JobOptions(**MANY, progress_buffer=ProgressBuffer(time_limit=600, update_limit=1000))
    run = OddConsumer.run


class RenamedConsumer(JobConsumer[RenamedJob]):
    options = JobOptions(job_type_name="odd-job")
    run = OddConsumer.run


class DashedConsumer(JobConsumer[DashedJob]):
    options = JobOptions(job_type_name="da_job-attempt")
    run = OddConsumer.run


class Scope:
    """What a consumer needs for one run: opened when the consumer is made, closed when it is gone."""

    def __init__(self) -> None:
        self.open = True

    def __del__(self) -> None:
        self.open = False


class ScopedConsumer(JobConsumer[ScopedJob]):
    options = JobOptions(retry=Retry.immediate(1))

    def __init__(self) -> None:
        self.scope, self.runs = Scope(), 0

    def run(self, context: JobContext[Any]) -> object:
        self.runs += 1
        begun(context, runs=self.runs, open=self.scope.open)
        result = DOES[context.job.does](context, **context.job.args)
        return {"runs": self.runs, "open": self.scope.open, "result": result}


class UnmakeableConsumer(JobConsumer[UnmakeableJob]):
    def __init__(self) -> None:
        raise LookupError("there is no such service")

    def run(self, context: JobContext[Any]) -> object:
        return None


# -- what handlers do


def begun(context: JobContext[Any], **more: object) -> None:
    """The first line of each attempt: what it was given."""
    write(
        context.job_id,
        "begin",
        attempt=str(context.attempt_id),
        retry_attempt=context.retry_attempt,
        progress=context.last_progress_value,
        state=context.try_get_job_state(),
        **more,
    )


def quick(context: JobContext[Any], value: object = None) -> object:
    return value


def odd(context: JobContext[Any], seconds: float = LONG) -> object:
    """The original's odd job: waits in its first attempt, and wants to know how far that one got in the next."""
    if context.retry_attempt and context.last_progress_value is None:
        raise RuntimeError("the attempt before this one left no progress")
    context.set_job_progress(0, 100)
    if context.retry_attempt == 0 and context.cancellation_token.wait(seconds):
        context.save_job_state({"canceled because": context.cancellation_token.reason})
        context.raise_if_cancellation_requested()
    for value in range(100):
        context.set_job_progress(value, 100)
    return None


def wait(context: JobContext[Any], until: str = "", seconds: float = LONG) -> object:
    """Waits for a file, and listens to its token."""
    _wait_for(context, until, seconds)
    context.raise_if_cancellation_requested()
    return "waited"


def swallow(context: JobContext[Any], until: str = "", seconds: float = LONG) -> object:
    """Hears its token, and makes nothing of it."""
    _wait_for(context, until, seconds)
    return "swallowed"


def sleep(context: JobContext[Any], until: str = "", seconds: float = LONG) -> object:
    """Never looks at its token."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not _is_there(until):
        time.sleep(0.02)
    return "slept"


def deaf(context: JobContext[Any], until: str = "", seconds: float = LONG) -> object:
    """Never looks at its token, and catches whatever is thrown at it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not _is_there(until):
        try:
            time.sleep(0.02)
        except BaseException:  # noqa: BLE001 - that is the point
            write(context.job_id, "caught")
    return "heard nothing"


def fail(context: JobContext[Any], times: int = 1_000_000) -> object:
    if context.retry_attempt < times:
        raise ValueError(f"broken {context.retry_attempt}")
    return "mended"


def cancel_foreign(context: JobContext[Any], times: int = 1_000_000) -> object:
    """Something the job waited for was canceled: not the job."""
    if context.retry_attempt < times:
        raise asyncio.CancelledError("somebody else's")
    return "mended"


def give_up(context: JobContext[Any], reason: str = "") -> object:
    raise JobCancellation(reason)


def crash(context: JobContext[Any], times: int = 1_000_000) -> object:
    """Its process ends in the middle, without a word."""
    if context.retry_attempt < times:
        os._exit(7)
    return "survived"


def step(context: JobContext[Any], until: str = "", steps: int = 3, then: str = "wait") -> object:
    """Saves and reports each step; the next attempt goes on where this one was."""
    first = (context.try_get_job_state() or {"step": 0})["step"]
    for number in range(first, steps):
        context.save_job_state({"step": number + 1})
        context.set_job_progress(number + 1, steps)
        write(context.job_id, "step", number=number)
    return DOES[then](context, until=until) if until else DOES[then](context)


def save_late(context: JobContext[Any], until: str = "", seconds: float = LONG) -> object:
    """Saves its attempt's id when the file is there."""
    _wait_for(context, until, seconds)
    context.save_job_state({"saved by": str(context.attempt_id)})
    return str(context.attempt_id)


def tell(context: JobContext[Any], updates: int, then: str = "quick", until: str = "") -> object:
    """Reports so many values, says so, and waits."""
    for value in range(1, updates + 1):
        context.set_job_progress(value, 10_000, f"number {value}")
    context.log("told", updates=updates)
    return DOES[then](context, until=until) if until else DOES[then](context)


def describe(context: JobContext[Any]) -> object:
    """What it was told about itself and its worker."""
    return {
        "job": context.job_properties.to_dict(),
        "instance": context.instance_properties.to_dict(),
        "id": str(context.job_id),
    }


DOES: dict[str, Callable[..., object]] = {
    each.__name__: each
    for each in (
        quick, odd, wait, swallow, sleep, deaf, fail, cancel_foreign, give_up, crash, step, save_late, tell,
        describe,
    )
}  # fmt: skip


async def wait_in_task(context: JobContext[Any], until: str = "", seconds: float = LONG) -> object:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not _is_there(until):  # noqa: ASYNC110 - another process makes the file
        await asyncio.sleep(0.02)
    return "waited"


async def swallow_in_task(context: JobContext[Any], until: str = "", seconds: float = LONG) -> object:
    try:
        return await wait_in_task(context, until, seconds)
    except asyncio.CancelledError:
        return "swallowed"


async def deaf_in_task(context: JobContext[Any], until: str = "", seconds: float = LONG) -> object:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not _is_there(until):
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            write(context.job_id, "caught")
    return "heard nothing"


async def odd_in_task(context: JobContext[Any], seconds: float = LONG) -> object:
    """``odd``, with the task's own cancellation in the place of the token."""
    if context.retry_attempt and context.last_progress_value is None:
        raise RuntimeError("the attempt before this one left no progress")
    context.set_job_progress(0, 100)
    try:
        if context.retry_attempt == 0:
            await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        await context.asave_job_state({"canceled because": context.cancellation_token.reason})
        raise
    for value in range(100):
        context.set_job_progress(value, 100)
    return None


async def step_in_task(context: JobContext[Any], until: str = "", steps: int = 3) -> object:
    first = (context.try_get_job_state() or {"step": 0})["step"]
    for number in range(first, steps):
        await context.asave_job_state({"step": number + 1})
        context.set_job_progress(number + 1, steps)
        write(context.job_id, "step", number=number)
    return await wait_in_task(context, until)


DOES_IN_TASK: dict[str, Callable[..., Coroutine[Any, Any, object]]] = {
    "odd": odd_in_task,
    "wait": wait_in_task,
    "swallow": swallow_in_task,
    "deaf": deaf_in_task,
    "step": step_in_task,
}


def _wait_for(context: JobContext[Any], until: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not _is_there(until):
        if context.cancellation_token.wait(0.02):
            return


def _is_there(path: str) -> bool:
    return bool(path) and os.path.exists(path)


# -- the signals of all these types

TYPES = [
    f"jobsapp.{each.__name__}" if name is None else name
    for each, name in (
        (OddJob, None), (BusyJob, None), (ThreadJob, None), (TaskJob, None), (RetriedJob, None), (TrioJob, None),
        (RenamedJob, "odd-job"), (DashedJob, "da_job-attempt"), (RegionJob, None),
    )
]  # fmt: skip


def _note(name: str) -> Callable[..., None]:
    def receiver(sender: str, job_id: object, message: Any, **content: Any) -> None:
        told = {key: content[key] for key in ("result", "reason", "fault") if key in content}
        where = content["instance_properties"].to_dict() if "instance_properties" in content else None
        properties = content["properties"].to_dict()
        write(job_id, name, message=message, properties=properties, instance=where, **told)

    return receiver


for _name in ("job_submitted", "job_started", "job_completed", "job_faulted", "job_canceled"):
    for _type in TYPES:
        _signal: signals.JobSignal = getattr(signals, _name)
        _signal.connect(_note(_name), sender=_type, weak=False, dispatch_uid="conformance diary")
