"""Who takes which message, and under which name: the registry of job consumers."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from asgiref.sync import iscoroutinefunction

from jobsaga.consumers.message_types import full_name
from jobsaga.exceptions import (
    DuplicateConsumer,
    InvalidConsumer,
    InvalidMessage,
    JobSagaError,
    NotReady,
    UnknownJobType,
    UnresolvedMessageType,
)
from jobsaga.options import JobOptions
from jobsaga.payload import check_json, type_problem
from jobsaga.payload.versions import version_of, version_problem

if TYPE_CHECKING:
    from jobsaga.consumers.consumer import JobConsumer


@dataclass(frozen=True)
class JobConsumerDefinition:
    """A consumer as the rest of jobsaga sees it. ``factory`` makes the object for one attempt."""

    type_name: str
    message_type: type | None
    options: JobOptions
    factory: Callable[[], JobConsumer[Any]]
    is_async: bool
    #: What a message's job is called; None: the consumer does not say.
    title: Callable[[Any], str] | None = None

    @property
    def message_version(self) -> int:
        """The version of its messages that this release writes, and reads at most."""
        return version_of(self.message_type)


class ConsumerProblem(NamedTuple):
    """What is wrong with a consumer, and the class or function it is about."""

    source: Any
    error: JobSagaError


@dataclass(frozen=True)
class Candidate:
    """What was registered: a class or function, and how to find out the rest when it is asked for."""

    source: Any
    factory: Callable[[], JobConsumer[Any]]
    run: Callable[..., Any] | None
    options: Any
    find_message_type: Callable[[], type | None]
    title: Callable[[Any], str] | None = None

    def definition(self) -> JobConsumerDefinition:
        """Look at it. Raises InvalidConsumer, UnresolvedMessageType, NotReady."""
        if not isinstance(self.options, JobOptions):
            raise InvalidConsumer(f"{self} has options that are no JobOptions: {self.options!r}.")
        message_type = self.find_message_type()
        name = self.options.job_type_name or self._default_name(message_type or self.source)
        return JobConsumerDefinition(
            name, message_type, self.options, self.factory, iscoroutinefunction(self.run), self.title
        )

    def _default_name(self, named_after: Any) -> str:
        from django.apps import apps
        from django.core.exceptions import AppRegistryNotReady, ImproperlyConfigured

        try:
            app = apps.get_containing_app_config(named_after.__module__)
        except (AppRegistryNotReady, ImproperlyConfigured) as error:
            raise NotReady(
                f"The job type of {self} is named after its app, and Django's apps are not loaded yet: "
                "call django.setup() first, or give the consumer a job_type_name."
            ) from error
        if app is None:
            raise UnresolvedMessageType(
                f"{full_name(named_after)} is in no installed app that could name the job type: "
                f"set job_type_name in the options of {self}."
            )
        return f"{app.label}.{named_after.__name__}"

    def __str__(self) -> str:
        return full_name(self.source)


class _Index:
    """The definitions by what they are asked for. Of two that claim the same, the first has it."""

    def __init__(self, candidates: list[Candidate]) -> None:
        self.by_name: dict[str, JobConsumerDefinition] = {}
        self.by_message: dict[Any, JobConsumerDefinition] = {}
        self.accepted: list[tuple[Candidate, JobConsumerDefinition]] = []
        self.refused: list[ConsumerProblem] = []
        for candidate in candidates:
            try:
                self._add(candidate, candidate.definition())
            except JobSagaError as error:
                self.refused.append(ConsumerProblem(candidate.source, error))

    def _add(self, candidate: Candidate, definition: JobConsumerDefinition) -> None:
        name, message = definition.type_name, definition.message_type or candidate.source
        for other, taken in self.accepted:
            if message is (taken.message_type or other.source):
                raise DuplicateConsumer(
                    f"{candidate} and {other} both take {full_name(message)}, but a message class has one "
                    "consumer: give one of them a message class of its own."
                )
            if name == taken.type_name:
                raise DuplicateConsumer(
                    f"{candidate} and {other} are both named {name!r}: give one of them another job_type_name."
                )
            if _folded(name) == _folded(taken.type_name):
                raise DuplicateConsumer(
                    f"{candidate} and {other} are named {name!r} and {taken.type_name!r}, which no database need keep "
                    "apart: give one of them another job_type_name."
                )
        self.by_name[name] = self.by_message[message] = definition
        self.accepted.append((candidate, definition))


class ConsumerRegistry:
    """All job consumers, in the order they were defined."""

    def __init__(self) -> None:
        self._candidates: list[Candidate] = []
        self._index: _Index | None = None

    def register(self, candidate: Candidate) -> None:
        """Take note of a consumer."""
        self._candidates.append(candidate)
        self._index = None

    def clear(self) -> None:
        """Forget all consumers: for tests, within ``temporary``."""
        self._candidates, self._index = [], None

    def all(self) -> list[JobConsumerDefinition]:
        """The definitions of all consumers that have nothing wrong with their name or message, by name."""
        return [definition for _, definition in sorted(self._indexed().by_name.items())]

    def for_type_name(self, name: str) -> JobConsumerDefinition:
        """The definition of this name. Raises UnknownJobType, NotReady."""
        return self._indexed().by_name.get(name) or self._missing(name)

    def for_message(self, message: object) -> JobConsumerDefinition:
        """The definition that takes this message, or messages of this class.

        For a job without a message: the consumer class or function itself. Raises UnknownJobType, NotReady.
        """
        source = message if isinstance(message, type) or inspect.isfunction(message) else type(message)
        return self._indexed().by_message.get(source) or self._missing(full_name(source))

    def for_source(self, source: Any) -> JobConsumerDefinition:
        """The definition of this consumer class or function. Raises UnknownJobType, NotReady."""
        found = [each for candidate, each in self._indexed().accepted if candidate.source is source]
        return found[0] if found else self._missing(full_name(source))

    def problems(self) -> list[ConsumerProblem]:
        """All that is wrong with the consumers. Read by ``manage.py check``."""
        index = self._indexed()
        return index.refused + [
            ConsumerProblem(candidate.source, flaw)
            for candidate, definition in index.accepted
            for flaw in _flaws(candidate, definition)
        ]

    @contextmanager
    def temporary(self) -> Iterator[ConsumerRegistry]:
        """Forget, at the end of the block, the consumers that were defined in it: for tests."""
        before = list(self._candidates)
        try:
            yield self
        finally:
            self._candidates, self._index = before, None

    def _indexed(self) -> _Index:
        if self._index is None:
            index = _Index(self._candidates)
            if _not_ready(index):
                return index
            self._index = index
        return self._index

    def _missing(self, name: str) -> NoReturn:
        index = self._indexed()
        raise _not_ready(index) or UnknownJobType(name, index.by_name)


def _folded(name: str) -> str:
    """As MariaDB and MySQL compare it: without case, accents and blanks at the end."""
    letters = (each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))
    return "".join(letters).casefold().rstrip()


def _not_ready(index: _Index) -> NotReady | None:
    return next((error for _, error in index.refused if isinstance(error, NotReady)), None)


def _flaws(candidate: Candidate, definition: JobConsumerDefinition) -> Iterator[JobSagaError]:
    """What would go wrong at the latest when a job runs."""
    if candidate.run is None:
        yield InvalidConsumer(
            f"{candidate} has no run method: write one, or declare the class with abstract=True."
        )
    if inspect.isgeneratorfunction(candidate.run) or inspect.isasyncgenfunction(candidate.run):
        yield InvalidConsumer(f"{candidate} would do nothing: it is a generator. Take the yield out of it.")
    if definition.is_async and definition.options.isolation == "process":
        yield InvalidConsumer(
            f"{candidate} is async, and async jobs share one process: leave isolation out, or make it a plain def."
        )
    if definition.options.max_memory and (
        definition.is_async or definition.options.isolation not in (None, "process")
    ):
        yield InvalidConsumer(
            f"{candidate} has a max_memory, but shares its process with other jobs: that can only be kept by a plain "
            "def with a process of its own."
        )
    unsupported = type_problem(definition.message_type) or version_problem(definition.message_type)
    if unsupported:
        name = full_name(definition.message_type)
        yield UnresolvedMessageType(f"{name}, the message of {candidate}, {unsupported}.")
    for name in ("job_type_properties", "instance_properties"):
        try:
            check_json(getattr(definition.options, name).to_dict(), name)
        except InvalidMessage as error:
            yield InvalidConsumer(f"{candidate}: {error}.")
