"""The little language that whole conversations are written in.

A line at the margin is what happens; the indented lines below it are everything that follows, in order. Blank
lines and lines that begin with ``#`` are for the reader.

    client: submits j1                            who: what (all sentences are in SENTENCES below)
        j1      SubmitJob       Initial -> Submitted, publishes JobSubmitted
        a1      CancelJobAttempt(a1)  stays Running
        w1      StartJob(a1)                      a message that leaves for a worker

An indented line says who hears which message, and what comes of it: a change of state or ``stays X``, or
``ignored`` (a row that does nothing), or ``not heard`` (a report that is not of the current attempt); then,
after commas, the events that are published, the notes for the history, and the moves of the fence. Attempts are
a1, a2, ... in the order in which slots were given. A report in the same words as before is the same message, said
twice. ``look`` shows fields of a job or an attempt; its ``next`` is the next occurrence of a recurring job,
``scheduled`` the one of its run, and ``saved`` the state that its attempts may have saved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from msgspec.structs import replace

from jobsaga.messages import (
    AddOrUpdateRecurringJob,
    AttemptStatus,
    CancelJob,
    CancelKind,
    CancelRecurringJob,
    Fault,
    FinalizeJob,
    JobAttemptCanceled,
    JobAttemptCompleted,
    JobAttemptFaulted,
    JobAttemptStarted,
    JobAttemptStatus,
    LimitKind,
    Progress,
    RetryJob,
    RunJob,
    SetConcurrentJobLimit,
    SetJobProgress,
    SubmitJob,
)
from jobsaga.sagas import Attempt, Job
from jobsaga.sagas.machine import EndSession, MoveFence, Note, Publish
from jobsaga.schedule import Every
from tests.sagas.world import START, TYPE, Heard, World

NAMES = UUID(int=7)


def seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text))


def named(name: str) -> UUID:
    """The id of a job, an instance or an attempt of this name; attempts count from 1."""
    return UUID(int=int(name[1:])) if name[0] == "a" else uuid5(NAMES, name)


def since_start(at: datetime | None) -> str:
    return "not" if at is None else f"for {(at - START).total_seconds():g} s"


class Unreadable(Exception):
    """A line that is no sentence of the language."""


@dataclass
class Play:
    """A transcript on the stage: runs each sentence and tells what followed."""

    world: World = field(default_factory=World)
    names: dict[Any, str] = field(default_factory=dict)
    reports: dict[Any, Any] = field(default_factory=dict)
    swept: bool = True

    def run(self, text: str) -> Iterator[str]:
        """The transcript as it is, line by line: what was said is kept, what follows is told anew."""
        for line in text.splitlines():
            if not line.strip() or line.startswith("#"):
                yield line
            elif not line[0].isspace():
                yield line
                yield from (f"    {told}" for told in self.follow(line))

    def follow(self, line: str) -> list[str]:
        for pattern, act in SENTENCES.items():
            match = re.fullmatch(pattern, line.strip())
            if match:
                for name in re.findall(r"\b[jw]\d+\b", line):
                    self.names[named(name)] = name
                return [
                    told if isinstance(told, str) else self.tell(told) for told in act(self, *match.groups())
                ]
        raise Unreadable(f"no sentence of the language: {line!r}")

    def say(self, *lines: str) -> list[str]:
        """Several sentences; what followed the last one."""
        told: list[str] = []
        for line in lines:
            told = self.follow(line)
        return told

    def job(self, name: str = "j1") -> Job:
        return self.world.jobs[named(name)]

    def attempt(self, name: str = "a1") -> Attempt:
        return self.world.attempts[named(name)]

    # How what was heard is told

    def tell(self, heard: Heard) -> str:
        who = self.name(heard.key)
        what = type(heard.message).__name__
        about = getattr(heard.message, "attempt_id", None)
        if about is not None and about != heard.key:
            what += f"({self.name(about)})"
        return f"{who} {what} {self.result(heard)}".strip()

    def result(self, heard: Heard) -> str:
        outcome = heard.outcome
        if outcome is None:
            return ""
        if outcome.row is None:
            return "not heard"
        if outcome.row.ignored:
            return "ignored"
        was, now = heard.before.state, outcome.saga.state
        first = f"stays {now}" if was is now else f"{was} -> {now}"
        return ", ".join([first, *filter(None, map(self.effect, outcome.effects))])

    def effect(self, effect: Any) -> str:
        if isinstance(effect, Publish):
            return f"publishes {effect.event.name}"
        if isinstance(effect, Note):
            return f"notes {effect.kind}"
        if isinstance(effect, EndSession):
            return f"ends the session of {self.name(effect.attempt_id)}"
        if isinstance(effect, MoveFence):
            return f"fence to {self.name(effect.attempt_id) if effect.attempt_id else 'nobody'}"
        return ""

    def name(self, key: Any) -> str:
        if not isinstance(key, UUID):
            return str(key)
        return self.names.get(key) or f"a{key.int}"

    # What can happen

    def report(self, message: type[Any], attempt: str, /, **details: Any) -> list[Heard]:
        attempt_id = named(attempt)
        job_id = self.job_of[attempt_id]
        said = message(job_id=job_id, attempt_id=attempt_id, timestamp=self.world.now, **details)
        same = self.reports.setdefault(replace(said, timestamp=START), said)
        return self.world.say(same)

    def status(self, attempt: str, status: AttemptStatus) -> list[Heard]:
        attempt_id = named(attempt)
        return self.world.say(
            JobAttemptStatus(job_id=self.job_of[attempt_id], attempt_id=attempt_id, status=status)
        )

    @property
    def job_of(self) -> dict[UUID, UUID]:
        """Whose attempt it was, also when its row is gone."""
        return {
            heard.key: heard.message.job_id  # type: ignore[attr-defined]
            for heard in self.world.heard
            if heard.address == "attempt"
        }

    def submit(
        self, job: str, start_in: str | None, started: str | None, priority: str | None
    ) -> list[Heard]:
        start = seconds(start_in) if start_in else -seconds(started) if started else None
        start_at = None if start is None else self.world.now + start
        return self.world.say(
            SubmitJob(job_id=named(job), job_type=TYPE, start_at=start_at, priority=int(priority or 0))
        )

    def recur(self, job: str, period: str, more: str) -> list[Heard]:
        """Its times are counted from the beginning of the transcript."""
        details: dict[str, Any] = {}
        for pattern, name in MORE.items():
            if found := re.search(pattern, more):
                details[name] = READ[name](found[1])
        cron = Every(seconds=int(period)).cron
        return self.world.say(
            AddOrUpdateRecurringJob(job_id=named(job), job_type=TYPE, name=job, cron=cron, **details)
        )

    def command(self, kind: type[Any], job: str, **details: Any) -> list[Heard]:
        return self.world.say(kind(job_id=named(job), **details))

    def progress(self, attempt: str, number: str, value: str) -> list[Heard]:
        return self.report(
            SetJobProgress, attempt, progress=Progress(sequence=int(number), value=float(value))
        )

    def fault(self, attempt: str, fault: str, delay: str | None) -> list[Heard]:
        return self.report(
            JobAttemptFaulted, attempt, fault=Fault(type=fault), retry_delay=seconds(delay) if delay else None
        )

    def killed(self, attempt: str, signal: str) -> list[Heard]:
        fault = Fault(type="ProcessKilled", message=f"killed by signal {signal}")
        return self.report(JobAttemptFaulted, attempt, fault=fault, suspect=True)

    def canceled(self, attempt: str, kind: CancelKind, reason: str = "") -> list[Heard]:
        return self.report(JobAttemptCanceled, attempt, kind=kind, reason=reason)

    def stop(self, instance: str) -> list[Heard]:
        return self.world.say(
            SetConcurrentJobLimit(job_type=TYPE, kind=LimitKind.STOPPED, instance_id=named(instance))
        )

    def take(self, attempt: str) -> list[Heard | str]:
        return [] if self.world.take(named(attempt)) else ["too late: it is not for this worker any more"]

    def save(self, attempt: str, state: str) -> list[Heard | str]:
        return [] if self.world.save(named(attempt), state) else ["refused"]

    def silence(self, instance: str) -> list[Heard]:
        self.world.silent_since[named(instance)] = self.world.now
        return []

    def back(self, instance: str) -> list[Heard]:
        del self.world.silent_since[named(instance)]
        return []

    def hold(self, job: str) -> list[Heard]:
        self.world.held.add(named(job))
        return []

    def let_go(self, job: str) -> list[Heard]:
        self.world.held.remove(named(job))
        return []

    def stop_hosts(self) -> list[Heard]:
        """Nobody sweeps from now on."""
        self.swept = False
        return []

    def clock(self, passed: str) -> list[Heard]:
        if self.swept:
            return self.world.pass_time(seconds(passed))
        self.world.now += seconds(passed)
        return []

    def option(self, name: str, value: str) -> list[Heard]:
        self.world.options[name] = (
            {"on": True, "off": False}.get(value) if value in ("on", "off") else int(value)
        )
        return []

    def look(self, name: str, fields: str) -> list[str]:
        rows: Any = self.world.attempts if name[0] == "a" else self.world.jobs
        row = rows.get(named(name))
        return [f"{each}: {self.field(row, each)}" for each in fields.split(", ")] if row else ["NotFound"]

    def field(self, row: Any, name: str) -> str:
        if name in ("due", "next"):
            at = row.due_at if name == "due" else row.next_start_at
            return "never" if at is None else f"in {(at - self.world.now).total_seconds():g} s"
        if name in ("scheduled", "said"):
            return str(row.message if name == "said" else since_start(row.scheduled_for))
        if name == "saved":
            return str(self.world.checkpoints[row.id].state)
        if name == "fence":
            owner = self.world.checkpoints[row.id].attempt_id
            return self.name(owner) if owner else "nobody"
        value = getattr(row, name)
        return self.name(value) if isinstance(value, UUID) else str(value)


#: What may follow "every 60 s", and how it is read.
MORE = {
    r", from (\d+) s": "start_at",
    r", until (\d+) s": "end_at",
    r", late runs: (\w+)": "misfire",
    r", message (\w+)": "message",
}
READ: dict[str, Callable[[str], Any]] = {
    "start_at": lambda text: START + seconds(text),
    "end_at": lambda text: START + seconds(text),
    "misfire": str,
    "message": lambda text: {"text": text},
}
J, A, W, N = r"(j\d+)", r"(a\d+)", r"(w\d+)", r"(\d+)"
Act = Callable[..., list[Any]]

SENTENCES: dict[str, Act] = {
    # what a site asks for
    rf"client: submits {J}(?: to start in {N} s)?(?: to start {N} s ago)?(?: with priority {N})?": Play.submit,
    rf"client: (?:adds|updates) {J}, every {N} s(.*)": Play.recur,
    rf"client: cancels run {N} of {J}": lambda play, run, job: play.command(CancelJob, job, run=int(run)),
    rf"client: cancels the recurrence of {J}(?: because (.+))?": lambda play, job, why: play.command(
        CancelRecurringJob, job, reason=why or ""
    ),
    rf"client: runs run {N} of {J} now": lambda play, run, job: play.command(RunJob, job, run=int(run)),
    rf"client: cancels {J} because (.+)": lambda play, job, why: play.command(CancelJob, job, reason=why),
    rf"client: cancels {J}": lambda play, job: play.command(CancelJob, job),
    rf"client: retries {J}": lambda play, job: play.command(RetryJob, job),
    rf"client: runs {J} now": lambda play, job: play.command(RunJob, job),
    rf"client: finalizes {J}": lambda play, job: play.command(FinalizeJob, job),
    # what an instance says, and what becomes of it
    rf"{W}: hosts {TYPE}, limit {N}(?:, global limit {N})?": lambda play, who, limit, everywhere: (
        play.world.host(named(who), int(limit), int(everywhere) if everywhere else None)
    ),
    rf"{W}: stops hosting {TYPE}": Play.stop,
    rf"{W}: falls silent": Play.silence,
    rf"{W}: beats again": Play.back,
    rf"w\d+: takes {A}": Play.take,
    rf"w\d+: started {A}": lambda play, attempt: play.report(JobAttemptStarted, attempt),
    rf"w\d+: started {A}, timeout {N} s, cancellation timeout {N} s": lambda play, attempt, *timeouts: (
        play.report(
            JobAttemptStarted,
            attempt,
            job_timeout=float(timeouts[0]),
            job_cancellation_timeout=float(timeouts[1]),
        )
    ),
    rf"w\d+: progress {N} of {A} is {N}": lambda play, number, attempt, value: play.progress(
        attempt, number, value
    ),
    rf"w\d+: saves (.+) for {A}": lambda play, state, attempt: play.save(attempt, state),
    rf"w\d+: completed {A}(?: after {N} s)?": lambda play, attempt, after: play.report(
        JobAttemptCompleted, attempt, duration=seconds(after or "1")
    ),
    rf"w\d+: faulted {A} with (\w+)(?:, retry in {N} s)?": Play.fault,
    rf"w\d+: {A} was killed by signal {N}": Play.killed,
    rf"w\d+: canceled {A}": lambda play, attempt: play.canceled(attempt, CancelKind.USER),
    rf"w\d+: {A} canceled itself because (.+)": lambda play, attempt, why: play.canceled(
        attempt, CancelKind.CONSUMER, why
    ),
    rf"w\d+: hands over {A}": lambda play, attempt: play.canceled(
        attempt, CancelKind.SHUTDOWN, "Job Service Shutdown"
    ),
    rf"w\d+: gives back {A}": lambda play, attempt: play.canceled(attempt, CancelKind.NOT_STARTED),
    rf"w\d+: runs {A}": lambda play, attempt: play.status(attempt, AttemptStatus.RUNNING),
    rf"w\d+: does not know {A}": lambda play, attempt: play.status(attempt, AttemptStatus.UNKNOWN),
    # the world around
    rf"clock: {N} s pass(?:es)?": Play.clock,
    r"someone: stops the saga hosts": Play.stop_hosts,
    rf"someone: holds the fence of {J}": Play.hold,
    rf"someone: lets go of the fence of {J}": Play.let_go,
    r"settings: (\w+) is (on|off|\d+)": Play.option,
    r"look: ([ja]\d+): (.+)": Play.look,
}
