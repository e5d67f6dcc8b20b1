"""``@recurring``: from the code into the rows, and what stays as an operator left it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command

from jobsaga import (
    Every,
    JobConsumer,
    JobOptions,
    cancel_recurring_job,
    get_recurring_job_state,
    job_consumer,
    recurring,
)
from jobsaga.client.declared import differences, sync_recurring_jobs, warn_of_drift
from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.consumers.declarations import declaration_problems, declarations, temporary_declarations
from jobsaga.exceptions import InvalidOptions, InvalidSchedule
from jobsaga.models import JobHistory, JobSaga
from tests.client.conftest import Site

pytestmark = pytest.mark.django_db


@dataclass
class Clean:
    depth: int = 1


@dataclass
class Mail:
    to: str


@pytest.fixture(autouse=True)
def only_here() -> Iterator[None]:
    with consumers.temporary(), temporary_declarations():
        yield


def declare(schedule: Any = "0 0 3 * * *", **given: Any) -> type:
    @recurring(schedule, **given)
    class CleanConsumer(JobConsumer[Clean]):
        options = JobOptions(job_type_name="clean")

        def run(self, context: Any) -> None: ...

    return CleanConsumer


def actions() -> list[tuple[str, str]]:
    return [(each.action, each.name) for each in sync_recurring_jobs()]


def redeclare(**given: Any) -> None:
    """As the next release says it."""
    with consumers.temporary():
        consumers.clear()
    forget()
    declare(**given)


def forget() -> None:
    from jobsaga.consumers import declarations as module

    module._declarations.clear()
    consumers.clear()


def state() -> Any:
    return get_recurring_job_state("clean", "default")


def test_a_sync_adds_it_once(world: Site) -> None:
    declare(time_zone="Europe/Berlin", properties={"a": 1})
    assert actions() == [("add", "default")]
    assert (state().current_state, state().cron, state().time_zone) == (
        "WaitingToStart",
        "0 0 3 * * *",
        "Europe/Berlin",
    )
    assert JobSaga.objects.using(settings.DATABASE).get().message == {"depth": 1}
    assert JobHistory.objects.using(settings.DATABASE).filter(actor="recurring sync").exists()
    assert actions() == []


def test_another_release_updates_it(world: Site) -> None:
    declare()
    sync_recurring_jobs()
    redeclare(schedule=Every(hours=2), message=Clean(depth=9))
    (difference,) = differences()
    assert (difference.action, difference.detail) == ("update", "message, cron")
    assert actions() == [("update", "default")]
    assert (state().cron, JobSaga.objects.using(settings.DATABASE).get().message) == (
        "0 0 */2 * * *",
        {"depth": 9},
    )


def test_what_an_operator_canceled_stays_canceled(world: Site) -> None:
    declare()
    sync_recurring_jobs()
    cancel_recurring_job("clean", "default", "too much load", by="ann")
    redeclare(schedule="0 0 4 * * *")
    (difference,) = sync_recurring_jobs()
    assert (difference.action, difference.detail) == ("keep", "canceled by ann: too much load")
    assert (state().current_state, state().cron) == ("Canceled", "0 0 3 * * *")


def test_what_is_gone_from_the_code_is_canceled_and_comes_back_with_it(world: Site) -> None:
    declare()
    sync_recurring_jobs()
    forget()

    @job_consumer(Clean, job_type_name="clean")
    def clean(context: Any) -> None: ...

    assert actions() == [("cancel", "default")]
    assert (state().current_state, state().reason) == ("Canceled", "its declaration is gone from the code")
    assert actions() == []
    redeclare()
    assert actions() == [("update", "default")]
    assert state().current_state == "WaitingToStart"


def test_a_process_that_does_not_know_the_type_leaves_it_alone(world: Site) -> None:
    declare()
    sync_recurring_jobs()
    forget()
    assert actions() == []
    assert state().current_state == "WaitingToStart"


def test_one_that_was_added_by_a_call_is_not_the_codes_to_cancel(world: Site) -> None:
    from jobsaga import add_or_update_recurring_job

    declare(name="declared")
    add_or_update_recurring_job("called", Clean(), "0 0 5 * * *")
    assert actions() == [("add", "declared")]
    assert get_recurring_job_state("clean", "called").is_recurring


def test_one_whose_end_has_passed_is_refused_and_stops_no_other(world: Site) -> None:
    declare(end=datetime(2020, 1, 1, tzinfo=UTC))

    @recurring("0 0 6 * * *", message=Mail("you"))
    @job_consumer(Mail, job_type_name="mail")
    def send(context: Any) -> None: ...

    assert sorted(actions()) == [("add", "default"), ("refuse", "default")]
    assert JobSaga.objects.using(settings.DATABASE).get().message == {"to": "you"}


def test_migrate_brings_them_in_but_not_into_a_tests_database(
    world: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare()
    call_command("migrate", database=settings.DATABASE, verbosity=1)
    assert not JobSaga.objects.using(settings.DATABASE).exists()
    monkeypatch.delattr(mail, "outbox")
    call_command("migrate", database=settings.DATABASE, verbosity=1)
    assert "Recurring jobs: add clean 'default'" in capsys.readouterr().out
    assert state().is_recurring
    monkeypatch.setattr(mail, "outbox", [], raising=False)


def test_a_worker_warns_of_drift_and_registers_nothing(world: Site, caplog: pytest.LogCaptureFixture) -> None:
    declare()
    with caplog.at_level(logging.WARNING, "jobsaga"):
        warn_of_drift()
    assert "manage.py jobsaga recurring sync would add clean 'default'" in caplog.text
    assert not JobSaga.objects.using(settings.DATABASE).exists()
    sync_recurring_jobs()
    caplog.clear()
    warn_of_drift()
    assert caplog.text == ""


class TestWhatIsWrongWithADeclaration:
    def test_a_schedule_that_means_nothing(self) -> None:
        with pytest.raises(InvalidSchedule):
            recurring("at noon")

    def test_two_of_one_name(self) -> None:
        consumer = declare()
        with pytest.raises(InvalidOptions, match="two @recurring named 'default'"):
            recurring("0 0 4 * * *")(consumer)
        recurring("0 0 4 * * *", name="again")(consumer)
        assert [each.name for each in declarations()] == ["default", "again"]

    def test_a_message_that_needs_arguments(self) -> None:
        @recurring("0 0 6 * * *")
        @job_consumer(Mail, job_type_name="mail")
        def send(context: Any) -> None: ...

        ((_, error),) = declaration_problems()
        assert "needs message=" in str(error)

    def test_a_message_of_another_consumer(self) -> None:
        """It was added by one sync, canceled by the next and resumed by the third, as a job of the other type."""
        job_consumer(Mail, job_type_name="mail")(lambda context: None)
        declare(message=Mail("ada@example.org"))
        ((_, error),) = declaration_problems()
        assert "takes" in str(error)
        assert actions() == [("refuse", "default")]

    def test_a_message_for_a_consumer_without_one(self) -> None:
        @recurring("0 0 6 * * *", message=Clean())
        @job_consumer(job_type_name="tidy")
        def tidy(context: Any) -> None: ...

        ((_, error),) = declaration_problems()
        assert "takes no message" in str(error)

    def test_something_that_is_no_consumer(self) -> None:
        @recurring("0 0 6 * * *")
        def nothing(context: Any) -> None: ...

        ((_, error),) = declaration_problems()
        assert "No job consumer is registered" in str(error)
