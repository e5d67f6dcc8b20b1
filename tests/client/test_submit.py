"""A job exists exactly when the caller's transaction commits, once for each id."""

from __future__ import annotations

from contextlib import suppress
from threading import Barrier, Event
from uuid import UUID

import pytest
from django.db import DatabaseError, connections, transaction

from jobsaga import cancel_job, finalize_job, get_job_state, job_consumer, submit_job, submit_jobs
from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.exceptions import InvalidMessage, UnknownJobType
from jobsaga.ids import uuid7
from jobsaga.models import JobHistory, JobSaga
from tests.client.acts import TYPE, act
from tests.client.conftest import Site
from tests.jobsapp.jobs.acting import ActInThread
from tests.jobsapp.models import Mark
from tests.threads import in_thread

COMMITTING = pytest.mark.django_db(transaction=True)
JOB_ID = UUID("01a1fd2f-ddab-72b0-b054-4613eaec4dee")


class Oops(Exception):
    """Raised by a test in the middle of a transaction."""


def jobs() -> int:
    return JobSaga.objects.using(settings.DATABASE).count()


def atomic() -> transaction.Atomic:
    return transaction.atomic(using=settings.DATABASE)


@COMMITTING
class TestInTheCallersTransaction:
    def test_a_commit_makes_the_job(self) -> None:
        with atomic():
            job_id = submit_job(act())
        assert get_job_state(job_id).current_state == "WaitingForSlot"

    def test_a_rollback_makes_none(self) -> None:
        with suppress(Oops), atomic():
            job_id = submit_job(act())
            assert get_job_state(job_id).current_state == "WaitingForSlot", "its own transaction sees it"
            raise Oops
        assert get_job_state(job_id).current_state == "NotFound"
        assert JobHistory.objects.using(settings.DATABASE).count() == 0

    def test_a_savepoint_that_is_rolled_back_makes_none(self) -> None:
        with atomic():
            kept = submit_job(act())
            with suppress(Oops), atomic():
                dropped = submit_job(act())
                raise Oops
            also_kept = submit_job(act())
        states = [get_job_state(each).current_state for each in (kept, dropped, also_kept)]
        assert states == ["WaitingForSlot", "NotFound", "WaitingForSlot"]

    def test_outside_of_one_at_once(self) -> None:
        assert get_job_state(submit_job(act())).current_state == "WaitingForSlot"

    def test_nobody_sees_it_before_the_commit(self) -> None:
        if connections[settings.DATABASE].vendor == "sqlite":
            return  # it has one writer: the sagas would wait for the commit
        seen: list[str] = []
        with atomic():
            job_id = submit_job(act())
            in_thread(lambda: seen.append(get_job_state(job_id).current_state)).join(10)
        assert seen == ["NotFound"]

    @pytest.mark.postgresql
    @pytest.mark.mariadb
    def test_promise_9_a_job_in_a_transaction_that_commits_is_never_lost_and_in_one_that_rolls_back_never_seen(
        self, world: Site
    ) -> None:
        """A saga host laps at full speed while clients commit, roll back and take their time."""
        kept: list[UUID] = []
        dropped: list[UUID] = []
        done = Event()

        def client(number: int) -> None:
            for n in range(10):
                with suppress(Oops), atomic():
                    job_id = submit_job(act(), properties={"client": number})
                    (dropped if n % 3 == 0 else kept).append(job_id)
                    done.wait(0.01)
                    if n % 3 == 0:
                        raise Oops

        worker = world.worker(limit=1000)
        threads = [in_thread(lambda number=number: client(number)) for number in range(3)]
        while any(thread.is_alive() for thread in threads):
            world.lap()
        world.lap()
        started = [start.job_id for start in worker.receive()]
        assert sorted(started) == sorted(kept)
        assert {get_job_state(each).current_state for each in dropped} == {"NotFound"}
        assert world.dead() == []

    def test_with_the_sites_own_rows(self) -> None:
        """Either both or none, if they are in the same database."""
        alias = settings.DATABASE
        if alias != "default":
            return
        for fails in (True, False):
            with suppress(Oops), atomic():
                job_id = submit_job(act())
                Mark.objects.create(job_id=job_id, text="mine")
                if fails:
                    raise Oops
            assert Mark.objects.filter(job_id=job_id).count() == jobs() == (0 if fails else 1)

    def test_a_refused_message_leaves_the_callers_transaction_usable(self) -> None:
        with atomic():
            with pytest.raises(InvalidMessage):
                submit_job(act(value="a\0b"))
            job_id = submit_job(act())
        assert get_job_state(job_id).current_state == "WaitingForSlot"


@COMMITTING
class TestTheSameIdTwice:
    def test_it_is_the_same_job_and_nothing_changes(self) -> None:
        first = submit_job(act("give", n=1), job_id=JOB_ID, priority=3)
        before = get_job_state(JOB_ID)
        second = submit_job(act("give", n=2), job_id=JOB_ID, priority=9, properties={"other": True})
        assert first == second == JOB_ID
        assert get_job_state(JOB_ID) == before
        assert (jobs(), JobHistory.objects.using(settings.DATABASE).count()) == (1, 1)

    def test_in_a_transaction_it_breaks_nothing(self) -> None:
        submit_job(act(), job_id=JOB_ID)
        with atomic():
            before = submit_job(act())
            assert submit_job(act(), job_id=JOB_ID) == JOB_ID
            after = submit_job(act())
        assert {get_job_state(each).current_state for each in (before, after)} == {"WaitingForSlot"}

    def test_from_two_threads_at_once(self) -> None:
        ready, made, errors = Barrier(4, timeout=20), [], []

        def submit() -> None:
            ready.wait()
            try:
                made.append(submit_job(act(), job_id=JOB_ID))
            except DatabaseError as error:
                errors.append(error)

        threads = [in_thread(submit) for _ in range(4)]
        for thread in threads:
            thread.join(30)
        assert (made, errors) == ([JOB_ID] * 4, [])
        assert (jobs(), JobHistory.objects.using(settings.DATABASE).count()) == (1, 1)

    @pytest.mark.postgresql
    @pytest.mark.mariadb
    @pytest.mark.parametrize("commits", [True, False])
    def test_the_second_waits_for_the_first_to_commit_or_not(self, commits: bool) -> None:
        made: list[UUID] = []

        def submit() -> None:
            made.append(submit_job(act(), job_id=JOB_ID, submitted_by="second"))

        with suppress(Oops), atomic():
            submit_job(act(), job_id=JOB_ID, submitted_by="first")
            second = in_thread(submit)
            second.join(0.3)
            assert second.is_alive()
            if not commits:
                raise Oops
        second.join(20)
        assert made == [JOB_ID]
        row = JobSaga.objects.using(settings.DATABASE).get()
        assert row.submitted_by == ("first" if commits else "second")

    def test_a_finalized_jobs_id_is_free_again(self) -> None:
        submit_job(act(), job_id=JOB_ID)
        cancel_job(JOB_ID)
        finalize_job(JOB_ID)
        submit_job(act(), job_id=JOB_ID)
        assert get_job_state(JOB_ID).current_state == "WaitingForSlot"


@pytest.mark.django_db
class TestManyAtOnce:
    def test_their_ids_come_in_order(self) -> None:
        ids = submit_jobs(act("give", n=n) for n in range(20))
        rows = JobSaga.objects.using(settings.DATABASE).in_bulk(ids)
        assert [rows[each].message["args"]["n"] for each in ids] == list(range(20))
        assert ids == sorted(ids)

    def test_all_or_none(self) -> None:
        with pytest.raises(InvalidMessage):
            submit_jobs([act(), act(value="a\0b"), act()])
        with pytest.raises(UnknownJobType):
            submit_jobs([act(), object()])
        assert jobs() == 0

    def test_none_at_all(self) -> None:
        assert submit_jobs([]) == []

    def test_of_several_types_with_the_same_properties(self) -> None:
        ids = submit_jobs([act(), ActInThread("give")], properties={"A": 1}, priority=2, submitted_by="ops")
        rows = [JobSaga.objects.using(settings.DATABASE).get(pk=each) for each in ids]
        assert [row.job_type for row in rows] == [TYPE, "jobsapp.ActInThread"]
        assert {(row.properties["A"], row.priority, row.submitted_by) for row in rows} == {(1, 2, "ops")}

    def test_they_are_served_in_their_order(self, world: Site) -> None:
        ids = submit_jobs([act()] * 30)
        worker = world.worker(limit=30)
        assert [start.job_id for start in worker.receive()] == ids


@pytest.mark.django_db
class TestWhatIsSubmitted:
    def test_an_object(self) -> None:
        job_id = submit_job(act("give", n=1), properties={"Tenant": "ä"}, priority=-5, submitted_by="Zoë")
        row = JobSaga.objects.using(settings.DATABASE).get(pk=job_id)
        assert (row.job_type, row.message) == (TYPE, {"what": "give", "args": {"n": 1}})
        assert (row.properties, row.priority, row.submitted_by) == ({"Tenant": "ä"}, -5, "Zoë")

    def test_by_name_with_fields(self) -> None:
        job_id = submit_job(TYPE, {"what": "give"})
        row = JobSaga.objects.using(settings.DATABASE).get(pk=job_id)
        assert (row.job_type, row.message) == (TYPE, {"what": "give", "args": {}})

    def test_a_job_without_a_message(self) -> None:
        with consumers.temporary():

            @job_consumer(job_type_name="tidy-up")
            def tidy_up(context: object) -> None: ...

            for job_id in (submit_job(tidy_up), submit_job("tidy-up"), submit_job("tidy-up", {})):
                row = JobSaga.objects.using(settings.DATABASE).get(pk=job_id)
                assert (row.job_type, row.message) == ("tidy-up", {})

    def test_the_history_says_who(self) -> None:
        job_id = submit_job(act(), submitted_by="ops")
        line = JobHistory.objects.using(settings.DATABASE).get(job_id=job_id)
        assert (line.kind, line.actor) == ("JobSubmitted", "ops")

    def test_an_id_as_text(self) -> None:
        assert submit_job(act(), job_id=str(JOB_ID)) == JOB_ID  # type: ignore[arg-type]

    def test_an_id_of_ones_own(self) -> None:
        mine = uuid7()
        assert submit_job(act(), job_id=mine) == mine
