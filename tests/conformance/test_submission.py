"""A, B01, K01, K05 and K30-K32: how a job comes to be, and what happens to one that cannot run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from django.db import transaction
from django.test import override_settings

from jobsaga import JobContext, Retry, get_job_state, job_consumer, signals, submit_job
from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.exceptions import InvalidMessage
from jobsaga.ids import uuid7
from jobsaga.testing import run_until_quiet
from tests.conformance.surfaces import ALIAS, Diary, history, kinds, path, state
from tests.jobsapp.jobs.conformance import DashedJob, OddJob, RenamedJob, RetriedJob, ScopedJob, UnmakeableJob

#: Where signals are looked at that the client sends: they follow a real commit.
COMMITTING = pytest.mark.django_db(transaction=True)

HAPPY = ["WaitingForSlot", "StartingJobAttempt", "Started", "Completed"]
ALL_SIGNALS = ["job_submitted", "job_started", "job_completed"]


def given(**changes: Any) -> dict[str, Any]:
    """The JOBSAGA dict of the tests, with these changes."""
    from django.conf import settings as site

    return {**site.JOBSAGA, **changes}


@COMMITTING
def test_a01_explicit_id(diary: Diary) -> None:
    job_id = uuid7()
    assert submit_job(OddJob(), job_id=job_id) == job_id
    run_until_quiet()
    assert path(job_id) == HAPPY
    assert diary.signals(job_id) == ALL_SIGNALS


@COMMITTING
def test_a02_explicit_id_raw_contract(diary: Diary) -> None:
    """No class of the consumer's is needed: the type's name and the message as JSON."""
    job_id = uuid7()
    given_id = submit_job("jobsapp.OddJob", {"does": "quick", "args": {"value": 3}}, job_id=job_id)
    run_until_quiet()
    assert given_id == job_id
    assert (path(job_id), diary.signals(job_id)) == (HAPPY, ALL_SIGNALS)
    assert get_job_state(job_id).result == 3


@COMMITTING
def test_a03_bare_payload_gets_an_id(diary: Diary) -> None:
    one, two = submit_job(OddJob()), submit_job(OddJob())
    assert len({one, two, UUID(int=0)}) == 3
    run_until_quiet()
    assert diary.signals(one) == diary.signals(two) == ALL_SIGNALS


@COMMITTING
def test_a04_the_answer_comes_from_the_callers_transaction(diary: Diary) -> None:
    """Better: no worker and no saga host has to live to accept a job. The id is there when the call returns, and
    the job exists exactly when the caller's transaction commits.
    """
    with transaction.atomic(using=ALIAS):
        kept = submit_job(OddJob())
        assert state(kept) == "WaitingForSlot"
        assert diary.signals(kept) == []
    with transaction.atomic(using=ALIAS):
        dropped = submit_job(OddJob())
        transaction.set_rollback(True, using=ALIAS)
    assert diary.signals(kept) == ["job_submitted"]
    assert (state(dropped), diary.signals(dropped), history(dropped)) == ("NotFound", [], [])
    run_until_quiet()
    assert path(kept) == HAPPY


@COMMITTING
def test_a05_submit_to_one_job_type(diary: Diary) -> None:
    """The original's address of a queue is the job type's name here, also a name that was chosen for it."""
    job_id = submit_job("odd-job", {"does": "quick"})
    run_until_quiet()
    assert get_job_state(job_id).job_type == "odd-job"
    assert diary.signals(job_id) == ALL_SIGNALS


@COMMITTING
def test_a06_custom_name_and_settings(diary: Diary) -> None:
    custom = given(HEARTBEAT_INTERVAL=10, HEARTBEAT_TIMEOUT=30, CONCURRENT_MESSAGE_LIMIT=100)
    with override_settings(JOBSAGA=custom):
        job_id = submit_job(RenamedJob(), job_id=uuid7())
        run_until_quiet()
        assert settings.HEARTBEAT_INTERVAL.total_seconds() == 10
        assert path(job_id) == HAPPY
    assert diary.signals(job_id) == ALL_SIGNALS


@COMMITTING
def test_a07_names_with_dashes_and_small_batches(diary: Diary) -> None:
    """The sagas have no endpoints of their own to be renamed. What comes nearest: a name with ``-`` and ``_``, and
    sagas that handle few messages at a time.
    """
    with override_settings(JOBSAGA=given(CONCURRENT_MESSAGE_LIMIT=5)):
        jobs = [submit_job(DashedJob()) for _ in range(3)]
        run_until_quiet()
    for job_id in jobs:
        assert get_job_state(job_id).job_type == "da_job-attempt"
        assert (path(job_id), diary.signals(job_id)) == (HAPPY, ALL_SIGNALS)


@pytest.fixture
def broken_receivers(expected_errors: list[str]) -> Iterator[list[str]]:
    """One on every signal, which raises."""
    heard: list[str] = []

    def receiver(signal: signals.JobSignal, **content: Any) -> None:
        heard.append(next(name for name, each in vars(signals).items() if each is signal))
        raise RuntimeError("a broken receiver")

    all_signals = [each for each in vars(signals).values() if isinstance(each, signals.JobSignal)]
    for signal in all_signals:
        signal.connect(receiver)
    expected_errors += ["broken_receivers", "a broken receiver"]
    yield heard
    for signal in all_signals:
        assert signal.disconnect(receiver)


@COMMITTING
def test_a08_a_sites_own_code_at_every_signal_does_not_break_jobs(broken_receivers: list[str]) -> None:
    """Better: there is no middleware between the sagas. A site's own code hears of jobs after the commit, and even
    if all of it raises, the jobs go on.
    """
    done, broken = submit_job(OddJob()), submit_job(OddJob("fail"))
    run_until_quiet()
    assert (path(done), state(broken)) == (HAPPY, "Faulted")
    assert sorted(broken_receivers) == sorted([*ALL_SIGNALS, "job_submitted", "job_started", "job_faulted"])


@pytest.mark.django_db
def test_a09_a_consumer_and_what_it_needs_live_for_one_run(diary: Diary) -> None:
    """A consumer is made for each attempt, and what it holds stays open while ``run`` lasts."""
    job_id = submit_job(ScopedJob("fail", {"times": 1}))
    run_until_quiet()
    assert get_job_state(job_id).result == {"runs": 1, "open": True, "result": "mended"}
    assert [(line["retry_attempt"], line["runs"], line["open"]) for line in diary.begins(job_id)] == [
        (0, 1, True), (1, 1, True),
    ]  # fmt: skip


@pytest.mark.django_db
def test_a11_completed_carries_the_payload(diary: Diary) -> None:
    args = {"value": {"frames": [1, 2.5, None, True, "ä\n\N{GRINNING FACE}"]}}
    job_id = submit_job(OddJob("quick", args))
    run_until_quiet()
    completed = diary.signal(job_id, "job_completed")
    assert completed["message"] == {"does": "quick", "args": args}
    assert completed["result"] == args["value"]


@pytest.mark.django_db
def test_a12_job_properties(diary: Diary) -> None:
    """Better: keys are found whatever their case, and the handler sees them too."""
    job_id = submit_job(OddJob("describe"), properties={"Variable": "Knife"})
    run_until_quiet()
    known = get_job_state(job_id)
    assert known.current_state == "Completed"
    assert known.properties == {"Variable": "Knife"}
    assert known.result["job"] == {"Variable": "Knife"}


@dataclass
class Item:
    name: str
    tags: list[str] = field(default_factory=list)


@dataclass
class AsDataclass:
    items: list[Item]


class AsStruct(msgspec.Struct):
    items: list[Item]


@attrs.define
class AsAttrs:
    items: list[Item]


class AsPydantic(pydantic.BaseModel):
    items: list[Item]


@pytest.mark.django_db
@pytest.mark.parametrize("message_type", [AsDataclass, AsStruct, AsAttrs, AsPydantic])
def test_a14_nested_collections(message_type: Any) -> None:
    """One wire format, JSON, for four kinds of message classes. The handler gets objects, not dicts."""
    seen: list[Any] = []
    with consumers.temporary():

        @job_consumer(message_type, job_type_name="nested")
        def take(context: JobContext[Any]) -> None:
            seen.append(context.job)

        job_id = submit_job(message_type(items=[Item("a", ["x", "y"]), Item("b")]))
        run_until_quiet()
    assert state(job_id) == "Completed"
    (job,) = seen
    assert isinstance(job, message_type)
    assert job.items == [Item("a", ["x", "y"]), Item("b", [])]


@pytest.mark.django_db
def test_b01_unknown_id() -> None:
    unknown = uuid7()
    for _ in range(2):  # asking makes no job
        answer = get_job_state(unknown)
        assert (answer.job_id, answer.current_state, answer.job_type) == (unknown, "NotFound", "")
    assert history(unknown) == []


@pytest.mark.django_db
def test_k01_duplicate_submission(diary: Diary) -> None:
    """Better: the second submit gets the same id instead of a silent warning, before and after the job has run."""
    job_id = submit_job(OddJob("quick", {"value": "first"}), properties={"from": "first"})
    assert submit_job(OddJob("quick", {"value": "second"}), job_id=job_id, priority=9) == job_id
    run_until_quiet()
    assert submit_job(RetriedJob("fail"), job_id=job_id) == job_id
    run_until_quiet()
    known = get_job_state(job_id)
    assert (known.job_type, known.result, known.properties) == ("jobsapp.OddJob", "first", {"from": "first"})
    assert path(job_id) == HAPPY
    assert len(diary.begins(job_id)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("finalize", [False, True])
def test_k05_completed_jobs_go_when_the_site_says_so(diary: Diary, *, finalize: bool) -> None:
    """Off unless it is asked for: the original removes what has completed, and then nobody can see what was. Only
    completed jobs go, and their history stays.
    """
    with override_settings(JOBSAGA=given(FINALIZE_COMPLETED=finalize)):
        done, broken = submit_job(OddJob()), submit_job(OddJob("fail"))
        run_until_quiet()
    assert (state(done), state(broken)) == ("NotFound" if finalize else "Completed", "Faulted")
    assert kinds(done)[-1] == "JobAttemptCompleted"
    assert diary.signals(done)[-1] == "job_completed"


@pytest.mark.django_db
def test_k30_a_handler_that_cannot_be_made() -> None:
    """A fault with the exception and its traceback, as if ``run`` had raised it."""
    seen: list[Any] = []

    def receiver(fault: Any, **content: Any) -> None:
        seen.append(fault)

    signals.job_faulted.connect(receiver, sender="jobsapp.UnmakeableJob")
    job_id = submit_job(UnmakeableJob())
    run_until_quiet()
    known = get_job_state(job_id)
    assert known.current_state == "Faulted"
    assert known.fault is not None
    assert (known.fault["type"], known.fault["message"]) == ("LookupError", "there is no such service")
    assert "__init__" in known.fault["traceback"]
    assert seen == [known.fault]


@dataclass
class Before:
    path: str


@dataclass
class After:
    path: str
    size: int


@pytest.mark.django_db
def test_k31_a_payload_that_cannot_be_read() -> None:
    """A new release has another message class, and the job waited too long: it is a fault that names the field.
    No retry can mend it, so none is made.
    """
    ran: list[UUID] = []
    with consumers.temporary():
        job_consumer(Before, job_type_name="changing")(lambda context: None)
        job_id = submit_job(Before("a.mp4"))
    with consumers.temporary():
        job_consumer(After, job_type_name="changing", retry=Retry.immediate(5))(
            lambda context: ran.append(context.job_id)
        )
        run_until_quiet()
    known = get_job_state(job_id)
    assert (known.current_state, known.last_retry_attempt, ran) == ("Faulted", 0, [])
    assert "size" in known.reason


@pytest.mark.django_db
@pytest.mark.parametrize("empty", [UUID(int=0), str(UUID(int=0)), "", "4711"])
def test_k32_empty_id(empty: Any) -> None:
    with pytest.raises(InvalidMessage, match="job_id"):
        submit_job(OddJob(), job_id=empty)
