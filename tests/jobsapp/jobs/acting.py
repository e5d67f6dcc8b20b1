"""Jobs that do what their message says, in a process, a thread or a task: how a worker's tests make things happen."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connections, transaction

from jobsaga import JobCancellation, JobConsumer, JobContext, JobOptions, ProgressBuffer, Retry
from jobsaga.worker import linux
from tests.jobsapp.models import Mark

ALIAS = settings.JOBSAGA["DATABASE"]
MARKS = Mark.objects.using(ALIAS)

OPTIONS: dict[str, Any] = {
    "concurrent_job_limit": 100,
    "job_cancellation_timeout": 0.5,
    "retry": Retry.interval(2, 7).ignore(LookupError),
    "progress_buffer": ProgressBuffer(time_limit=0.1, update_limit=1000),
    "job_type_properties": {"Tier": "gold"},
    "instance_properties": {"Zone": "a", "Colour": "red"},
}


@dataclass
class Act:
    """What to do: the name of a function below, and its arguments."""

    what: str
    args: dict[str, Any] = field(default_factory=dict)


class ActInProcess(Act):
    pass


class ActInThread(Act):
    pass


class ActInTask(Act):
    pass


class ActInTime(Act):
    pass


class ActInTimeInThread(Act):
    pass


class ActInTimeInTask(Act):
    pass


class NeverMade(Act):
    pass


class InProcess(JobConsumer[ActInProcess]):
    options = JobOptions(**OPTIONS)

    def run(self, context: JobContext[Any]) -> object:
        return ACTS[context.job.what](context, **context.job.args)


class InThread(JobConsumer[ActInThread]):
    options = JobOptions(**OPTIONS, isolation="thread")
    run = InProcess.run


class InTask(JobConsumer[ActInTask]):
    options = JobOptions(**OPTIONS)

    async def run(self, context: JobContext[Any]) -> object:
        act = ASYNC_ACTS.get(context.job.what)
        if act is None:
            return ACTS[context.job.what](context, **context.job.args)
        return await act(context, **context.job.args)


class InTime(JobConsumer[ActInTime]):
    """Has to be ready in a quarter of a second."""

    options = JobOptions(**OPTIONS, job_timeout=timedelta(seconds=0.25))
    run = InProcess.run


class InTimeInThread(JobConsumer[ActInTimeInThread]):
    options = JobOptions(**OPTIONS, job_timeout=timedelta(seconds=0.25), isolation="thread")
    run = InProcess.run


class InTimeInTask(JobConsumer[ActInTimeInTask]):
    options = JobOptions(**OPTIONS, job_timeout=timedelta(seconds=0.25))
    run = InTask.run


class NeverMadeConsumer(JobConsumer[NeverMade]):
    options = JobOptions(**OPTIONS)

    def __init__(self) -> None:
        raise RuntimeError("no dependency for you")

    def run(self, context: JobContext[Any]) -> object:
        return None


#: Set by a job that waits to be told: a test whose job runs in its own process listens for it.
WAITING = threading.Event()


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even this")


class Unpicklable(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.lock = threading.Lock()


def give(context: JobContext[Any], value: object = None) -> object:
    return value


def give_what_cannot_be_stored(context: JobContext[Any]) -> object:
    return {"tracks": [{"gain": float("nan")}]}


def give_too_much(context: JobContext[Any]) -> object:
    return "x" * 300_000


def fail(context: JobContext[Any], error: str, text: str = "broken") -> object:
    errors: dict[str, Callable[[], BaseException]] = {
        "ValueError": lambda: ValueError(text),
        "KeyError": lambda: KeyError(text),
        "SystemExit": lambda: SystemExit(3),
        "KeyboardInterrupt": KeyboardInterrupt,
        "CancelledError": asyncio.CancelledError,
        "TimeoutError": TimeoutError,
        "JobCancellation": lambda: JobCancellation("enough"),
        "silent JobCancellation": JobCancellation,
        "Unprintable": Unprintable,
        "Unpicklable": lambda: Unpicklable("a", "b"),
        "NUL": lambda: ValueError("a\0b\ud800c"),
        "huge": lambda: ValueError("x" * 10_000_000),
        "GeneratorExit": GeneratorExit,
    }
    raise errors[error]()  # noqa: RSE102 - it is a function, not a class


def describe(context: JobContext[Any]) -> object:
    return {
        "ids": [str(context.job_id), str(context.attempt_id)],
        "counts": [context.retry_attempt, context.run],
        "last": [context.last_progress_value, context.last_progress_limit],
        "tenant": context.job_properties["TENANT"],
        "tier": context.job_type_properties["tier"],
        "instance": dict(context.instance_properties),
        "state": context.try_get_job_state(),
        "elapsed": context.elapsed_time >= timedelta(0),
        "pid": os.getpid(),
        "main_thread": threading.current_thread() is threading.main_thread(),
    }


def say_that_it_waits(context: JobContext[Any]) -> None:
    WAITING.set()
    context.log("waiting", pid=os.getpid())


def wait_to_be_told(context: JobContext[Any], seconds: float = 30) -> object:
    say_that_it_waits(context)
    context.cancellation_token.wait(seconds)
    context.raise_if_cancellation_requested()
    return "never told"


def finish_all_the_same(context: JobContext[Any]) -> object:
    say_that_it_waits(context)
    context.cancellation_token.wait(30)
    return context.cancellation_token.reason


def fail_when_told(context: JobContext[Any]) -> object:
    say_that_it_waits(context)
    context.cancellation_token.wait(30)
    raise ConnectionError("closed on me")


def sleep(context: JobContext[Any], seconds: float = 30) -> object:
    context.log("sleeping", pid=os.getpid())
    time.sleep(seconds)
    return "slept"


def sleep_and_clean_up(context: JobContext[Any], path: str) -> object:
    try:
        return sleep(context)
    finally:
        with open(path, "w") as file:
            file.write("cleaned up")


def swallow_everything(context: JobContext[Any]) -> object:
    context.log("sleeping", pid=os.getpid())
    while True:
        try:
            time.sleep(30)
        except BaseException:  # noqa: BLE001 - that is the point
            context.log("swallowed")


def hold_the_gil(context: JobContext[Any], size: int = 10**10) -> object:
    context.log("counting", pid=os.getpid())
    return sum(range(size))


def search_for_ever(context: JobContext[Any]) -> object:
    """Python code of other threads does not run meanwhile, but a signal is noticed."""
    context.log("sleeping", pid=os.getpid())
    return bool(re.match(r"(a+)+$", "a" * 60 + "b"))


def run_a_subprocess(context: JobContext[Any]) -> object:
    process = subprocess.Popen(["sleep", "60"])
    context.log("started", pid=os.getpid(), child=process.pid)
    process.wait()
    return process.returncode


def leave_a_subprocess(context: JobContext[Any]) -> object:
    return [os.getpid(), subprocess.Popen(["sleep", "60"]).pid]


def leave_an_orphan(context: JobContext[Any]) -> object:
    """A program whose own parent has ended: it is nobody's child here any more."""
    orphan = subprocess.run(
        ["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], check=True, capture_output=True, text=True
    )
    return [os.getpid(), int(orphan.stdout)]


def leave_a_thread(context: JobContext[Any]) -> object:
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    return os.getpid()


def use_up_all_threads(context: JobContext[Any]) -> object:
    """Until it is canceled the system gives no more, as in a container with a limit."""

    def refuse(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    given = threading.Thread.start
    threading.Thread.start = refuse  # type: ignore[method-assign]
    try:
        return wait_to_be_told(context)
    finally:
        threading.Thread.start = given  # type: ignore[method-assign]


def fork_and_return(context: JobContext[Any]) -> object:
    """What a forked copy of the job returns or says must not be taken for the job's own."""
    if os.fork() == 0:
        context.log("from the copy")
        return "copy"
    os.wait()
    return "original"


def leave_a_copy_and_die(context: JobContext[Any]) -> object:
    """The copy holds all descriptors of the dead process, its socket too."""
    copy = os.fork()
    if copy == 0:
        time.sleep(60)
        os._exit(0)
    context.log("copied", copy=copy)
    return die(context)


def terminate_a_copy(context: JobContext[Any]) -> object:
    copy = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
    copy.start()
    copy.terminate()
    copy.join(10)
    return copy.exitcode


def write_into_every_descriptor(context: JobContext[Any], text: str) -> object:
    for number in range(3, 20):
        with suppress(OSError):
            os.write(number, text.encode())
    time.sleep(60)
    return None


def call_async_code(context: JobContext[Any]) -> object:
    async_to_sync(asyncio.sleep)(0)
    return os.getpid()


def die(context: JobContext[Any], signal_number: int = signal.SIGKILL) -> object:
    os.kill(os.getpid(), signal_number)
    time.sleep(30)
    return None


def leave_at_once(context: JobContext[Any], code: int = 3) -> object:
    os._exit(code)


def progress(context: JobContext[Any], upto: int, pause: float = 0) -> object:
    for value in range(upto + 1):
        context.set_job_progress(value, upto, f"step {value}")
        if pause:
            time.sleep(pause)
    return None


def wrong_progress(context: JobContext[Any]) -> object:
    context.set_job_progress(float("nan"))
    return None


def log(context: JobContext[Any], lines: list[str]) -> object:
    for line in lines:
        context.log(line, status="ok", length=len(line))
    return None


def speak(context: JobContext[Any], text: str) -> object:
    print(text)
    subprocess.run(["echo", f"{text} from a subprocess"], check=True)
    print(text, "to stderr", file=sys.stderr)
    return None


def flood(context: JobContext[Any], megabytes: int) -> object:
    for _ in range(megabytes):
        sys.stdout.write("x" * 999_999 + "\n")
    return None


def save_state(context: JobContext[Any], state: object) -> object:
    context.save_job_state(state)
    return None


def save_in_transaction(context: JobContext[Any], state: object) -> object:
    """A swallowed AttemptSuperseded must not commit the row."""
    with transaction.atomic(using=ALIAS):
        MARKS.create(job_id=context.job_id, text="in transaction")
        try:
            context.save_job_state(state)
        except BaseException:  # noqa: BLE001 - that is the point
            return "swallowed"
    return "saved"


def mark(context: JobContext[Any]) -> object:
    MARKS.create(job_id=context.job_id, text="mark", process_id=os.getpid())
    return MARKS.count()


def leave_a_transaction_open(context: JobContext[Any]) -> object:
    transaction.atomic(using=ALIAS).__enter__()
    MARKS.create(job_id=context.job_id, text="left open")
    return os.getpid()


def leave_autocommit_off(context: JobContext[Any]) -> object:
    transaction.set_autocommit(False, using=ALIAS)
    MARKS.create(job_id=context.job_id, text="not committed")
    return os.getpid()


def application_name(context: JobContext[Any]) -> object:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("select current_setting('application_name'), pg_backend_pid()")
        return cursor.fetchone()


def make_a_mess(context: JobContext[Any]) -> object:
    os.chdir("/")
    os.umask(0o777)
    os.environ["TZ"] = "Moon/Tycho"
    os.environ.pop("PATH", None)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return os.getpid()


def become_nicer(context: JobContext[Any]) -> object:
    os.nice(1)
    return os.getpid()


def close_every_descriptor(context: JobContext[Any]) -> None:
    os.closerange(3, 1000)


def leave_an_alarm(context: JobContext[Any], seconds: float) -> object:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    return os.getpid()


def block_all_signals(context: JobContext[Any]) -> object:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    return os.getpid()


def look_around(context: JobContext[Any]) -> object:
    mask = os.umask(0)
    os.umask(mask)
    handles = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    return [os.getpid(), os.getcwd(), mask, handles, os.environ.get("TZ"), os.environ.get("PATH")]


def memory(context: JobContext[Any]) -> object:
    return [os.getpid(), linux.resident_bytes()]


def grow(context: JobContext[Any], megabytes: int) -> object:
    HOARD.append(bytearray(os.urandom(1)) * (megabytes * 1_000_000))
    return os.getpid()


async def async_wait(context: JobContext[Any], seconds: float = 30) -> object:
    say_that_it_waits(context)
    await asyncio.sleep(seconds)
    return "never told"


async def async_swallow(context: JobContext[Any]) -> object:
    say_that_it_waits(context)
    while True:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            context.log("swallowed")


async def async_finish_all_the_same(context: JobContext[Any]) -> object:
    say_that_it_waits(context)
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(30)
    return context.cancellation_token.reason


async def async_fail_when_told(context: JobContext[Any]) -> object:
    say_that_it_waits(context)
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        raise ConnectionError("closed on me") from None


async def async_mark(context: JobContext[Any]) -> object:
    await MARKS.acreate(job_id=context.job_id, text="mark", process_id=os.getpid())
    return await MARKS.acount()


async def leave_a_cancel_behind(context: JobContext[Any]) -> object:
    """It comes when the job has returned."""
    count = await MARKS.acount()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)
    return count >= 0


async def async_save_state(context: JobContext[Any], state: object) -> object:
    await context.asave_job_state(state)
    return None


async def block_the_loop(context: JobContext[Any], seconds: float) -> object:
    context.log("blocking", pid=os.getpid())
    time.sleep(seconds)  # noqa: ASYNC251 - that is the point
    return None


HOARD: list[bytearray] = []

ACTS: dict[str, Callable[..., object]] = {
    act.__name__: act
    for act in (
        give, give_what_cannot_be_stored, give_too_much, fail, describe, wait_to_be_told, finish_all_the_same,
        fail_when_told, sleep, sleep_and_clean_up, swallow_everything, hold_the_gil,
        search_for_ever, run_a_subprocess,
        leave_a_subprocess, leave_a_thread, fork_and_return, leave_a_copy_and_die, call_async_code,
        write_into_every_descriptor, terminate_a_copy, die, leave_at_once, progress, wrong_progress, log, speak,
        flood, save_state, save_in_transaction, mark, leave_a_transaction_open, leave_autocommit_off,
        application_name, make_a_mess, look_around, grow, memory, leave_an_orphan, leave_an_alarm,
        block_all_signals, use_up_all_threads, become_nicer, close_every_descriptor,
    )
}  # fmt: skip

ASYNC_ACTS: dict[str, Callable[..., Any]] = {
    "wait_to_be_told": async_wait,
    "swallow_everything": async_swallow,
    "finish_all_the_same": async_finish_all_the_same,
    "fail_when_told": async_fail_when_told,
    "mark": async_mark,
    "save_state": async_save_state,
    "block_the_loop": block_the_loop,
    "leave_a_cancel_behind": leave_a_cancel_behind,
}
