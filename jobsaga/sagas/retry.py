"""How often a failed job is tried again, and how long it waits each time.

A policy is plain data: how many retries, the delay before each (the last one repeats), and which exceptions
count. ``n`` retries are ``n + 1`` runs. The policy counts only the retries it granted itself: a lost worker,
a shutdown or a retry by hand spend nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from random import random as random_share

from jobsaga.exceptions import InvalidOptions
from jobsaga.validation import Duration, as_count, as_duration

ExceptionClass = type[BaseException]

NOTHING = timedelta(0)


@dataclass(frozen=True)
class Retry:
    """A retry policy. Make one with the class methods below, then narrow it with ``only`` and ``ignore``."""

    limit: int
    delays: tuple[timedelta, ...]
    step: timedelta = NOTHING
    jitter: float = 0.0
    included: tuple[ExceptionClass, ...] = ()
    excluded: tuple[ExceptionClass, ...] = ()

    @classmethod
    def immediate(cls, n: int) -> Retry:
        """``n`` retries, each at once."""
        return cls(_count(n), (NOTHING,))

    @classmethod
    def interval(cls, n: int, delay: Duration) -> Retry:
        """``n`` retries, each after ``delay`` (timedelta or seconds)."""
        return cls(_count(n), (_duration(delay, "delay"),))

    @classmethod
    def intervals(cls, *delays: Duration) -> Retry:
        """As many retries as there are delays (timedelta or seconds), each after its own."""
        if not delays:
            raise InvalidOptions("Retry.intervals needs at least one delay.")
        return cls(len(delays), tuple(_duration(delay, f"delay {n}") for n, delay in enumerate(delays, 1)))

    @classmethod
    def incremental(cls, n: int, first: Duration, step: Duration) -> Retry:
        """``n`` retries after ``first``, ``first + step``, ``first + 2 * step``, ... (timedelta or
        seconds).
        """
        policy = cls(_count(n), (_duration(first, "first"),), step=_duration(step, "step"))
        try:
            _duration(policy._planned(n - 1), "last delay")
        except OverflowError:
            raise InvalidOptions("Retry: the last delay must be less than a hundred years.") from None
        return policy

    @classmethod
    def exponential(cls, n: int, first: Duration, maximum: Duration, jitter: float = 0.2) -> Retry:
        """``n`` retries after ``first``, twice that, four times that, ... but never more than ``maximum``.

        ``jitter`` (0 to 1) is the share of each delay that is left to chance, so that jobs that failed
        together do not come back together: with 0.2 a delay of 10 s becomes 8 to 10 s.
        """
        limit = _count(n)
        delays, longest = [_duration(first, "first", zero=False)], _duration(maximum, "maximum")
        if longest < delays[0]:
            raise InvalidOptions(f"Retry: maximum ({longest}) must not be less than first ({delays[0]}).")
        if isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
            raise InvalidOptions(f"Retry: jitter must be a number from 0 to 1, not {jitter!r}.")
        while delays[-1] < longest and len(delays) < limit:
            delays.append(min(delays[-1] * 2, longest))
        return cls(limit, tuple(delays), jitter=float(jitter))

    def only(self, *exceptions: ExceptionClass) -> Retry:
        """The same policy, but only for these exceptions and their subclasses."""
        return replace(self, included=self.included + _classes(exceptions))

    def ignore(self, *exceptions: ExceptionClass) -> Retry:
        """The same policy, but not for these exceptions and their subclasses, even when ``only`` names
        them.
        """
        return replace(self, excluded=self.excluded + _classes(exceptions))

    def delay(
        self, retries_spent: int, error: BaseException | None, random: Callable[[], float] = random_share
    ) -> timedelta | None:
        """How long to wait before the next try, or None when there is none.

        ``retries_spent`` counts the retries this policy granted already. ``error`` is what ended the run;
        None (it ended without an exception of its own) is matched by no filter. ``random`` gives a number
        from 0 to 1.
        """
        if retries_spent >= self.limit or not self._counts(error):
            return None
        return self._planned(retries_spent) * (1 - self.jitter * random())

    def _planned(self, retries_spent: int) -> timedelta:
        return self.delays[min(retries_spent, len(self.delays) - 1)] + self.step * retries_spent

    def _counts(self, error: BaseException | None) -> bool:
        return not isinstance(error, self.excluded) and (
            not self.included or isinstance(error, self.included)
        )


def _count(n: int) -> int:
    try:
        return as_count(n)
    except ValueError as problem:
        raise InvalidOptions(f"Retry: the number of retries {problem}.") from None


def _duration(value: Duration, name: str, *, zero: bool = True) -> timedelta:
    try:
        return as_duration(value, zero=zero)
    except ValueError as problem:
        raise InvalidOptions(f"Retry: {name} {problem}.") from None


def _classes(exceptions: tuple[ExceptionClass, ...]) -> tuple[ExceptionClass, ...]:
    for each in exceptions:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise InvalidOptions(f"Retry: only() and ignore() take exception classes, not {each!r}.")
    return exceptions
