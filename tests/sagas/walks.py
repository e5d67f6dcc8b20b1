"""Random walks through the joined machines, by honest and dishonest workers, hasty clients and sleepy sweeps.

A walk is a list of steps: what happens, and two numbers that pick to whom and how. Workers say anything of any
attempt, also of old ones, again and too late; sweeps act on deadlines they have read long before; someone holds
fences. Each seed is a walk, through some of the kinds of steps. Every step means something in every world, so a walk
that fails is shortened, step by step, while it still fails, and shown.

``JOBSAGA_TEST_WALKS`` sets how many walks each test goes (500).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from jobsaga import messages as said
from jobsaga.messages import AttemptStatus, CancelKind, Fault, LimitKind, Message, Progress
from jobsaga.sagas import Attempt, Job
from jobsaga.sagas.recurrence import coming_run
from tests.sagas.world import LEASE, TYPE, Heard, World

#: The last of these recurs.
JOBS = [UUID(int=1001), UUID(int=1002), UUID(int=1003), UUID(int=1004)]
RECURRING = JOBS[-1]
PERIODS = ["*/10 * * * * *", "0 * * * * *"]
LIMIT, GLOBAL_LIMIT = 2, 3
PAUSES = [0, 1, 5, 10, 15, 40, 120]
DELAYS = [None, timedelta(0), timedelta(seconds=5)]
BEFORE_ANY_WORKER = (
    said.PauseJobType(job_type=TYPE), said.OverrideJobLimit(job_type=TYPE, concurrent_job_limit=1),
    said.RevertJobLimit(job_type=TYPE), said.ResumeJobType(job_type=TYPE),
)  # fmt: skip
COUNT = int(os.environ.get("JOBSAGA_TEST_WALKS", "500"))
Step = tuple[str, int, int]
Test = Callable[[list[Step]], None]


@dataclass
class Walk:
    """A world that is walked through, step by step."""

    world: World = field(default_factory=World)
    #: Say everything from outside twice.
    twice: bool = False
    said: list[Message] = field(default_factory=list)
    #: Deadlines that a sweep has read and not yet acted upon.
    read: list[Message] = field(default_factory=list)
    sequence: int = 0
    instances: int = 0
    #: Who hears of every transaction.
    watch: Callable[[World, list[Heard]], None] = lambda world, heard: None

    def __post_init__(self) -> None:
        self.watch(self.world, self.world.say(*BEFORE_ANY_WORKER))
        self.new_instance()
        self.new_instance()

    def run(self, steps: Iterable[Step]) -> Walk:
        for kind, n, m in steps:
            STEPS[kind](self, n, m)
        return self

    def say(self, *messages: Message) -> None:
        self.said += messages
        for _ in range(2 if self.twice else 1):
            self.watch(self.world, self.world.say(*messages))

    # Who and what

    @property
    def attempts(self) -> list[Attempt]:
        """The youngest first."""
        return sorted(self.world.attempts.values(), key=lambda each: -each.id.int)

    def report(self, message: type[Any], n: int, /, **details: Any) -> None:
        if self.attempts:
            attempt = self.attempts[n % len(self.attempts)]
            started = message is said.JobAttemptStarted  # said once, and heard whenever
            timestamp = (attempt.created_at or self.world.now) if started else self.world.now
            about = {"job_id": attempt.job_id, "attempt_id": attempt.id, "timestamp": timestamp}
            self.say(message(**about, **details))

    def next_progress(self, m: int) -> Progress:
        self.sequence += 1
        return Progress(sequence=max(1, self.sequence - m), value=float(self.sequence - m))

    def live(self) -> list[UUID]:
        """Instances whose lease is not over."""
        return [
            each
            for each in map(instance, range(1, self.instances + 1))
            if each not in self.world.silent_since or self.world.now < self.world.silent_since[each] + LEASE
        ]

    # Steps

    def new_instance(self) -> None:
        self.instances += 1
        self.watch(self.world, self.world.host(instance(self.instances), LIMIT, GLOBAL_LIMIT))

    def silence(self, n: int, m: int) -> None:
        if self.live():
            self.world.silent_since.setdefault(self.live()[n % len(self.live())], self.world.now)

    def beat(self, n: int, m: int) -> None:
        """Whose lease is over can only come back under a new name."""
        live = self.live()
        if live and m:
            self.world.silent_since.pop(live[n % len(live)], None)
        else:
            self.new_instance()

    def stop_hosting(self, n: int, m: int) -> None:
        if self.live():
            stopped = self.live()[n % len(self.live())]
            self.say(said.SetConcurrentJobLimit(job_type=TYPE, kind=LimitKind.STOPPED, instance_id=stopped))

    def steer(self, n: int, m: int) -> None:
        """A person pauses the type, gives it smaller limits for a while, or takes a worker out."""
        worker = self.live()[n % len(self.live())] if self.live() else instance(1)
        about: list[Message] = [
            said.PauseJobType(job_type=TYPE),
            said.ResumeJobType(job_type=TYPE),
            said.OverrideJobLimit(job_type=TYPE, concurrent_job_limit=n % 2, duration=20),
            said.OverrideJobLimit(job_type=TYPE, global_concurrent_job_limit=n % 3, duration=20),
            said.RevertJobLimit(job_type=TYPE),
            said.DrainInstance(instance_id=worker),
            said.UndrainInstance(instance_id=worker),
            said.ResumeJobType(job_type=TYPE),
        ]
        self.say(about[m])

    def finalize_completed(self, n: int, m: int) -> None:
        self.world.options["finalize_completed"] = bool(m % 2)

    def hold(self, n: int, m: int) -> None:
        self.world.held ^= {JOBS[n % 4]} & set(self.world.checkpoints)

    def pass_time(self, n: int, m: int) -> None:
        self.world.now += timedelta(seconds=PAUSES[n % len(PAUSES)])
        self.say(*self.world.of_leases())
        self.say(*self.world.of_deadlines())

    def read_deadlines(self, n: int, m: int) -> None:
        self.world.now += timedelta(seconds=PAUSES[n % len(PAUSES)])
        self.read += self.world.of_deadlines()

    def act_on_them(self, n: int, m: int) -> None:
        """Much later, perhaps: another host has long done so."""
        read, self.read = self.read, []
        self.say(*read)

    def again(self, n: int, m: int) -> None:
        if self.said:
            self.say(self.said[-1 - (n * 8 + m) % len(self.said)])

    def take(self, n: int, m: int) -> None:
        if self.attempts:
            self.world.take(self.attempts[n % len(self.attempts)].id)

    def save(self, n: int, m: int) -> None:
        if self.attempts:
            self.world.save(self.attempts[n % len(self.attempts)].id, m)

    def status(self, n: int, m: int) -> None:
        if self.attempts:
            attempt = self.attempts[n % len(self.attempts)]
            status = (AttemptStatus.RUNNING, AttemptStatus.UNKNOWN)[m % 2]
            self.say(said.JobAttemptStatus(job_id=attempt.job_id, attempt_id=attempt.id, status=status))

    def submit(self, n: int, m: int) -> None:
        later = {7: 30, 6: 60, 5: -1}.get(m)
        start_at = None if later is None else self.world.now + timedelta(seconds=later)
        self.say(said.SubmitJob(job_id=JOBS[n % 3], job_type=TYPE, priority=m % 2, start_at=start_at))

    def recur(self, n: int, m: int) -> None:
        """At most three schedules of one minute's end, so that many a word changes nothing."""
        now = self.world.now
        self.say(
            said.AddOrUpdateRecurringJob(
                job_id=RECURRING, job_type=TYPE, name="r", cron=PERIODS[m % 2], misfire=("run_once", "skip")[m // 4],
                end_at=now.replace(second=0) + timedelta(minutes=3) if m % 4 == 3 else None,
            )
        )  # fmt: skip

    def fault(self, n: int, m: int) -> None:
        about: dict[str, Any] = {"fault": Fault(type="E"), "suspect": m >= 5, "retry_delay": DELAYS[m % 3]}
        self.report(said.JobAttemptFaulted, n, **about, progress=self.next_progress(m) if m % 2 else None)

    def settle(self) -> Walk:
        """Everyone lets go, every worker dies, and the sweeps do their work until nothing is overdue."""
        self.world.held.clear()
        for each in self.live():
            self.world.silent_since.setdefault(each, self.world.now)
        for _ in range(20):
            self.pass_time(PAUSES.index(15), 0)
        return self


def instance(n: int) -> UUID:
    return UUID(int=2000 + n)


def command(kind: type[Any]) -> Callable[[Walk, int, int], None]:
    return lambda walk, n, m: walk.say(kind(job_id=JOBS[n % 4]))


def command_for_a_run(kind: type[Any]) -> Callable[[Walk, int, int], None]:
    """With the number of the run that it is about, so that it may be said twice."""

    def say(walk: Walk, n: int, m: int) -> None:
        about = JOBS[n % 4]
        run = coming_run(walk.world.jobs.get(about) or Job(id=about))
        walk.say(kind(job_id=about, run=run if about == RECURRING else None))

    return say


STEPS: dict[str, Callable[[Walk, int, int], None]] = {
    "submit": Walk.submit,
    "recur": Walk.recur,
    "cancel": command_for_a_run(said.CancelJob),
    "cancel the recurrence": lambda walk, n, m: walk.say(said.CancelRecurringJob(job_id=RECURRING)),
    "retry": command(said.RetryJob),
    "run": command_for_a_run(said.RunJob),
    "finalize": command(said.FinalizeJob),
    "steer": Walk.steer,
    "take": Walk.take,
    "started": lambda walk, n, m: walk.report(
        said.JobAttemptStarted,
        n,
        job_timeout=[None, 10.0][m % 2],
        job_cancellation_timeout=[None, 5.0][m % 2],
    ),
    "progress": lambda walk, n, m: walk.report(said.SetJobProgress, n, progress=walk.next_progress(m)),
    "completed": lambda walk, n, m: walk.report(said.JobAttemptCompleted, n),
    "faulted": Walk.fault,
    "canceled": lambda walk, n, m: walk.report(said.JobAttemptCanceled, n, kind=list(CancelKind)[m % 4]),
    "status": Walk.status,
    "save": Walk.save,
    "again": Walk.again,
    "hold or let go": Walk.hold,
    "silence": Walk.silence,
    "beat": Walk.beat,
    "stop hosting": Walk.stop_hosting,
    "finalize completed": Walk.finalize_completed,
    "time": Walk.pass_time,
    "read deadlines": Walk.read_deadlines,
    "act on them": Walk.act_on_them,
}

#: Jobs and their first attempts, so that not every walk has to find them.
BEGINNING: list[Step] = [
    ("submit", 0, 0),
    ("submit", 1, 0),
    ("take", 0, 0),
    ("started", 0, 0),
    ("recur", 0, 0),
]


def steps_of(seed: int) -> list[Step]:
    random = Random(seed)
    kinds = random.sample(sorted(STEPS), random.randint(6, len(STEPS)))
    length = random.randint(10, 80)
    return BEGINNING + [
        (random.choice(kinds), random.randrange(8), random.randrange(8)) for _ in range(length)
    ]


def walked(test: Test) -> Callable[[], None]:
    """Make a test of one walk a test of many."""

    def walk_all() -> None:
        for seed in range(COUNT):
            steps = steps_of(seed)
            if fails(test, steps):
                shortest = shortened(test, steps)
                print(f"Walk {seed} fails. Its shortest part that still does: {shortest}")
                test(shortest)

    walk_all.__name__, walk_all.__doc__ = test.__name__, test.__doc__
    return walk_all


def fails(test: Test, steps: list[Step]) -> bool:
    try:
        test(steps)
    except Exception:  # noqa: BLE001 - whatever it is, it will be raised again
        return True
    return False


def shortened(test: Test, steps: list[Step]) -> list[Step]:
    """Without any step that can be left out."""
    for n in reversed(range(len(steps))):
        shorter = steps[:n] + steps[n + 1 :]
        if fails(test, shorter):
            return shortened(test, shorter)
    return steps
