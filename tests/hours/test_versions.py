"""Messages of more than one release: older ones are upgraded, newer ones wait for a worker that can read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest

from jobsaga import JobConsumer, JobOptions, get_job_state, submit_job
from jobsaga.consumers import consumers
from jobsaga.messages import LimitKind, SetConcurrentJobLimit
from jobsaga.models import JobSaga
from jobsaga.payload.versions import upgraded, version_of, version_problem
from jobsaga.testing import InlineWorker, run_until_quiet
from tests.engine.workers import ScriptedWorker
from tests.engine.world import World
from tests.hours.hands import ALIAS

TYPE = "tests.Picture"


@dataclass
class Plain:
    path: str = ""


@dataclass
class Picture:
    version: ClassVar[int] = 3
    path: str
    size: int

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> Any:
        """Version 1 had a width; 2 had a size as text."""
        if version == 1:
            return {"path": data["path"], "size": data["width"]}
        return {**data, "size": int(data["size"])}


@dataclass
class OwnField:
    """Its version is the user's."""

    version: int = 7


class OwnStructField(msgspec.Struct):
    version: int = 7


class Versioned(msgspec.Struct):
    version: ClassVar[int] = 2
    path: str = ""


@dataclass
class Wrong:
    version: ClassVar[Any] = "2.1"


@pytest.mark.parametrize(
    ("message_type", "version"),
    [(Plain, 1), (Picture, 3), (OwnField, 1), (OwnStructField, 1), (Versioned, 2), (None, 1)],
)
def test_the_version_of_a_message_class(message_type: Any, version: int) -> None:
    assert version_of(message_type) == version
    assert version_problem(message_type) is None


def test_a_wrong_version_is_a_problem_of_the_consumer() -> None:
    assert version_problem(Wrong) == "has the version '2.1'; it must be a whole number from 1 on"


def test_a_message_is_upgraded_from_whatever_it_was() -> None:
    assert upgraded(Picture, {"path": "a", "width": 5}, 1) == {"path": "a", "size": 5}
    assert upgraded(Picture, {"path": "a", "size": "5"}, 2) == {"path": "a", "size": 5}
    assert upgraded(Picture, {"path": "a", "size": 5}, 3) == {"path": "a", "size": 5}
    assert upgraded(Versioned, {"path": "a"}, 1) == {"path": "a"}  # without upgrade() it is read as it is


def test_what_upgrade_forgets_to_return_is_told() -> None:
    class Forgetful(Picture):
        @classmethod
        def upgrade(cls, data: dict[str, Any], version: int) -> Any:
            data["size"] = 1

    with pytest.raises(ValueError, match="was upgraded to a NoneType"):
        upgraded(Forgetful, {"path": "a"}, 1)


@pytest.fixture
def pictures() -> Iterator[list[Any]]:
    """A consumer of pictures, and what it got."""
    seen: list[Any] = []
    with consumers.temporary():

        class PictureConsumer(JobConsumer[Picture]):
            options = JobOptions(job_type_name=TYPE)

            def run(self, context: Any) -> object:
                seen.append(context.job)
                return None

        assert PictureConsumer.options
        yield seen


@pytest.mark.django_db
def test_a_job_keeps_its_version_and_an_older_one_is_upgraded_when_it_runs(pictures: list[Any]) -> None:
    job_id = submit_job(Picture("new", 1))
    assert row(job_id).message_version == 3
    old = submit_job(Picture("old", 2))
    JobSaga.objects.using(ALIAS).filter(id=old).update(message={"path": "old", "width": 2}, message_version=1)
    run_until_quiet()
    assert pictures == [Picture("new", 1), Picture("old", 2)]
    assert row(old).message_version == 1


@pytest.mark.django_db
def test_an_upgrade_that_fails_is_a_fault_without_retry(pictures: list[Any]) -> None:
    job_id = submit_job(Picture("old", 2))
    JobSaga.objects.using(ALIAS).filter(id=job_id).update(message={"path": "old"}, message_version=1)
    run_until_quiet()
    state = get_job_state(job_id)
    assert (state.current_state, state.last_retry_attempt) == ("Faulted", 0)
    assert state.reason == "KeyError: 'width'"


@pytest.mark.django_db
def test_a_newer_message_waits_and_says_so_and_its_elders_do_not_wait_with_it(pictures: list[Any]) -> None:
    """The old release is the one here: a site of the next has submitted version 4."""
    newer = [submit_job(Picture(f"newer {number}", number), priority=5) for number in range(30)]
    JobSaga.objects.using(ALIAS).filter(id__in=newer).update(message_version=4)
    submit_job(Picture("known", 1))
    with InlineWorker() as worker:
        worker.run_until_quiet()
        assert pictures == [Picture("known", 1)]
        state = get_job_state(newer[0])
        assert state.current_state == "WaitingForSlot"
        assert state.waiting_for == (
            f"Its message has version 4, and the live workers of {TYPE} read version 3 at most: it waits for one of "
            "the newer release."
        )


def row(job_id: UUID) -> JobSaga:
    return JobSaga.objects.using(ALIAS).get(id=job_id)


def announce(world: World, worker: ScriptedWorker, version: int) -> None:
    said = SetConcurrentJobLimit(
        job_type=TYPE,
        kind=LimitKind.CONFIGURED,
        instance_id=worker.id,
        concurrent_job_limit=100,
        message_version=version,
    )
    world.engine.say([said])
    world.lap()


@pytest.mark.django_db
def test_in_a_rolling_deploy_each_job_goes_to_a_worker_that_can_read_it(
    world: World, pictures: list[Any]
) -> None:
    old = world.worker(limit=100, types=(TYPE,))
    announce(world, old, 3)
    newer, known = submit_job(Picture("newer", 1)), submit_job(Picture("known", 1))
    JobSaga.objects.using(ALIAS).filter(id=newer).update(message_version=4)
    world.lap()
    assert [start.job_id for start in old.receive()] == [known]
    new = world.worker(limit=100, types=(TYPE,))
    announce(world, new, 4)
    assert [start.job_id for start in new.receive()] == [newer]
    assert old.receive() == []
