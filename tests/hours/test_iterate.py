"""``iterate``: each item takes effect once, whatever ends the loop."""

# ruff: noqa: PT012 - that the exception leaves the loop is the point

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.db import connections, models, transaction

from jobsaga import AttemptSuperseded, JobCancellation, JobContext, get_job_state, submit_job
from jobsaga.exceptions import IterationError
from jobsaga.messages import CancelKind, JobAttemptCompleted, JobAttemptFaulted
from tests.hours.hands import ALIAS, MARKS, Hands, make_marks
from tests.jobsapp.jobs.acting import ActInProcess
from tests.jobsapp.models import Mark

pytestmark = pytest.mark.django_db
ITEMS = MARKS.filter(text__startswith="item")


@pytest.fixture
def job() -> Hands:
    return Hands()


def effects() -> list[str]:
    """What the loops' bodies have done, in order."""
    return list(MARKS.filter(text__startswith="did").order_by("pk").values_list("text", flat=True))


def do(item: Mark | str) -> None:
    MARKS.create(text=f"did {getattr(item, 'text', item)}")


def did(texts: list[str]) -> list[str]:
    return [f"did {text}" for text in texts]


def progress(job: Hands) -> tuple[float, float | None] | None:
    latest = job.running.progress.latest
    return latest and (latest.value, latest.limit)


class Crash(Exception):
    pass


@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])
def test_each_item_comes_once_in_order_and_is_progress(job: Hands, count: int) -> None:
    texts = make_marks(count)
    for item in job.attempt().iterate(ITEMS, chunk=5):
        do(item)
    assert effects() == did(texts)
    assert progress(job) == (count, count)


def test_a_body_that_deletes_some_of_the_items_sees_each_once(job: Hands) -> None:
    """A row that was deleted has no key any more: how far the loop is does not depend on that."""
    texts = make_marks(9)
    for number, item in enumerate(job.attempt().iterate(ITEMS, chunk=3)):
        do(item)
        if number % 3 == 2:
            item.delete(using=ALIAS)
        assert number < 9
    assert effects() == did(texts)
    assert progress(job) == (9, 9)


def test_a_body_that_copies_the_items_sees_each_once(job: Hands) -> None:
    """As Django's documentation does it: the object then has the copy's key, which is the largest."""
    texts = make_marks(7)
    for item in job.attempt().iterate(ITEMS, chunk=3):
        do(item)
        item.pk, item.text, item._state.adding = None, f"copy of {item.text}", True
        item.save(using=ALIAS)
    assert effects() == did(texts)


@pytest.mark.parametrize("kind", ["queryset", "list"])
def test_a_crash_undoes_the_chunk_in_hand_and_the_next_attempt_goes_on_there(job: Hands, kind: str) -> None:
    texts = make_marks(12)
    items: Any = ITEMS if kind == "queryset" else texts
    context = job.attempt()
    with pytest.raises(Crash):
        for number, item in enumerate(context.iterate(items, chunk=5)):
            do(item)
            if number == 7:
                raise Crash
    assert effects() == did(texts[:5])
    assert progress(job) == (5, 12)
    for item in job.attempt().iterate(items, chunk=5):
        do(item)
    assert effects() == did(texts)
    assert progress(job) == (12, 12)


def test_a_finished_iteration_is_not_begun_again(job: Hands) -> None:
    make_marks(7)
    for _ in range(2):
        for item in job.attempt().iterate(ITEMS, chunk=3):
            do(item)
    assert len(effects()) == 7


def test_rows_that_came_behind_the_position_are_done_too(job: Hands) -> None:
    make_marks(2)
    for _ in job.attempt().iterate(ITEMS):
        pass
    MARKS.create(text="item new")
    assert [item.text for item in job.attempt().iterate(ITEMS)] == ["item new"]
    assert progress(job) == (3, 3)


@pytest.mark.parametrize("kind", CancelKind)
def test_when_the_job_has_to_end_the_item_in_hand_is_the_last_one_and_is_kept(
    job: Hands, kind: CancelKind
) -> None:
    texts = make_marks(12)
    context = job.attempt()
    with pytest.raises(JobCancellation):
        for number, item in enumerate(context.iterate(ITEMS, chunk=5)):
            do(item)
            if number == 6:
                job.running.cancel(kind, "enough")
    assert effects() == did(texts[:7])
    for item in job.attempt().iterate(ITEMS, chunk=5):
        do(item)
    assert effects() == did(texts)


def test_a_chunk_ends_when_its_time_is_over(job: Hands) -> None:
    texts = make_marks(6)
    with pytest.raises(Crash):
        for item in job.attempt().iterate(ITEMS, chunk=100, seconds=10):
            do(item)
            job.clock.advance(4)
            if item.text == "item 4":
                raise Crash
    assert effects() == did(texts[:3])


def test_the_jobs_own_state_and_the_position_are_kept_together(job: Hands) -> None:
    make_marks(6)
    context = job.attempt()
    context.save_job_state({"sum": 0})
    with pytest.raises(Crash):
        for number, _ in enumerate(context.iterate(ITEMS, chunk=2), 1):
            context.save_job_state({"sum": number})
            if number == 3:
                raise Crash
    again = job.attempt()
    assert again.try_get_job_state() == {"sum": 2}
    again.save_job_state("between")
    assert [item.text for item in again.iterate(ITEMS, chunk=2)] == ["item 2", "item 3", "item 4", "item 5"]
    assert job.attempt().try_get_job_state() == "between"


def test_who_asks_for_the_job_is_told_its_own_state_alone(job: Hands) -> None:
    job_id = submit_job(ActInProcess("give"), job_id=job.job_id)
    context = job.attempt()
    context.save_job_state({"sum": 1})
    list(context.iterate([1]))
    assert get_job_state(job_id).job_state == {"sum": 1}


def test_a_state_that_was_rolled_back_does_not_come_back(job: Hands) -> None:
    make_marks(2)
    context = job.attempt()
    context.save_job_state("kept")
    with pytest.raises(Crash), transaction.atomic(using=ALIAS):
        context.save_job_state("rolled back")
        raise Crash
    for _ in context.iterate(ITEMS):
        pass
    assert job.attempt().try_get_job_state() == "kept"


def test_iterations_have_numbers_or_names(job: Hands) -> None:
    make_marks(2)

    def both(context: JobContext[Any]) -> list[str]:
        return [str(each) for items in (ITEMS, [1, 2, 3]) for each in context.iterate(items)]

    assert len(both(job.attempt())) == 5
    assert both(job.attempt()) == []
    assert list(job.attempt().iterate([1, 2, 3, 4], name="2")) == [4]


def test_two_iterations_under_one_name_are_refused(job: Hands) -> None:
    make_marks(1)
    list(job.attempt().iterate(ITEMS))
    with pytest.raises(IterationError, match=r"went over jobsapp.Mark, and goes over a sequence now.*name="):
        list(job.attempt().iterate([1]))


def test_stop_ends_the_loop_and_keeps_the_item_in_hand(job: Hands) -> None:
    texts = make_marks(9)

    def work(context: JobContext[Any]) -> None:
        items = context.iterate(ITEMS, chunk=5)
        for item in items:
            do(item)
            if item.text == "item 6":
                items.stop()

    assert isinstance(job.run(work), JobAttemptCompleted)
    assert effects() == did(texts[:7])


def leave_by_break(context: JobContext[Any]) -> None:
    for number, item in enumerate(context.iterate(ITEMS, chunk=5)):
        do(item)
        if number == 6:
            break


def leave_by_exception(context: JobContext[Any]) -> None:
    try:
        for number, item in enumerate(context.iterate(ITEMS, chunk=5)):
            do(item)
            if number == 6:
                raise Crash
    except Crash:
        pass


@pytest.mark.parametrize("work", [leave_by_break, leave_by_exception])
def test_a_loop_left_in_the_middle_is_undone_at_once_and_the_job_does_not_count_as_completed(
    job: Hands, work: Any
) -> None:
    texts = make_marks(9)

    def run(context: JobContext[Any]) -> None:
        work(context)
        assert not connections[ALIAS].savepoint_ids[1:]  # of the test case itself there is one
        assert effects() == did(texts[:5])

    end = job.run(run)
    assert isinstance(end, JobAttemptFaulted)
    assert end.fault.type == "jobsaga.exceptions.IterationError"
    assert "call stop()" in end.fault.message


def test_a_loop_that_was_left_and_taken_up_again_is_done(job: Hands) -> None:
    texts = make_marks(9)

    def work(context: JobContext[Any]) -> None:
        for crash in (True, False):
            try:
                for item in context.iterate(ITEMS, chunk=5, name="all"):
                    do(item)
                    if crash and item.text == "item 6":
                        raise Crash
            except Crash:
                pass

    assert isinstance(job.run(work), JobAttemptCompleted)
    assert effects() == did(texts)


def test_a_superseded_attempt_commits_no_further_chunk(job: Hands) -> None:
    texts = make_marks(9)
    with pytest.raises(AttemptSuperseded):
        for number, item in enumerate(job.attempt().iterate(ITEMS, chunk=3)):
            do(item)
            if number == 3:
                job.supersede()
    assert effects() == did(texts[:3])


class Coin(models.Model):
    id = models.UUIDField(primary_key=True)

    class Meta:
        app_label = "jobsapp"
        managed = False

    def __str__(self) -> str:
        return str(self.id)


def test_keys_of_any_type_can_be_a_position(job: Hands, transactional_db: None) -> None:
    coins = [UUID(int=number) for number in (3, 2**90, 2**127)]
    with connections[ALIAS].schema_editor() as editor:
        editor.create_model(Coin)
    try:
        Coin.objects.using(ALIAS).bulk_create(Coin(id=each) for each in reversed(coins))
        seen: list[UUID] = []
        for _ in range(2):
            items = job.attempt().iterate(Coin.objects.using(ALIAS), chunk=1)
            for item in items:
                seen.append(item.id)
                if len(seen) == 2:
                    items.stop()
        assert seen == sorted(coins)
    finally:
        with connections[ALIAS].schema_editor() as editor:
            editor.delete_model(Coin)


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        (lambda: ITEMS[:5], "it is sliced"),
        (lambda: ITEMS.values("text"), "it gives values, not objects"),
        (lambda: ITEMS.union(ITEMS), "it is a union of several"),
        (lambda: Mark.objects, r"not a Manager. Say .all\(\)"),
        (lambda: iter([1]), "there is track"),
    ],
    ids=["slice", "values", "union", "manager", "iterator"],
)
def test_what_cannot_be_walked_is_refused_at_once(job: Hands, items: Any, problem: str) -> None:
    with pytest.raises(IterationError, match=problem):
        job.attempt().iterate(items())


@pytest.mark.parametrize("arguments", [{"chunk": 0}, {"seconds": 0}, {"chunk": "many"}])
def test_wrong_sizes_are_refused(job: Hands, arguments: Any) -> None:
    with pytest.raises(IterationError, match="must be"):
        job.attempt().iterate([], **arguments)


def test_a_transaction_around_the_loop_is_refused(job: Hands) -> None:
    make_marks(2)
    context = job.attempt()
    with transaction.atomic(using=ALIAS), pytest.raises(IterationError, match="Begin its loop outside"):
        list(context.iterate(ITEMS))
    with pytest.raises(IterationError, match="another iterate"):
        for _ in context.iterate(ITEMS):
            list(context.iterate([1, 2]))


# track


def test_track_is_progress_and_a_place_to_end(job: Hands) -> None:
    context = job.attempt()
    seen = []
    with pytest.raises(JobCancellation):
        for item in context.track("abcd", message="letters"):
            seen.append(item)
            if item == "c":
                job.running.cancel(CancelKind.USER, "enough")
    assert seen == ["a", "b", "c"]
    assert progress(job) == (3, 4)


def test_track_of_what_has_no_length(job: Hands) -> None:
    assert list(job.attempt().track(iter([1, 2]))) == [1, 2]
    assert progress(job) == (2, None)
    assert list(job.attempt().track(iter([1, 2]), limit=10)) == [1, 2]
    assert progress(job) == (2, 10)
