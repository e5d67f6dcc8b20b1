"""``@recurring``: recurrences that stand in the code, beside the consumer that runs them.

Here they are only noted. ``migrate`` and ``manage.py jobsaga recurring sync`` bring them into the rows
(``jobsaga.client.declared``); workers never do, or old and new ones would take turns while a release is
rolled out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from jobsaga.consumers.consumer import consumers
from jobsaga.consumers.message_types import full_name
from jobsaga.consumers.registry import JobConsumerDefinition
from jobsaga.exceptions import InvalidConsumer, InvalidOptions, JobSagaError
from jobsaga.messages import Misfire
from jobsaga.schedule import Builder, as_cron, check_time_zone

Source = TypeVar("Source", bound=Any)
DEFAULT_NAME = "default"


@dataclass(frozen=True, kw_only=True)
class RecurringDeclaration:
    """One ``@recurring``: the consumer it stands at, and what it says."""

    source: Any
    name: str
    schedule: str
    message: Any
    time_zone: str
    start: datetime | None
    end: datetime | None
    misfire: Misfire
    properties: Mapping[str, Any] | None
    priority: int

    def definition(self) -> JobConsumerDefinition:
        """The consumer. Raises UnknownJobType, NotReady."""
        return consumers.for_source(self.source)

    def input(self) -> Any:
        """What the job is given: as declared, or its message class without arguments, or the consumer itself
        where it takes no message. Raises InvalidConsumer.
        """
        message_type = self.definition().message_type
        if self.message is not None and type(self.message) is not message_type:
            raise InvalidConsumer(
                f"@recurring has a message of {full_name(type(self.message))}, but {full_name(self.source)} takes "
                f"{full_name(message_type) if message_type else 'no message'}."
            )
        if self.message is not None or message_type is None:
            return self.source if self.message is None else self.message
        try:
            return message_type()
        except TypeError as error:
            raise InvalidConsumer(
                f"@recurring on {full_name(self.source)} needs message=...: {full_name(message_type)} "
                f"cannot be made without arguments ({error})."
            ) from None

    def __str__(self) -> str:
        return f"@recurring {self.name!r} on {full_name(self.source)}"


_declarations: list[RecurringDeclaration] = []


def recurring(
    schedule: str | Builder,
    *,
    name: str = DEFAULT_NAME,
    message: Any = None,
    time_zone: str = "UTC",
    start: datetime | None = None,
    end: datetime | None = None,
    misfire: Misfire = "run_once",
    properties: Mapping[str, Any] | None = None,
    priority: int = 0,
) -> Callable[[Source], Source]:
    """Run this consumer whenever *schedule* says so. Stands above the class, or above ``@job_consumer``.

    The arguments are those of ``add_or_update_recurring_job``. *message*: what its jobs are given; without one
    the message class is made without arguments. Several on one consumer have different names.

    Raises InvalidSchedule, InvalidOptions.
    """
    cron, zone = as_cron(schedule), check_time_zone(time_zone)

    def declare(source: Source) -> Source:
        if any(each.source is source and each.name == name for each in _declarations):
            raise InvalidOptions(
                f"{full_name(source)} has two @recurring named {name!r}: give one another name."
            )
        _declarations.append(
            RecurringDeclaration(
                source=source,
                name=name,
                schedule=cron,
                message=message,
                time_zone=zone,
                start=start,
                end=end,
                misfire=misfire,
                properties=properties,
                priority=priority,
            )
        )
        return source

    return declare


def declarations() -> list[RecurringDeclaration]:
    """All of this process, in the order they were written."""
    return list(_declarations)


def declaration_problems() -> Iterator[tuple[RecurringDeclaration, JobSagaError]]:
    """Those without a consumer, or without an input. Read by ``manage.py check``."""
    for each in _declarations:
        try:
            each.input()
        except JobSagaError as error:
            yield each, error


@contextmanager
def temporary_declarations() -> Iterator[None]:
    """Forget, at the end of the block, what was declared in it: for tests."""
    before = list(_declarations)
    try:
        yield
    finally:
        _declarations[:] = before
