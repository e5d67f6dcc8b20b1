"""What every store must do for types whose jobs have concurrency keys: a part of the contract."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from jobsaga.ids import job_type_id, uuid7
from jobsaga.messages import JobLimitOverrideElapsed
from jobsaga.sagas import Job, JobType, TypeInstance
from jobsaga.store.base import Drained, TypeHistoryRow
from tests.engine.places import Place
from tests.store.rows import NOW, TYPE, attempt, job, write

SECOND = timedelta(seconds=1)


def keyed(per_key: int = 1, **held: int) -> JobType:
    """A type with so many slots for each key, of which these are held."""
    return JobType(id=job_type_id(TYPE), name=TYPE, concurrency_per_key=per_key, keys=held)


class KeyedContract:
    """Who is first in line, of those whose key has room."""

    def test_keys_with_room_overtake_those_without(self, place: Place) -> None:
        full, first = job(concurrency_key="a"), job(concurrency_key="b")
        second, late = job(concurrency_key="b"), job(concurrency_key="c", queued_at=NOW + SECOND)
        write(place, jobs=[full, first, second, late])
        assert self.line(place, keyed(a=1)) == [first, late]
        assert self.line(place, keyed(b=1, c=1)) == [full]
        assert self.line(place, keyed(a=1, b=1, c=1)) == []

    def test_within_a_key_and_over_all_by_priority_then_first_come(self, place: Place) -> None:
        jobs = [job(concurrency_key=key, priority=n % 3) for n, key in enumerate("aabbccddaabb")]
        write(place, jobs=jobs)
        expected = sorted(jobs, key=lambda each: (-each.priority, each.id))
        assert self.line(place, keyed(99)) == expected
        firsts = {each.concurrency_key: each for each in reversed(expected)}.values()
        assert self.line(place, keyed(1)) == sorted(firsts, key=lambda each: (-each.priority, each.id))
        assert self.line(place, keyed(99), limit=5) == expected[:5]

    def test_as_many_of_a_key_as_it_has_room_for(self, place: Place) -> None:
        jobs = [job(concurrency_key=key) for key in "aaaabbbb"]
        write(place, jobs=jobs)
        assert self.line(place, keyed(3, a=1, b=3)) == jobs[:2]
        assert self.line(place, keyed(3)) == jobs[:3] + jobs[4:7]

    def test_a_job_without_a_key_has_no_limit_but_the_types(self, place: Place) -> None:
        jobs = [job(concurrency_key=key) for key in ("", "a", "", "a", "")]
        write(place, jobs=jobs)
        assert self.line(place, keyed()) == [jobs[0], jobs[1], jobs[2], jobs[4]]

    def test_each_letter_of_a_key_counts(self, place: Place) -> None:
        jobs = [job(concurrency_key=key) for key in ("acme", "ACME", "acmé", "acme-2", "b" * 200)]
        write(place, jobs=jobs)
        assert self.line(place, keyed()) == jobs
        assert self.line(place, keyed(acme=1)) == jobs[1:]

    def test_behind_a_long_line_of_keys_without_room(self, place: Place) -> None:
        """So long that the jobs at the head are not looked at one by one."""
        long = [job(concurrency_key=f"full-{n % 3}") for n in range(700)]
        free = [job(concurrency_key=f"free-{n % 4}", priority=-(n % 2)) for n in range(12)]
        keyless = [job() for _ in range(3)]
        write(place, jobs=[*long, *free, *keyless])
        held = keyed(2, **{f"full-{n}": 2 for n in range(3)})
        line = sorted([*free, *keyless], key=lambda each: (-each.priority, each.id))
        taken: dict[str, int] = {}
        expected = []
        for each in line:
            taken[each.concurrency_key] = taken.get(each.concurrency_key, 0) + 1
            if not each.concurrency_key or taken[each.concurrency_key] <= 2:
                expected.append(each)
        assert self.line(place, held) == expected
        for limit in (1, 2, 5):
            assert self.line(place, held, limit) == expected[:limit]

    def test_who_is_not_asked(self, place: Place) -> None:
        jobs = [job(concurrency_key="a") for _ in range(2)]
        write(
            place,
            jobs=[*jobs, job(concurrency_key="b", slot=uuid7()), job(concurrency_key="c", job_type="other")],
        )
        with place.store.transaction() as tx:
            assert tx.waiting_by_key(keyed(), 9, skip={jobs[0].id}) == ([jobs[1]], None)
            assert tx.waiting_jobs(TYPE, 9, skip={jobs[0].id}) == [jobs[1]]

    def test_slots_are_counted_by_key_too(self, place: Place) -> None:
        given_up: dict[str, Any] = {"given_up": True, "concurrency_key": "a"}
        rows = [attempt(concurrency_key="a"), attempt(**given_up), attempt(concurrency_key="A"), attempt()]
        write(place, attempts=[*rows, attempt(concurrency_key="a", holds_slot=False)])
        with place.store.transaction() as tx:
            tx.create_job_types([TYPE])
            counted = tx.job_types([TYPE], NOW).rows[TYPE]
        assert (counted.active, counted.keys) == (4, {"a": 2, "A": 1})

    # What people ask of types and workers

    def test_an_override_that_is_over_is_due(self, place: Place) -> None:
        with place.store.transaction() as tx:
            tx.create_job_types([TYPE, "later", "none"])
            types = tx.job_types([TYPE, "later"], NOW).rows
        changes = {TYPE: NOW, "later": NOW + SECOND}
        write(place, job_types=[(types[name], types[name].but(due_at=at)) for name, at in changes.items()])
        with place.store.transaction() as tx:
            assert tx.due(NOW, 10) == [JobLimitOverrideElapsed(job_type=TYPE)]

    def test_a_drained_instance_is_known_as_such(self, place: Place) -> None:
        instance_id, other = self.instance(place), self.instance(place)
        with place.store.transaction() as tx:
            assert tx.instances_types([instance_id, uuid7()]) == {instance_id: [TYPE]}
            assert tx.set_drained(instance_id, Drained(NOW, "ops", "new disk"))
            assert tx.set_drained(instance_id, Drained(NOW, "another")) is False
            assert tx.set_drained(uuid7(), Drained(NOW)) is False
        assert self.drained(place) == {instance_id: True, other: False}
        with place.store.transaction() as tx:
            assert tx.set_drained(instance_id, None)
            assert tx.set_drained(instance_id, None) is False
        assert self.drained(place) == {instance_id: False, other: False}

    def test_a_type_that_is_paused_or_drained_everywhere_has_no_work(self, place: Place) -> None:
        instance_id = self.instance(place)
        write(place, jobs=[job()])
        assert self.with_work(place) == [TYPE]
        with place.store.transaction() as tx:
            tx.set_drained(instance_id, Drained(NOW))
        assert self.with_work(place) == []
        with place.store.transaction() as tx:
            tx.set_drained(instance_id, None)
            row = tx.job_types([TYPE], NOW).rows[TYPE]
        write(place, job_types=[(row, row.but(paused_at=NOW))])
        assert self.with_work(place) == []

    def test_the_history_of_types_is_kept(self, place: Place) -> None:
        row = TypeHistoryRow(at=NOW, kind="PauseJobType", job_type=TYPE, message="ü", actor="ops")
        about = TypeHistoryRow(at=NOW, kind="DrainInstance", instance_id=UUID(int=7))
        write(place, type_history=[row, about])
        assert place.type_history() == [row, about]

    # Helpers

    def line(self, place: Place, job_type: JobType, limit: int = 50) -> list[Job]:
        with place.store.transaction() as tx:
            found, stopped = tx.waiting_by_key(job_type, limit)
        assert stopped is None
        return found

    def instance(self, place: Place) -> UUID:
        instance_id = uuid7()
        place.register(instance_id)
        with place.store.transaction() as tx:
            tx.create_job_types([TYPE])
        write(place, type_instances=[TypeInstance(job_type=TYPE, instance_id=instance_id)])
        return instance_id

    def drained(self, place: Place) -> dict[UUID, bool]:
        with place.store.transaction() as tx:
            instances = tx.job_types([TYPE], NOW).rows[TYPE].instances
        return {key: each.drained for key, each in instances.items()}

    def with_work(self, place: Place) -> list[str]:
        with place.store.transaction() as tx:
            return list(tx.types_with_work(NOW))
