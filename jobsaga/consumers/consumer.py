"""Job consumers: the classes and functions that do the work."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from jobsaga.consumers.message_types import full_name, message_type_of
from jobsaga.consumers.registry import Candidate, ConsumerRegistry
from jobsaga.exceptions import InvalidOptions
from jobsaga.options import JobOptions

if TYPE_CHECKING:
    from jobsaga.worker.context import JobContext

Message = TypeVar("Message")
Function = TypeVar("Function", bound=Callable[..., Any])

consumers = ConsumerRegistry()
"""All job consumers of this process."""


class JobConsumer(Generic[Message]):
    """The base of all job consumers. Say which message it takes, and write ``run``.

        class ConvertVideoConsumer(JobConsumer[ConvertVideo]):
            options = JobOptions(concurrent_job_limit=10)

            def run(self, context: JobContext[ConvertVideo]) -> object: ...

    ``JobConsumer[None]`` takes no message. A new object is made for each attempt. A class that is only a base
    for others says so: ``class Base(JobConsumer[ConvertVideo], abstract=True)``.
    """

    options: ClassVar[JobOptions] = JobOptions()

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        still_generic = bool(getattr(cls, "__parameters__", ()))
        if not abstract and not still_generic:
            find_message_type = partial(message_type_of, cls, JobConsumer)
            run = None if cls.run is JobConsumer.run else cls.run
            title = None if cls.title is JobConsumer.title else lambda message: cls().title(message)
            consumers.register(Candidate(cls, cls, run, cls.options, find_message_type, title))

    def run(self, context: JobContext[Message]) -> object:
        """Do the work; ``async def`` is fine too. What it returns (JSON-able) is the result of the job.

        An exception is a fault of this attempt. JobCancellation and AttemptSuperseded should be let through.
        """
        raise NotImplementedError(f"{full_name(type(self))} has no run method.")

    def title(self, message: Message) -> str:
        """What the job of this message is called in lists: one line, of which 200 characters are kept.

        Asked once, when the job is submitted, where it is submitted. Everybody who may see the job reads it.
        """
        return ""


class FunctionConsumer(JobConsumer[Any], abstract=True):
    """A function as a consumer."""

    def __init__(self, function: Callable[[Any], object]) -> None:
        self.function = function

    def run(self, context: JobContext[Any]) -> object:
        """Call the function; of an async one this gives the coroutine."""
        return self.function(context)


def job_consumer(
    message_type: type | None = None, *, title: Callable[[Any], str] | None = None, **options: Any
) -> Callable[[Function], Function]:
    """Make a function that takes a JobContext a job consumer; ``options`` are those of JobOptions, ``title`` gives
    for a message what its job is called in lists.

    Without a message type it is a job without a message, "app_label.function_name". The function itself stays
    as it is. Raises InvalidOptions.
    """
    if message_type is not None and not isinstance(message_type, type):
        raise InvalidOptions(f"Write @job_consumer() or @job_consumer(MessageType), not {message_type!r}.")
    if title is not None and not callable(title):
        raise InvalidOptions(f"title must be a function of a message, not {title!r}.")
    job_options = JobOptions(**options)

    def register(function: Function) -> Function:
        _check_function(function, message_type, job_options)
        factory = partial(FunctionConsumer, function)
        consumers.register(Candidate(function, factory, function, job_options, lambda: message_type, title))
        return function

    return register


def _check_function(function: object, message_type: type | None, options: JobOptions) -> None:
    """Raise InvalidOptions for what could not be called as a job, or has nothing that its job type is named after."""
    if isinstance(function, type):
        message = message_type.__name__ if message_type else None
        raise InvalidOptions(
            f"@job_consumer is for functions: derive {full_name(function)} from JobConsumer[{message}] instead."
        )
    if not inspect.isroutine(function):
        raise InvalidOptions(f"@job_consumer stands above a function, not {function!r}.")
    if function.__name__ == "<lambda>" and message_type is None and options.job_type_name is None:
        raise InvalidOptions("A lambda has no name for its jobs: write a def, or give it a job_type_name.")
