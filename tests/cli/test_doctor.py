"""``jobsaga doctor``: each illness is made, and found; a busy site that is well is left in peace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings

from jobsaga.clock import ManualClock
from jobsaga.conf import settings
from jobsaga.management.cli import doctor, symptoms
from jobsaga.management.cli.diagnosis import examine
from jobsaga.management.cli.finding import Finding
from jobsaga.messages import RetryJob
from jobsaga.transport.base import SAGA
from tests import brokers
from tests.cli.conftest import Jobsaga
from tests.engine.places import DatabasePlace
from tests.engine.world import TYPE, World
from tests.store.rows import announcement, write

pytestmark = pytest.mark.django_db

AGO = timedelta(minutes=1)
REGISTERED = "jobsapp.ActInProcess"
PUBLISHING = {"TRANSPORT": "amqp://127.0.0.1:1/", "PUBLISH_EVENTS": True}


@pytest.fixture
def past() -> World:
    """A world of a minute ago, in which time stands still until the test moves it."""
    return World(DatabasePlace(ManualClock(datetime.now(UTC) - AGO)))


def found(pause: Callable[[float], None] = lambda seconds: None) -> dict[str, Finding]:
    """The findings by their codes."""
    return {each.code: each for each in examine(pause)}


def no_pause(seconds: float) -> None:
    raise AssertionError("there is nothing to look at twice")


def rows(model: str) -> Any:
    return DatabasePlace(None).rows(model)


def test_a_site_that_is_well(jobsaga: Jobsaga, world: World) -> None:
    world.worker(types=[REGISTERED])
    assert examine(no_pause) == []
    said = jobsaga("doctor")
    assert (said.code, said.out) == (0, "Healthy: nothing is wrong.\n")
    assert jobsaga("doctor", "--json").json == {"healthy": True, "findings": []}


def test_a_busy_site_that_is_well(world: World) -> None:
    worker = world.worker(types=[REGISTERED], limit=2)
    world.submit_many(5, REGISTERED)
    for start in worker.receive():
        worker.started(start)
    world.lap()
    assert examine(no_pause) == []


def test_no_worker_is_worth_knowing_and_no_error(jobsaga: Jobsaga) -> None:
    said = jobsaga("doctor")
    assert said.code == 0
    assert said.out.splitlines() == [
        "info     No worker is running.",
        "         Start one: manage.py runjobworker",
        "",
        "Healthy: nothing is wrong.",
    ]


def test_what_is_found_as_json(jobsaga: Jobsaga, past: World) -> None:
    past.submit(REGISTERED)
    said = jobsaga("doctor", "--json")
    assert said.code == 1
    assert said.json["healthy"] is False
    error = said.json["findings"][0]
    assert error.keys() == {field.name for field in fields(Finding)}
    assert (error["level"], error["code"], error["subject"], error["count"]) == (
        "error",
        "no-worker",
        REGISTERED,
        1,
    )


def test_what_is_found_as_text(jobsaga: Jobsaga, past: World) -> None:
    past.submit_many(3, REGISTERED)
    said = jobsaga("doctor")
    assert said.code == 1
    error, mend, *_, verdict = said.out.splitlines()
    assert error.startswith(
        f"error    No worker is there for {REGISTERED}, but its queue has 3 jobs. (since "
    )
    assert mend == "         Start one: manage.py runjobworker"
    assert verdict == "Not healthy: 1 error."


class TestTheSite:
    @pytest.mark.parametrize(
        ("changes", "code", "text"),
        [
            ({"HEARTBEAT_TIMEOUT": -1}, "jobsaga.E002", 'JOBSAGA["HEARTBEAT_TIMEOUT"]'),
            ({"HEARTBEAT_TIMEOT": 15}, "jobsaga.E001", "Did you mean HEARTBEAT_TIMEOUT?"),
            ({"HEARTBEAT_TIMEOUT": 6}, "jobsaga.E003", "one late heartbeat would cost"),
            ({"DATABASE": "nowhere"}, "jobsaga.E004", "'nowhere'"),
        ],
        ids=["value", "key", "lease", "alias"],
    )
    def test_wrong_settings(self, changes: dict[str, Any], code: str, text: str) -> None:
        with override_settings(JOBSAGA={**site_settings.JOBSAGA, **changes}):
            finding = found()[code]
        assert finding.level == "error"
        assert text in finding.what

    def test_a_site_without_time_zones(self, jobsaga: Jobsaga) -> None:
        with override_settings(USE_TZ=False):
            assert list(found()) == ["jobsaga.E005"]
            assert "set USE_TZ = True" in jobsaga("list").err

    def test_wrong_settings_stop_the_other_verbs(self, jobsaga: Jobsaga) -> None:
        with override_settings(JOBSAGA={**site_settings.JOBSAGA, "HEARTBEAT_TIMEOUT": -1}):
            said = jobsaga("list")
            assert (said.code, said.out) == (1, "")
            assert 'JOBSAGA["HEARTBEAT_TIMEOUT"]' in said.err
            assert jobsaga("doctor").code == 1

    def test_a_check_that_was_silenced(self) -> None:
        jobsaga = {**site_settings.JOBSAGA, "HEARTBEAT_TIMEOUT": 6}
        with override_settings(JOBSAGA=jobsaga, SILENCED_SYSTEM_CHECKS=["jobsaga.E003"]):
            assert "jobsaga.E003" not in found()

    def test_a_transport_that_reaches_no_other_process(self) -> None:
        with override_settings(JOBSAGA={**site_settings.JOBSAGA, "TRANSPORT": "memory://"}):
            assert found()["memory-transport"].level == "warning"

    def test_a_migration_that_was_not_applied(self) -> None:
        MigrationRecorder(connections[settings.DATABASE]).record_unapplied("jobsaga", "0001_initial")
        finding = found()["migrations"]
        assert finding.level == "error"
        assert "0001_initial" in finding.what
        assert finding.mend == f"Run manage.py migrate --database {settings.DATABASE}"


in_rows = pytest.mark.skipif(
    brokers.IS_CHOSEN, reason="about the rows of the database transport: here the broker has them"
)


class TestSagaHosts:
    def test_a_deadline_that_nobody_looked_at(self, past: World) -> None:
        past.submit(REGISTERED)
        worker = past.worker(types=[REGISTERED])
        (start,) = worker.receive()
        worker.started(start)
        worker.fault(start, retry_delay=5)
        past.lap()
        finding = found()["overdue"]
        assert (finding.level, finding.count) == ("error", 1)
        assert finding.since == past.clock.now() + timedelta(seconds=5)
        past.clock.advance(AGO)
        past.sweep()
        assert "overdue" not in found()

    def test_slots_of_a_worker_that_is_gone(self, past: World) -> None:
        past.submit(REGISTERED)
        worker = past.worker(types=[REGISTERED])
        (start,) = worker.receive()
        worker.started(start)
        past.lap()
        finding = found()["lost-slots"]
        assert (finding.level, finding.count) == ("error", 1)
        assert finding.since == past.clock.now() + timedelta(seconds=15)
        past.clock.advance(AGO)
        past.sweep()
        assert "lost-slots" not in found()

    @pytest.mark.parametrize("seconds", [5, 18])
    def test_what_is_a_moment_late_is_no_finding(self, seconds: int) -> None:
        """A retry that was due 4 s ago; a lease that was over 3 s ago."""
        world = World(DatabasePlace(ManualClock(datetime.now(UTC) - timedelta(seconds=seconds))))
        world.submit_many(2, REGISTERED)
        worker = world.worker(types=[REGISTERED], limit=2)
        first, second = worker.receive()
        worker.started(first)
        worker.started(second)
        worker.fault(first, retry_delay=seconds - 4)
        world.lap()
        assert {each.code for each in examine(no_pause)} <= {"no-instance"}

    def test_jobs_that_wait_while_a_worker_has_room(self, past: World) -> None:
        make_room(past)
        finding = found()["stalled"]
        assert (finding.level, finding.subject) == ("error", REGISTERED)

    def test_a_job_that_starts_between_the_two_looks(self, past: World) -> None:
        make_room(past)
        paused: list[float] = []

        def meanwhile(seconds: float) -> None:
            paused.append(seconds)
            past.lap()

        assert "stalled" not in found(meanwhile)
        assert paused == [symptoms.SECOND_LOOK]

    def test_a_global_limit_leaves_no_room(self, past: World) -> None:
        past.submit_many(2, REGISTERED)
        past.clock.advance(AGO)
        past.worker(types=[REGISTERED], limit=5, global_limit=1).receive()
        assert examine(no_pause) == []

    def test_a_job_that_has_waited_for_a_moment_only(self, world: World) -> None:
        worker = world.worker(types=[REGISTERED])
        world.submit_many(2, REGISTERED)
        worker.receive()
        rows("JobTypeInstance").update(concurrent_job_limit=2)
        assert examine(no_pause) == []

    @in_rows
    def test_messages_that_nobody_takes(self, world: World) -> None:
        world.worker(types=[REGISTERED])
        world.send(RetryJob(job_id=world.submit("audio.Mix")))
        finding = found()["messages"]
        assert (finding.level, finding.subject) == ("error", SAGA)
        assert "messages" not in found(lambda seconds: world.lap() and None)

    @in_rows
    def test_starts_that_a_worker_does_not_take(self, world: World) -> None:
        world.submit(REGISTERED)
        worker = world.worker(types=[REGISTERED])
        finding = found()["messages"]
        assert (finding.level, finding.subject) == ("error", worker.endpoint)
        assert "messages" not in found(lambda seconds: worker.receive() and None)

    @in_rows
    def test_a_message_that_is_put_off_again_and_again(self, world: World) -> None:
        world.worker(types=[REGISTERED])
        world.send(RetryJob(job_id=world.submit("audio.Mix")))
        rows("TransportMessage").update(tries=symptoms.PUT_OFF)
        finding = found(no_pause)["put-off"]
        assert (finding.level, finding.count) == ("warning", symptoms.PUT_OFF)


class TestWorkers:
    def test_a_type_that_nobody_runs(self, past: World) -> None:
        past.submit_many(3, REGISTERED)
        past.clock.advance(AGO)
        past.worker(types=["jobsapp.ActInThread"])
        finding = found()["no-worker"]
        assert (finding.level, finding.subject, finding.count) == ("error", REGISTERED, 3)
        assert finding.since is not None
        assert finding.mend == "Start one: manage.py runjobworker"

    def test_a_type_that_nobody_knows(self, past: World) -> None:
        past.submit("videos.Renamed")
        finding = found()["no-worker"]
        assert "nor is a consumer of that name registered here" in finding.what
        assert 'job_type_name="videos.Renamed"' in finding.mend

    def test_a_type_that_only_others_know(self, past: World) -> None:
        past.submit_many(2, TYPE)
        past.clock.advance(AGO)
        past.worker(types=[TYPE])
        findings = found()
        assert (findings["unregistered"].level, findings["unregistered"].subject) == ("warning", TYPE)
        assert "no-worker" not in findings

    def test_a_worker_that_is_just_being_started_anew(self, world: World) -> None:
        world.submit(REGISTERED)
        assert "no-worker" not in found()

    def test_each_type_has_its_own_finding(self, past: World) -> None:
        for name in ("a.A", "a.B", REGISTERED):
            past.submit_many(2, name)
        subjects = [each.subject for each in examine(no_pause) if each.code == "no-worker"]
        assert subjects == ["a.A", "a.B", REGISTERED]


class TestWhatIsLeftBehind:
    def test_dead_letters(self, world: World) -> None:
        world.worker(types=[REGISTERED])
        rows("TransportMessage").create(endpoint=SAGA, body="{")
        world.lap()
        finding = found(no_pause)["dead-letters"]
        assert (finding.level, finding.count) == ("warning", 1)
        assert finding.since == world.dead()[0].at

    @pytest.mark.parametrize(("settings", "says"), [(PUBLISHING, "RabbitMQ"), ({}, "Nobody sends them")])
    def test_events_that_wait(self, world: World, settings: Any, says: str) -> None:
        world.worker(types=[REGISTERED])
        now = datetime.now(UTC)
        with override_settings(JOBSAGA={**site_settings.JOBSAGA, **settings}):
            write(world.place, events=[announcement(at=now)])
            assert "events" not in found(no_pause), "it has only just been written"
            rows("EventOutbox").all().delete()
            write(world.place, events=[announcement(at=now - AGO), announcement(at=now)])
            finding = found(no_pause)["events"]
        assert (finding.level, finding.count, finding.since) == ("warning", 2, now - AGO)
        assert says in finding.mend

    def test_a_history_that_is_large_and_kept_for_ever(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.worker(types=[REGISTERED])
        world.submit_many(11, "audio.Mix")
        monkeypatch.setattr(symptoms, "LARGE_HISTORY", 10)
        finding = found(no_pause)["history"]
        assert (finding.level, finding.count) == ("warning", 11)
        with override_settings(JOBSAGA={**site_settings.JOBSAGA, "HISTORY_RETENTION": timedelta(days=90)}):
            assert "history" not in found(no_pause)


def test_the_worst_comes_first(past: World) -> None:
    past.submit("videos.Renamed")
    rows("TransportMessage").create(endpoint=SAGA, body="{")
    past.lap()
    assert [each.level for each in examine(no_pause)] == ["error", "warning", "info"]


def test_warnings_are_counted_and_no_failure(jobsaga: Jobsaga, world: World) -> None:
    world.worker(types=[REGISTERED])
    rows("TransportMessage").create(endpoint=SAGA, body="{")
    world.lap()
    said = jobsaga("doctor")
    assert (said.code, said.out.splitlines()[-1]) == (0, "Healthy, with 1 warning.")


def test_the_second_look_comes_after_a_real_pause(
    jobsaga: Jobsaga, past: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_room(past)
    paused: list[float] = []
    monkeypatch.setattr(doctor.time, "sleep", paused.append)
    assert jobsaga("doctor").code == 1
    assert paused == [symptoms.SECOND_LOOK]


def make_room(world: World) -> None:
    """A job that has waited for a minute, and a live worker that got room behind the engine's back."""
    world.submit_many(2, REGISTERED)
    world.clock.advance(AGO)
    worker = world.worker(types=[REGISTERED])
    worker.receive()
    rows("JobTypeInstance").update(concurrent_job_limit=2)
