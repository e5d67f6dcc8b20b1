"""Job consumers: how they are written, found, named, and what is said about those that are wrong."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest

from jobsaga.consumers import JobConsumer, consumers, job_consumer
from jobsaga.exceptions import InvalidOptions, UnknownJobType
from jobsaga.options import JobOptions

T = TypeVar("T")
U = TypeVar("U")


@dataclass
class ConvertVideo:
    path: str = ""


@dataclass
class SendReport:
    to: str = ""


@dataclass
class Homeless:
    """A message class that is in no installed app."""


for _message in (ConvertVideo, SendReport):
    _message.__module__ = "tests.jobsapp.messages"  # as if the installed app had defined them


@pytest.fixture(autouse=True)
def only_here() -> Iterator[None]:
    """The consumers of a test are its own."""
    with consumers.temporary():
        consumers.clear()
        yield


def texts() -> list[str]:
    return [str(problem.error) for problem in consumers.problems()]


# -- how consumers are written


def test_a_class_is_a_consumer_by_being_defined() -> None:
    class ConvertVideoConsumer(JobConsumer[ConvertVideo]):
        options = JobOptions(concurrent_job_limit=10)

        def run(self, context: Any) -> str:
            return f"ran {context}"

    definition = consumers.for_type_name("jobsapp.ConvertVideo")
    assert definition.message_type is ConvertVideo
    assert definition.options.concurrent_job_limit == 10
    assert definition.is_async is False
    assert definition.factory().run("it") == "ran it"  # type: ignore[arg-type]
    assert consumers.all() == [definition]
    assert texts() == []


def test_each_attempt_has_an_object_of_its_own() -> None:
    class Consumer(JobConsumer[ConvertVideo]):
        def run(self, context: Any) -> None: ...

    factory = consumers.for_message(ConvertVideo).factory
    assert isinstance(factory(), Consumer)
    assert factory() is not factory()


def test_run_may_be_async() -> None:
    class Consumer(JobConsumer[ConvertVideo]):
        async def run(self, context: Any) -> int:
            return 5

    definition = consumers.for_message(ConvertVideo)
    assert definition.is_async is True
    coroutine: Any = definition.factory().run(None)  # type: ignore[arg-type]
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert done.value.value == 5


def test_a_function_is_a_consumer_and_stays_a_function() -> None:
    @job_consumer(SendReport, concurrent_job_limit=3)
    def send_report(context: Any) -> tuple[str, Any]:
        return "sent", context

    definition = consumers.for_message(SendReport("a"))
    assert definition.type_name == "jobsapp.SendReport"
    assert definition.options.concurrent_job_limit == 3
    assert definition.factory().run(1) == send_report(1) == ("sent", 1)  # type: ignore[arg-type]
    assert definition.is_async is False


def test_an_async_function_is_an_async_consumer() -> None:
    @job_consumer(SendReport)
    async def send_report(context: Any) -> None: ...

    assert consumers.for_message(SendReport).is_async is True


def test_a_job_without_a_message_is_named_after_its_function() -> None:
    def tidy_up(context: Any) -> None: ...

    tidy_up.__module__ = "tests.jobsapp.jobs"
    job_consumer()(tidy_up)
    definition = consumers.for_type_name("jobsapp.tidy_up")
    assert definition.message_type is None
    assert consumers.for_message(tidy_up) is definition


def test_a_class_without_a_message_is_named_after_itself() -> None:
    class TidyUp(JobConsumer[None]):
        options = JobOptions(job_type_name="tidy")

        def run(self, context: Any) -> None: ...

    definition = consumers.for_type_name("tidy")
    assert definition.message_type is None
    assert consumers.for_message(TidyUp) is definition


def test_the_decorator_wants_its_parentheses() -> None:
    with pytest.raises(InvalidOptions, match=r"Write @job_consumer\(\)"):

        @job_consumer  # type: ignore[arg-type]
        def tidy_up(context: Any) -> None: ...

    with pytest.raises(InvalidOptions, match="concurrent_job_limit must be at least 1"):
        job_consumer(SendReport, concurrent_job_limit=0)


def test_the_decorator_stands_above_functions() -> None:
    class ConvertVideoConsumer:
        def run(self, context: Any) -> None: ...

    with pytest.raises(
        InvalidOptions, match=r"derive .*ConvertVideoConsumer from JobConsumer\[ConvertVideo\]"
    ):
        job_consumer(ConvertVideo)(ConvertVideoConsumer)
    with pytest.raises(InvalidOptions, match=r"above a function, not functools\.partial"):
        job_consumer(ConvertVideo)(functools.partial(print, "converts"))
    assert consumers.all() == []


def test_a_function_without_a_name_needs_one_for_its_jobs() -> None:
    with pytest.raises(InvalidOptions, match="give it a job_type_name"):
        job_consumer()(lambda context: None)
    job_consumer(ConvertVideo)(lambda context: None)
    job_consumer(job_type_name="tidy up")(lambda context: None)
    assert [each.type_name for each in consumers.all()] == ["jobsapp.ConvertVideo", "tidy up"]


# -- which message a class takes


class Base(JobConsumer[T], Generic[T]):
    def run(self, context: Any) -> None: ...


class Swapped(Base[U], Generic[T, U]):
    pass


class Concrete(JobConsumer[ConvertVideo], abstract=True):
    def run(self, context: Any) -> None: ...


def test_the_message_is_found_through_generic_bases() -> None:
    class Direct(Base[ConvertVideo]): ...

    class Second(Swapped[int, SendReport]): ...

    assert consumers.for_message(ConvertVideo).factory is Direct
    assert consumers.for_message(SendReport).factory is Second
    assert texts() == []


def test_the_message_is_found_through_a_class_that_fixes_it_and_mixins() -> None:
    class Mixin:
        pass

    class Consumer(Mixin, Concrete): ...

    assert consumers.for_message(ConvertVideo).factory is Consumer


def test_the_message_may_be_a_forward_reference() -> None:
    class Direct(JobConsumer["ConvertVideo"]):
        def run(self, context: Any) -> None: ...

    class ThroughBase(Base["SendReport"]): ...

    assert consumers.for_message(ConvertVideo).factory is Direct
    assert consumers.for_message(SendReport).factory is ThroughBase


class Videos:
    Convert = ConvertVideo


def test_the_reference_may_lead_into_a_class() -> None:
    class Consumer(JobConsumer["Videos.Convert"]):
        def run(self, context: Any) -> None: ...

    assert consumers.for_message(ConvertVideo).factory is Consumer


def test_bases_are_no_consumers() -> None:
    class Generically(JobConsumer[T]): ...

    class Abstract(JobConsumer[ConvertVideo], abstract=True): ...

    assert consumers.all() == []
    assert texts() == []


# -- what is wrong is collected, and breaks no import


def test_a_message_class_has_one_consumer() -> None:
    class First(JobConsumer[ConvertVideo]):
        def run(self, context: Any) -> None: ...

    @job_consumer(ConvertVideo, job_type_name="another")
    def second(context: Any) -> None: ...

    [text] = texts()
    assert "second and " in text
    assert "First both take tests.jobsapp.messages.ConvertVideo" in text
    assert consumers.for_message(ConvertVideo).factory is First


def test_a_type_name_has_one_consumer() -> None:
    job_consumer(ConvertVideo, job_type_name="same")(lambda context: None)
    job_consumer(SendReport, job_type_name="same")(lambda context: None)
    [text] = texts()
    assert "are both named 'same': give one of them another job_type_name" in text
    assert consumers.for_type_name("same").message_type is ConvertVideo


@pytest.mark.parametrize("second", ["Videos.convert", "vid\u00e9os.Convert", "videos.Convert "])
def test_two_type_names_differ_in_more_than_a_database_sees(second: str) -> None:
    """MariaDB takes them for one, where the two share their slots and their page."""
    job_consumer(ConvertVideo, job_type_name="videos.Convert")(lambda context: None)
    job_consumer(SendReport, job_type_name=second)(lambda context: None)
    [text] = texts()
    assert f"are named {second!r} and 'videos.Convert', which no database need keep apart" in text
    assert text.count("<lambda>") == 2
    assert [each.type_name for each in consumers.all()] == ["videos.Convert"]


def test_a_message_outside_of_an_app_needs_a_name() -> None:
    class Consumer(JobConsumer[Homeless]):
        def run(self, context: Any) -> None: ...

    [text] = texts()
    assert "test_consumers.Homeless is in no installed app" in text
    assert "set job_type_name in the options of" in text
    with pytest.raises(UnknownJobType):
        consumers.for_message(Homeless)


def test_a_message_outside_of_an_app_with_a_name() -> None:
    job_consumer(Homeless, job_type_name="homeless")(lambda context: None)
    assert consumers.for_message(Homeless()).type_name == "homeless"
    assert texts() == []


def test_messages_that_cannot_be_found_out() -> None:
    class Says(JobConsumer):  # type: ignore[type-arg]
        def run(self, context: Any) -> None: ...

    class Forgets(Base):  # type: ignore[type-arg]
        pass

    class Misspells(JobConsumer["NoSuchMessage"]):  # type: ignore[name-defined]
        def run(self, context: Any) -> None: ...

    class Lists(JobConsumer[list[ConvertVideo]]):
        def run(self, context: Any) -> None: ...

    says, forgets, misspells, lists = texts()
    assert "Says does not say which message it takes: derive it from JobConsumer[YourMessage]" in says
    assert "Forgets does not say which message it takes" in forgets
    assert "Misspells takes a message 'NoSuchMessage', but there is no such name in the module" in misspells
    assert "but a message type must be a class" in lists


def test_consumers_that_could_never_run() -> None:
    class NoRun(JobConsumer[ConvertVideo]):
        def rum(self, context: Any) -> None: ...

    class Yields(JobConsumer[SendReport]):
        def run(self, context: Any) -> Iterator[int]:
            yield 1

    class Dict(JobConsumer[None]):
        options = {"concurrent_job_limit": 3}  # type: ignore[assignment]

        def run(self, context: Any) -> None: ...

    class Async(JobConsumer[None]):
        options = JobOptions(job_type_name="async", isolation="process")

        async def run(self, context: Any) -> None: ...

    class NaN(JobConsumer[None]):
        options = JobOptions(job_type_name="nan", instance_properties={"load": float("nan")})

        def run(self, context: Any) -> None: ...

    dicts, no_run, yields, is_async, nan = texts()
    assert "Dict has options that are no JobOptions" in dicts
    assert "NoRun has no run method: write one, or declare the class with abstract=True" in no_run
    assert "Yields would do nothing: it is a generator" in yields
    assert "Async is async, and async jobs share one process" in is_async
    assert "NaN: instance_properties.load is nan" in nan


def test_messages_that_cannot_be_stored() -> None:
    class Plain:
        pass

    job_consumer(Plain, job_type_name="plain")(lambda context: None)
    [text] = texts()
    assert "Plain, the message of " in text
    assert "a message is a dataclass" in text


def test_an_object_without_run_says_so() -> None:
    class NoRun(JobConsumer[ConvertVideo]): ...

    with pytest.raises(NotImplementedError, match="NoRun has no run method"):
        NoRun().run(None)  # type: ignore[arg-type]


# -- looking things up


def test_an_unknown_type_comes_with_near_names() -> None:
    job_consumer(ConvertVideo)(lambda context: None)
    with pytest.raises(UnknownJobType, match=r"'jobsapp.ConvertVido'. Did you mean 'jobsapp.ConvertVideo'\?"):
        consumers.for_type_name("jobsapp.ConvertVido")
    with pytest.raises(UnknownJobType, match=r"tests.jobsapp.messages.SendReport"):
        consumers.for_message(SendReport())
    with pytest.raises(UnknownJobType, match="dict"):
        consumers.for_message({})


def test_a_late_consumer_is_found_too() -> None:
    job_consumer(ConvertVideo)(lambda context: None)
    assert len(consumers.all()) == 1
    job_consumer(SendReport)(lambda context: None)
    assert [each.type_name for each in consumers.all()] == ["jobsapp.ConvertVideo", "jobsapp.SendReport"]


def test_what_a_test_defines_is_forgotten() -> None:
    with consumers.temporary():
        job_consumer(ConvertVideo)(lambda context: None)
        assert len(consumers.all()) == 1
    assert consumers.all() == []


def test_a_wrapped_async_function_is_seen_through() -> None:
    def logged(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper(context: Any) -> Any:
            return await function(context)

        return wrapper

    @job_consumer(ConvertVideo)
    @logged
    async def convert(context: Any) -> None: ...

    assert consumers.for_message(ConvertVideo).is_async is True


BARE = """
import sys
from dataclasses import dataclass
from jobsaga.consumers import consumers, job_consumer
from jobsaga.exceptions import NotReady

@dataclass
class A: ...
@dataclass
class B: ...

job_consumer(A, job_type_name="a")(lambda context: None)
assert consumers.for_message(A).type_name == "a"
assert "django.apps.registry" not in sys.modules
job_consumer(B)(lambda context: None)
assert consumers.for_message(A).type_name == "a"
try:
    consumers.for_message(B)
except NotReady as error:
    assert "call django.setup() first" in str(error), error
else:
    raise AssertionError
"""


def test_without_django_only_named_consumers_are_known() -> None:
    subprocess.run([sys.executable, "-c", BARE], check=True, env={"PATH": ""})
