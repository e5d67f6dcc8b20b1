"""What every store must do, whatever it keeps its rows in. A test class takes these tests by inheriting them, and
gives a ``place`` (a store in which time stands still, at ``NOW``).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from jobsaga.ids import job_type_id, uuid7
from jobsaga.messages import (
    AttemptStatus,
    JobCancellationTimeoutElapsed,
    JobRetryDelayElapsed,
    JobSlotWaitElapsed,
    JobStatusCheckRequested,
)
from jobsaga.sagas import Attempt, Checkpoint, Job, JobStates, TypeInstance
from jobsaga.sagas.states import AttemptStates, JobTypeStates
from jobsaga.store.base import Changes, Dead, Retention
from tests.engine.places import LEASE, Place
from tests.store.rows import (
    FULL_ATTEMPT,
    FULL_JOB,
    NOW,
    TYPE,
    announcement,
    attempt,
    job,
    line,
    stored_attempt,
    stored_checkpoint,
    stored_job,
    update,
    waiting,
    write,
)

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
LATE = timedelta(seconds=10)


class Oops(Exception):
    """Raised by a test in the middle of a transaction."""


class StoreContract:
    """The rows come back as they were written; a transaction is all or nothing; each question has its answer."""

    # Rows

    @pytest.mark.parametrize("given", [{}, FULL_JOB], ids=["bare", "full"])
    def test_a_job_comes_back_as_it_was_written(self, place: Place, given: dict[str, Any]) -> None:
        new = job(**given)
        write(place, jobs=[new])
        assert stored_job(place.store, new.id) == new

    @pytest.mark.parametrize("given", [{}, FULL_ATTEMPT], ids=["bare", "full"])
    def test_an_attempt_comes_back_as_it_was_written(self, place: Place, given: dict[str, Any]) -> None:
        new = attempt(**given)
        write(place, attempts=[new])
        assert stored_attempt(place.store, new.id) == new

    @pytest.mark.parametrize("state", [None, 0, "", [], {"frame": 1, "nothing": None}, "🎬"])
    def test_a_checkpoint_comes_back_as_it_was_written(self, place: Place, state: Any) -> None:
        new = Checkpoint(job_id=uuid7(), attempt_id=uuid7(), state=state, advanced_by=uuid7())
        write(place, checkpoints=[new])
        assert stored_checkpoint(place.store, new.job_id) == new

    def test_the_full_rows_of_these_tests_leave_nothing_out(self) -> None:
        assert {f.name for f in fields(Job)} - FULL_JOB.keys() == {
            "id", "job_type", "state", "submitted_at", "queued_at",
        }  # fmt: skip
        assert {f.name for f in fields(Attempt)} - FULL_ATTEMPT.keys() == {
            "id", "job_id", "job_type", "state", "created_at",
        }  # fmt: skip

    @pytest.mark.parametrize("name", FULL_JOB)
    def test_each_column_of_a_job_can_change_and_change_back(self, place: Place, name: str) -> None:
        bare = job()
        write(place, jobs=[bare])
        changed = update(place, bare, **{name: FULL_JOB[name]})
        assert stored_job(place.store, bare.id) == changed != bare
        update(place, changed, **{name: getattr(bare, name)})
        assert stored_job(place.store, bare.id) == bare

    def test_rows_that_change_alike_may_differ_in_what_they_become(self, place: Place) -> None:
        """One statement writes them all: None beside numbers, short beside long, dates beside none."""
        before = [job(reason=f"job {n}", progress_value=1.0, faulted_at=NOW) for n in range(4)]
        write(place, jobs=before)
        changes: list[dict[str, Any]] = [
            {"progress_value": None, "reason": "", "faulted_at": None, "result": None, "duration": None},
            {"progress_value": 0.1, "reason": "x", "faulted_at": NOW + DAY, "result": 1, "duration": SECOND},
            {"progress_value": -1e-300, "reason": "🎬" * 70_000, "faulted_at": None, "result": {"a": ["b"]}},
            {"progress_value": 2.0**60, "reason": "0", "faulted_at": NOW, "result": "1", "duration": DAY},
        ]
        after = [was.but(**fields) for was, fields in zip(before, changes, strict=True)]
        write(place, jobs=list(zip(before, after, strict=True)))
        assert [stored_job(place.store, each.id) for each in before] == after

    def test_a_write_of_many_rows(self, place: Place) -> None:
        before = [job(priority=n) for n in range(1200)]
        write(place, jobs=before)
        after = [each.but(state=JobStates.COMPLETED, result={"n": each.priority}) for each in before]
        write(place, jobs=list(zip(before, after, strict=True)))
        with place.store.transaction() as tx:
            assert tx.jobs([each.id for each in before]).rows == {each.id: each for each in after}

    def test_what_changed_in_the_meantime_elsewhere_stays(self, place: Place) -> None:
        """Only the columns that changed are written: a worker's claim is not undone by a report."""
        before = attempt(state=AttemptStates.STARTING)
        write(place, attempts=[before])
        update(place, before, received_at=NOW)
        update(place, before, reason="late")
        assert stored_attempt(place.store, before.id) == before.but(received_at=NOW, reason="late")

    @pytest.mark.parametrize(
        "fields",
        [
            {"message": {"path": "a\0b"}},
            {"reason": "a\0b"},
            {"reason": "half \ud83c"},
            {"message": {"half": "\ud83c"}},
            {"result": float("nan")},
            {"progress_sequence": 2**70},
            {"submitted_by": "x" * 300},
        ],
        ids=["nul-json", "nul-text", "surrogate-text", "surrogate-json", "nan", "huge", "too-long"],
    )
    def test_what_cannot_be_stored_is_poison_or_kept_as_it_is(self, place: Place, fields: Any) -> None:
        new, innocent = job(**fields), job()
        refused: list[Exception] = []
        with place.store.transaction() as tx:
            tx.write(_new_jobs(innocent))
            try:
                with tx.savepoint():
                    tx.write(_new_jobs(new))
            except Exception as error:  # noqa: BLE001 - the store must know every one of them
                refused.append(error)
        assert all(place.store.is_poison(error) for error in refused), refused
        assert not any(place.store.is_transient(error) for error in refused)
        assert stored_job(place.store, innocent.id) == innocent
        stored = stored_job(place.store, new.id)
        assert stored is None if refused else repr(stored) == repr(new)

    # Transactions

    def test_a_transaction_that_raises_leaves_nothing(self, place: Place) -> None:
        new, old = job(), job()
        write(place, jobs=[old])
        with suppress(Oops), place.store.transaction() as tx:
            tx.write(_new_jobs(new))
            tx.write(_changed_jobs(old, old.but(reason="changed")))
            raise Oops
        assert stored_job(place.store, new.id) is None
        assert stored_job(place.store, old.id) == old

    def test_a_savepoint_that_raises_leaves_what_was_before_it(self, place: Place) -> None:
        first, second, third = job(), job(), job()
        with place.store.transaction() as tx:
            tx.write(_new_jobs(first))
            with suppress(Oops), tx.savepoint():
                tx.write(_new_jobs(second))
                raise Oops
            tx.write(_new_jobs(third))
        there = [stored_job(place.store, each.id) for each in (first, second, third)]
        assert there == [first, None, third]

    def test_a_transaction_sees_what_it_wrote(self, place: Place) -> None:
        new = job()
        with place.store.transaction() as tx:
            tx.write(_new_jobs(new))
            assert tx.jobs([new.id]).rows == {new.id: new}
            assert tx.waiting_jobs(TYPE, 10) == [new]

    def test_the_time_is_the_clocks(self, place: Place) -> None:
        with place.store.transaction() as tx:
            assert tx.now() == NOW

    def test_what_is_not_there_is_neither_locked_nor_busy(self, place: Place) -> None:
        unknown = uuid7()
        with place.store.transaction() as tx:
            found = [tx.jobs([unknown]), tx.attempts([unknown]), tx.checkpoints([unknown])]
            found += [tx.jobs([]), tx.job_types(["none"], NOW)]  # type: ignore[list-item]
        assert [(each.rows, each.busy) for each in found] == [({}, frozenset())] * 5

    # Waiting jobs

    def test_jobs_wait_by_priority_then_first_come(self, place: Place) -> None:
        late = job(queued_at=NOW + SECOND)
        first, second = job(), job()
        urgent, last = job(priority=2, queued_at=NOW + DAY), job(priority=-1, queued_at=NOW - DAY)
        write(place, jobs=[last, late, second, urgent, first])
        with place.store.transaction() as tx:
            assert tx.waiting_jobs(TYPE, 10) == [urgent, first, second, late, last]
            assert tx.waiting_jobs(TYPE, 2) == [urgent, first]
            assert tx.waiting_jobs(TYPE, 10, beyond=urgent) == [first, second, late, last]
            assert tx.waiting_jobs(TYPE, 10, {late.id}, beyond=first) == [second, last]
            assert tx.waiting_jobs(TYPE, 10, beyond=late) == [last]
            assert tx.waiting_jobs(TYPE, 10, beyond=last) == []

    def test_jobs_that_were_queued_in_the_same_moment_come_in_the_order_of_their_ids(
        self, place: Place
    ) -> None:
        ids = [UUID(int=n << shift) for shift in (0, 32, 64, 80, 96, 112) for n in (1, 2, 255)]
        jobs = [job(id=each) for each in reversed([*ids, *(uuid7() for _ in range(50))])]
        write(place, jobs=jobs)
        with place.store.transaction() as tx:
            found = [each.id for each in tx.waiting_jobs(TYPE, 100)]
            assert found == sorted(each.id for each in jobs)
            assert [each.id for each in tx.waiting_jobs(TYPE, 7)] == found[:7]

    def test_who_does_not_wait_for_a_slot(self, place: Place) -> None:
        waiting = job()
        others = [job(state=state) for state in JobStates if state is not JobStates.WAITING_FOR_SLOT]
        write(place, jobs=[waiting, *others, job(job_type="other"), job(slot=uuid7())])
        with place.store.transaction() as tx:
            assert tx.waiting_jobs(TYPE, 100) == [waiting]

    # Job types

    def test_a_job_type_is_made_once(self, place: Place) -> None:
        for _ in range(2):
            with place.store.transaction() as tx:
                tx.create_job_types([TYPE, "other"])
        with place.store.transaction() as tx:
            found = tx.job_types([TYPE, "other", "third"], NOW).rows
        assert found.keys() == {TYPE, "other"}
        made = found[TYPE]
        assert (made.id, made.name, made.state) == (job_type_id(TYPE), TYPE, JobTypeStates.INITIAL)
        assert (made.instances, made.active, made.properties) == ({}, 0, {})

    def test_a_job_type_comes_back_as_it_was_written(self, place: Place) -> None:
        before = self._type(place)
        after = before.but(
            state=JobTypeStates.ACTIVE,
            concurrent_job_limit=5,
            global_concurrent_job_limit=9,
            properties={"Tier": "gold"},
        )
        write(place, job_types=[(before, after)])
        assert self._type(place) == after

    def test_slots_are_counted_by_instance_and_in_all(self, place: Place) -> None:
        busy, idle = self._instance(place), self._instance(place)
        gone = uuid7()
        write(
            place,
            attempts=[
                attempt(instance_id=busy),
                attempt(instance_id=busy, state=AttemptStates.SUSPECT, given_up=True),
                attempt(instance_id=gone),
                attempt(instance_id=None),
                attempt(instance_id=busy, holds_slot=False),
                attempt(instance_id=busy, job_type="other"),
            ],
        )
        counted = self._type(place)
        assert counted.active == 4
        assert {key: each.active for key, each in counted.instances.items()} == {busy: 2, idle: 0}

    def test_an_instance_counts_while_it_runs_and_its_lease_lasts(self, place: Place) -> None:
        alive, stopped, lapsed = (self._instance(place) for _ in range(3))
        place.stop(stopped)
        with place.store.transaction() as tx:
            assert tx.job_types([TYPE], NOW).rows[TYPE].instances.keys() == {alive, lapsed}
            assert tx.job_types([TYPE], NOW + LEASE - SECOND).rows[TYPE].instances.keys() == {alive, lapsed}
            assert tx.job_types([TYPE], NOW + LEASE).rows[TYPE].instances == {}

    def test_what_a_type_knows_of_an_instance(self, place: Place) -> None:
        instance = self._instance(place, limit=4, properties={"Zone": "a"})
        known = self._type(place).instances[instance]
        assert known.but(host="") == TypeInstance(
            job_type=TYPE, instance_id=instance, concurrent_job_limit=4, properties={"Zone": "a"}
        )
        after = known.but(used_at=NOW, concurrent_job_limit=2)
        write(place, type_instances=[(known, after)])
        assert self._type(place).instances == {instance: after}
        write(place, removed_type_instances=[after])
        assert self._type(place).instances == {}

    def test_an_instance_may_be_announced_again_after_its_lease_was_over(self, place: Place) -> None:
        """The type does not see it then, so it writes a new row where there is one."""
        instance = self._instance(place)
        write(place, type_instances=[TypeInstance(job_type=TYPE, instance_id=instance)])
        assert self._type(place).instances.keys() == {instance}

    # Deadlines

    def test_who_is_due_and_what_he_is_told(self, place: Place) -> None:
        scheduled = job(state=JobStates.WAITING_TO_START, due_at=NOW)
        retried = job(state=JobStates.WAITING_TO_RETRY, due_at=NOW - SECOND)
        canceled = job(state=JobStates.CANCELLATION_PENDING, due_at=NOW - DAY)
        starting = attempt(due_at=NOW)
        later = [job(state=JobStates.WAITING_TO_RETRY, due_at=NOW + SECOND), job()]
        write(
            place, jobs=[scheduled, retried, canceled, *later],
            attempts=[starting, attempt(due_at=NOW + SECOND), attempt()],
        )  # fmt: skip
        with place.store.transaction() as tx:
            assert tx.due(NOW, 10) == [
                JobCancellationTimeoutElapsed(job_id=canceled.id),
                JobRetryDelayElapsed(job_id=retried.id),
                JobSlotWaitElapsed(job_id=scheduled.id),
                JobStatusCheckRequested(job_id=starting.job_id, attempt_id=starting.id),
            ]

    def test_who_is_due_first_is_told_first_if_there_are_many(self, place: Place) -> None:
        jobs = [job(state=JobStates.WAITING_TO_RETRY, due_at=NOW - n * SECOND) for n in range(5)]
        attempts = [attempt(due_at=NOW - n * SECOND) for n in range(5)]
        write(place, jobs=jobs, attempts=attempts)
        with place.store.transaction() as tx:
            found = tx.due(NOW, 2)
        assert [each.job_id for each in found] == [  # type: ignore[attr-defined]
            jobs[4].id, jobs[3].id, attempts[4].job_id, attempts[3].job_id,
        ]  # fmt: skip

    # Silence

    @pytest.mark.parametrize(
        ("seconds", "state", "expected"),
        [
            (4, AttemptStates.RUNNING, None),
            (10, AttemptStates.RUNNING, AttemptStatus.LATE),
            (10, AttemptStates.STARTING, AttemptStatus.LATE),
            (10, AttemptStates.CHECKING_STATUS, None),
            (10, AttemptStates.SUSPECT, None),
            (4, AttemptStates.CHECKING_STATUS, AttemptStatus.RUNNING),
            (4, AttemptStates.SUSPECT, AttemptStatus.RUNNING),
            (14, AttemptStates.RUNNING, AttemptStatus.LATE),
            (15, AttemptStates.RUNNING, AttemptStatus.LOST),
            (15, AttemptStates.STARTING, AttemptStatus.LOST),
            (15, AttemptStates.SUSPECT, AttemptStatus.LOST),
        ],
    )
    def test_what_is_known_of_an_attempt_by_its_instances_lease(
        self, place: Place, seconds: int, state: AttemptStates, expected: AttemptStatus | None
    ) -> None:
        instance = self._instance(place)
        one = attempt(instance_id=instance, state=state)
        write(place, attempts=[one, attempt(instance_id=instance, state=state, holds_slot=False)])
        found = self._silent(place, NOW + timedelta(seconds=seconds))
        assert found == ({} if expected is None else {one.id: expected})

    def test_an_attempt_whose_instance_never_was_is_lost(self, place: Place) -> None:
        lost = [attempt(instance_id=uuid7()), attempt(instance_id=None)]
        write(place, attempts=lost)
        assert self._silent(place, NOW) == {each.id: AttemptStatus.LOST for each in lost}

    def test_what_a_stopped_instance_said_last_may_still_wait_but_what_it_never_received_is_lost(
        self, place: Place
    ) -> None:
        stopped = self._instance(place)
        unheard = attempt(instance_id=stopped, state=AttemptStates.STARTING)
        received = attempt(instance_id=stopped, state=AttemptStates.STARTING, received_at=NOW)
        running = attempt(instance_id=stopped, state=AttemptStates.RUNNING, received_at=NOW)
        write(place, attempts=[unheard, received, running])
        place.stop(stopped)
        assert self._silent(place, NOW) == {unheard.id: AttemptStatus.LOST}
        later = self._silent(place, NOW + LEASE)
        assert later == dict.fromkeys((unheard.id, received.id, running.id), AttemptStatus.LOST)

    def test_an_attempt_that_was_given_up_is_not_told_that_its_worker_is_back(self, place: Place) -> None:
        instance = self._instance(place)
        write(place, attempts=[attempt(instance_id=instance, state=AttemptStates.SUSPECT, given_up=True)])
        assert self._silent(place, NOW) == {}
        assert list(self._silent(place, NOW + LEASE).values()) == [AttemptStatus.LOST]

    def test_an_instance_is_expired_once(self, place: Place) -> None:
        instance, left = self._instance(place), self._instance(place)
        place.stop(left)
        with place.store.transaction() as tx:
            assert tx.expire_instances(NOW + LEASE - SECOND) == []
            assert tx.expire_instances(NOW + LEASE) == [instance]
            assert tx.expire_instances(NOW + LEASE) == []
        assert not place.renew(instance), "an instance that was given up may not come back"

    # Work

    def test_a_type_has_work_when_a_job_waits_and_a_live_instance_runs_it(self, place: Place) -> None:
        with place.store.transaction() as tx:
            tx.create_job_types([TYPE, "idle", "alone"])
        self._instance(place, TYPE)
        self._instance(place, "idle")
        write(place, jobs=[job(), job(), job(job_type="alone"), job(job_type="idle", slot=uuid7())])
        with place.store.transaction() as tx:
            assert tx.types_with_work(NOW) == [TYPE]
            assert tx.types_with_work(NOW + LEASE) == []

    # Removal

    def test_a_finalized_job_goes_with_its_attempts_and_its_checkpoint(self, place: Place) -> None:
        done, other = job(state=JobStates.COMPLETED), job()
        ended, kept = attempt(job_id=done.id, holds_slot=False), attempt(job_id=other.id, holds_slot=False)
        write(
            place, jobs=[done, other], attempts=[ended, kept],
            checkpoints=[Checkpoint(job_id=done.id), Checkpoint(job_id=other.id)], history=[line(done.id)],
        )  # fmt: skip
        write(place, finalized=[done.id])
        store = place.store
        gone = (
            stored_job(store, done.id),
            stored_attempt(store, ended.id),
            stored_checkpoint(store, done.id),
        )
        assert gone == (None, None, None)
        assert (stored_job(store, other.id), stored_attempt(store, kept.id)) == (other, kept)
        assert stored_checkpoint(store, other.id) is not None
        assert len(place.history(done.id)) == 1, "history outlives its job"

    def test_ended_jobs_are_kept_for_as_long_as_was_asked(self, place: Place) -> None:
        old = job(state=JobStates.COMPLETED, finished_at=NOW - DAY)
        young = job(state=JobStates.COMPLETED, finished_at=NOW - DAY + SECOND)
        running = job(state=JobStates.CANCELED, finished_at=NOW - DAY, slot=uuid7())
        waiting = job(submitted_at=NOW - 9 * DAY)
        ended, kept = attempt(job_id=old.id, holds_slot=False), attempt(job_id=young.id, holds_slot=False)
        write(
            place, jobs=[old, young, running, waiting], attempts=[ended, kept], history=[line(old.id)],
            checkpoints=[Checkpoint(job_id=old.id)],
        )  # fmt: skip
        assert self._prune(place, Retention()) == 0
        assert self._prune(place, Retention(jobs=DAY)) == 1
        there = [stored_job(place.store, each.id) for each in (old, young, running, waiting)]
        assert there == [None, young, running, waiting]
        assert (stored_attempt(place.store, ended.id), stored_attempt(place.store, kept.id)) == (None, kept)
        assert stored_checkpoint(place.store, old.id) is None
        assert len(place.history(old.id)) == 1

    def test_a_recurring_job_stays_until_it_is_finalized(self, place: Place) -> None:
        """If it were gone, the next deploy would begin anew what an operator has canceled."""
        ended = {"recurring_name": "nightly", "finished_at": NOW - 9 * DAY}
        canceled = job(state=JobStates.CANCELED, recurring=False, **ended)
        over = job(state=JobStates.COMPLETED, recurring=True, **ended)
        write(place, jobs=[canceled, over])
        assert self._prune(place, Retention(jobs=DAY)) == 0
        assert stored_job(place.store, canceled.id) == canceled
        assert stored_job(place.store, over.id) == over

    def test_the_attempts_of_a_recurring_jobs_old_runs_go_and_the_job_stays(self, place: Place) -> None:
        recurring, other = job(recurring=True, recurring_name="nightly"), job()
        old, young, held = (
            attempt(job_id=recurring.id, holds_slot=holds, created_at=at)
            for holds, at in ((False, NOW - DAY), (False, NOW - DAY + SECOND), (True, NOW - DAY))
        )
        others = attempt(job_id=other.id, holds_slot=False, created_at=NOW - DAY)
        write(place, jobs=[recurring, other], attempts=[old, young, held, others])
        assert self._prune(place, Retention(jobs=DAY)) == 1
        there = [stored_attempt(place.store, each.id) for each in (old, young, held, others)]
        assert there == [None, young, held, others]
        assert stored_job(place.store, recurring.id) == recurring

    def test_the_next_deadline_is_the_first_that_is_to_come(self, place: Place) -> None:
        with place.store.transaction() as tx:
            assert tx.next_due(NOW) is None
        waits = {"state": JobStates.WAITING_TO_START}
        write(place, jobs=[job(**waits, due_at=NOW + n * SECOND) for n in (0, 2, 1, 3)] + [job()])
        with place.store.transaction() as tx:
            assert tx.next_due(NOW) == NOW + SECOND

    def test_pruning_takes_small_bites(self, place: Place) -> None:
        write(place, jobs=[job(state=JobStates.COMPLETED, finished_at=NOW - DAY) for _ in range(5)])
        assert [self._prune(place, Retention(jobs=SECOND), limit=2) for _ in range(4)] == [2, 2, 1, 0]

    def test_history_and_log_lines_have_retentions_of_their_own(self, place: Place) -> None:
        job_id, attempt_id = uuid7(), uuid7()
        old, young = NOW - 2 * DAY, NOW - SECOND
        write(
            place,
            history=[
                line(job_id, at=old, kind="old"),
                line(job_id, at=old, kind="old line", attempt_id=attempt_id, sequence=1),
                line(job_id, at=young, kind="young"),
                line(job_id, at=young, kind="young line", attempt_id=attempt_id, sequence=2),
            ],
        )
        self._prune(place, Retention(logs=DAY))
        assert [row.kind for row in place.history(job_id)] == ["old", "young", "young line"]
        self._prune(place, Retention(history=DAY))
        assert [row.kind for row in place.history(job_id)] == ["young", "young line"]
        assert self._prune(place, Retention(history=DAY, logs=DAY)) == 0

    def test_log_lines_go_with_the_history_at_the_latest(self, place: Place) -> None:
        job_id, attempt_id = uuid7(), uuid7()
        for n in range(3):
            write(place, history=[line(job_id, at=NOW - DAY, attempt_id=attempt_id, sequence=n)])
        write(place, history=[line(job_id, at=NOW - DAY), line(job_id, at=NOW - SECOND, kind="young")])
        keeps = Retention(history=DAY, logs=9 * DAY)
        assert [self._prune(place, keeps, limit=2) for _ in range(3)] == [2, 2, 0]
        assert [row.kind for row in place.history(job_id)] == ["young"]

    # What is appended

    def test_history_comes_back_as_it_was_written(self, place: Place) -> None:
        job_id = uuid7()
        rows = [
            line(job_id),
            line(
                job_id, attempt_id=uuid7(), job_version=3, from_state=JobStates.STARTED,
                to_state=JobStates.COMPLETED, status="Completed", message="ü🎬", actor="ops", data={"a": None},
            ),
            line(job_id, attempt_id=uuid7(), sequence=0, message="a line", data={"n": 2**62}),
        ]  # fmt: skip
        write(place, history=rows)
        assert sorted(place.history(job_id), key=lambda row: row.message) == [rows[0], rows[2], rows[1]]

    def test_a_log_line_is_kept_once(self, place: Place) -> None:
        job_id, attempt_id = uuid7(), uuid7()

        def said(text: str, attempt: UUID = attempt_id) -> Any:
            return line(job_id, attempt_id=attempt, sequence=1, message=text)

        write(place, history=[said("first"), said("said twice at once")])
        write(place, history=[said("said again"), said("another attempt's", uuid7())])
        assert [row.message for row in place.history(job_id)] == ["first", "another attempt's"]

    def test_lines_without_a_number_are_all_kept(self, place: Place) -> None:
        job_id, attempt_id = uuid7(), uuid7()
        write(place, history=[line(job_id, attempt_id=attempt_id)] * 2)
        assert len(place.history(job_id)) == 2

    def test_a_dead_letter_comes_back_as_it_was_written(self, place: Place) -> None:
        dead = Dead(at=NOW, endpoint="saga", body='{"a": "ü"', reason="broken", traceback="…", job_id=uuid7())
        write(place, dead=[dead])
        assert place.dead() == [dead]

    # The outbox

    def test_events_wait_in_the_order_in_which_they_were_written(self, place: Place) -> None:
        events = [announcement(f"ü {n}") for n in range(7)]
        write(place, events=events[:4])
        write(place, events=events[4:])
        assert waiting(place) == events
        assert waiting(place, limit=3) == events[:3]

    def test_events_wait_until_they_are_removed(self, place: Place) -> None:
        events = [announcement() for _ in range(5)]
        write(place, events=events)
        with place.store.outbox(4) as first:
            keys = list(first.events)
            first.remove([keys[0], keys[2]])
        assert waiting(place) == [events[1], events[3], events[4]]

    def test_events_are_there_exactly_when_what_they_tell_of_is(self, place: Place) -> None:
        with suppress(Oops), place.store.transaction() as tx:
            tx.write(Changes(jobs=[(None, job())], events=[announcement()]))
            raise Oops
        assert waiting(place) == []

    def test_events_stay_when_their_sender_fails(self, place: Place) -> None:
        event = announcement()
        write(place, events=[event])
        with suppress(Oops), place.store.outbox(10) as first:
            assert list(first.events.values()) == [event]
            raise Oops
        assert waiting(place) == [event]

    def test_what_is_written_later_never_takes_the_place_of_an_event_in_hand(self, place: Place) -> None:
        write(place, events=[announcement()])
        with place.store.outbox(10) as first:
            keys = list(first.events)
            first.remove(keys)
        late = announcement()
        write(place, events=[late])
        with place.store.outbox(10) as second:
            second.remove(keys)
        assert waiting(place) == [late]

    def test_of_an_event_that_cannot_be_sent_a_dead_letter_stays(self, place: Place) -> None:
        write(place, events=[announcement(), announcement()])
        dead = Dead(at=NOW, endpoint="events", body="{}", reason="too large")
        with place.store.outbox(1) as first:
            first.remove(list(first.events), [dead])
        assert place.dead() == [dead]
        assert len(waiting(place)) == 1

    def test_no_retention_removes_an_event(self, place: Place) -> None:
        done = job(state=JobStates.COMPLETED, finished_at=NOW - 9 * DAY)
        write(place, jobs=[done], history=[line(done.id, at=NOW - 9 * DAY)])
        write(place, events=[announcement(at=NOW - 9 * DAY)])
        assert self._prune(place, Retention(jobs=SECOND, history=SECOND, logs=SECOND)) == 2
        assert len(waiting(place)) == 1

    # Helpers

    def _type(self, place: Place) -> Any:
        with place.store.transaction() as tx:
            tx.create_job_types([TYPE])
            return tx.job_types([TYPE], NOW).rows[TYPE]

    def _instance(self, place: Place, name: str = TYPE, limit: int = 1, **fields: Any) -> UUID:
        """A live instance that runs a type."""
        instance_id = uuid7()
        place.register(instance_id)
        with place.store.transaction() as tx:
            tx.create_job_types([name])
        new = TypeInstance(job_type=name, instance_id=instance_id, concurrent_job_limit=limit, **fields)
        write(place, type_instances=[new])
        return instance_id

    def _silent(self, place: Place, now: Any) -> dict[UUID, AttemptStatus]:
        with place.store.transaction() as tx:
            found = tx.silent(now, LATE, LEASE, 100)
        return {each.attempt_id: each.status for each in found}  # type: ignore[attr-defined]

    def _prune(self, place: Place, retention: Retention, limit: int = 100) -> int:
        with place.store.transaction() as tx:
            return tx.prune(NOW, limit, retention)


def _new_jobs(*jobs: Job) -> Changes:
    return Changes(jobs=[(None, each) for each in jobs])


def _changed_jobs(before: Job, after: Job) -> Changes:
    return Changes(jobs=[(before, after)])
