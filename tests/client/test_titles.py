"""A consumer's ``title`` names its jobs: asked once, at submission, and never a reason to refuse a job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from jobsaga import (
    JobConsumer,
    JobOptions,
    add_or_update_recurring_job,
    cancel_recurring_job,
    get_job_state,
    job_consumer,
    resume_recurring_job,
    schedule_job,
    submit_job,
    submit_jobs,
)
from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.exceptions import InvalidOptions
from jobsaga.models import JobHistory, JobSaga

pytestmark = pytest.mark.django_db(databases=[settings.DATABASE])


@dataclass
class Film:
    name: str


@pytest.fixture(autouse=True)
def temporary() -> Iterator[None]:
    with consumers.temporary():
        yield


def declare(title: Callable[[Film], Any]) -> None:
    """A consumer of films that calls them so."""

    @job_consumer(Film, title=title, job_type_name="films.Film")
    def watch(context: object) -> None: ...


def title_of(job_id: UUID) -> str:
    title = get_job_state(job_id).title
    assert title == JobSaga.objects.using(settings.DATABASE).get(pk=job_id).title
    return title


def test_every_way_to_submit_asks_for_it() -> None:
    declare(lambda film: film.name)
    ids = [
        submit_job(Film("by object")),
        submit_job("films.Film", {"name": "by name"}),
        *submit_jobs([Film("one of many")]),
        schedule_job(timedelta(hours=1), Film("later")),
        add_or_update_recurring_job("nightly", Film("each night"), "0 0 3 * * *"),
    ]
    assert list(map(title_of, ids)) == ["by object", "by name", "one of many", "later", "each night"]


def test_a_class_has_a_method_for_it() -> None:
    class Watch(JobConsumer[Film]):
        options = JobOptions(job_type_name="films.Film")

        def run(self, context: object) -> None: ...

        def title(self, message: Film) -> str:
            return f"{message.name} ({self.options.concurrent_job_limit})"

    assert title_of(submit_job(Film("Heat"))) == "Heat (1)"


def test_one_without_a_title_asks_nothing_of_the_message() -> None:
    class Watch(JobConsumer[Film]):
        options = JobOptions(job_type_name="films.Film")

        def run(self, context: object) -> None: ...

    assert consumers.for_message(Film).title is None
    assert title_of(submit_job(Film("Heat"))) == ""


def test_the_history_keeps_it_when_the_job_is_gone() -> None:
    declare(lambda film: film.name)
    job_id = submit_job(Film("Heat"))
    rows = JobHistory.objects.using(settings.DATABASE).filter(job_id=job_id, kind="JobSubmitted")
    assert rows.get().message == "Heat"


@pytest.mark.parametrize(
    ("made", "kept"),
    [
        ("x" * 500, "x" * 199 + "…"),
        ("x" * 200, "x" * 200),
        ("two\nlines\tand  more ", "two lines and more"),
        ("nul \0 and \ud800", "nul \N{REPLACEMENT CHARACTER} and \N{REPLACEMENT CHARACTER}"),
        ("x" * 10_000_000, "x" * 199 + "…"),
        ("", ""),
    ],
    ids=["long", "just", "lines", "unstorable", "huge", "none"],
)
def test_it_is_one_line_that_every_database_can_store(made: str, kept: str) -> None:
    declare(lambda film: made)
    assert title_of(submit_job(Film("Heat"))) == kept


@pytest.mark.parametrize("made", [None, 7, ["Heat"]])
def test_what_is_no_text_is_no_title(made: Any, caplog: pytest.LogCaptureFixture) -> None:
    declare(lambda film: made)
    with caplog.at_level(logging.WARNING, "jobsaga"):
        assert title_of(submit_job(Film("Heat"))) == ""
    assert "it must be a string" in caplog.text


def test_one_that_raises_costs_the_job_its_title_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    declare(lambda film: film.name + {}["year"])
    with caplog.at_level(logging.WARNING, "jobsaga"):
        jobs = [submit_job(Film("Heat")), submit_job("films.Film", {"name": "Heat"})]
    assert [get_job_state(each).current_state for each in jobs] == ["WaitingForSlot"] * 2
    assert list(map(title_of, jobs)) == ["", ""]
    assert "A job of films.Film has no title: KeyError: 'year'" in caplog.text


def test_a_recurring_job_is_called_what_it_was_called_last() -> None:
    declare(lambda film: film.name)
    job_id = add_or_update_recurring_job("nightly", Film("Heat"), "0 0 3 * * *")
    add_or_update_recurring_job("nightly", Film("Ronin"), "0 0 3 * * *")
    assert title_of(job_id) == "Ronin"
    cancel_recurring_job("films.Film", "nightly")
    resume_recurring_job("films.Film", "nightly")
    assert title_of(job_id) == "Ronin"


def test_a_title_that_is_no_function_is_refused_where_it_stands() -> None:
    with pytest.raises(InvalidOptions, match="title must be a function"):
        job_consumer(Film, title="Heat")  # type: ignore[arg-type]
