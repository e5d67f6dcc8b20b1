"""What holds wherever a job runs: in the caller, in a process of its own, in a thread, in a task."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobsaga.messages import (
    CancelKind,
    JobAttemptCanceled,
    JobAttemptCompleted,
    JobAttemptFaulted,
    JobAttemptStarted,
    WriteJobLog,
)
from tests.worker.driving import Driver, start_job

POLICY = timedelta(seconds=7)

ERRORS = [
    ("ValueError", "ValueError", "broken", POLICY),
    ("KeyError", "KeyError", "'broken'", None),  # left out by the policy
    ("SystemExit", "SystemExit", "3", POLICY),
    ("KeyboardInterrupt", "KeyboardInterrupt", "", POLICY),
    ("GeneratorExit", "GeneratorExit", "", POLICY),
    ("CancelledError", "asyncio.exceptions.CancelledError", "", POLICY),
    ("TimeoutError", "TimeoutError", "", POLICY),
    ("Unprintable", "tests.jobsapp.jobs.acting.Unprintable", "(its text cannot be read: SystemExit)", POLICY),
    ("Unpicklable", "tests.jobsapp.jobs.acting.Unpicklable", "a", POLICY),
    ("NUL", "ValueError", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c", POLICY),
]


def test_a_job_that_returns_is_completed_and_its_start_was_said_first(anywhere: Driver) -> None:
    attempt = anywhere.start("give", value={"answer": [42, None]})
    end = anywhere.end_of(attempt)
    assert isinstance(end, JobAttemptCompleted)
    assert end.result == {"answer": [42, None]}
    assert end.duration >= timedelta(0)
    started, last = anywhere.of(attempt)
    assert isinstance(started, JobAttemptStarted)
    assert (started.job_timeout, started.job_cancellation_timeout) == (None, 0.5)
    assert last is end
    assert attempt not in anywhere.executor.running()


@pytest.mark.parametrize(("error", "name", "text", "delay"), ERRORS, ids=[each[0] for each in ERRORS])
def test_any_exception_is_a_fault_under_the_retry_policy(
    anywhere: Driver, error: str, name: str, text: str, delay: timedelta | None
) -> None:
    attempt = anywhere.start("fail", error=error)
    end = anywhere.end_of(attempt)
    assert isinstance(end, JobAttemptFaulted)
    assert (end.fault.type, end.fault.message) == (name, text)
    assert "acting.py" in end.fault.traceback
    assert "jobsaga/worker" not in end.fault.traceback
    assert (end.retry_delay, end.suspect) == (delay, False)
    assert len(anywhere.ends(attempt)) == 1


def test_a_huge_exception_is_cut(anywhere: Driver) -> None:
    fault = anywhere.run("fail", error="huge").fault
    assert len(fault.message) <= 8_192
    assert len(fault.traceback) <= 16_384
    assert "of 10000000 characters" in fault.message


def test_the_policy_counts_the_retries_it_granted_itself(anywhere: Driver) -> None:
    fields = {"policy_retries": 2, "retry_attempt": 5}
    assert anywhere.run("fail", error="ValueError", fields=fields).retry_delay is None
    fields = {"policy_retries": 1, "retry_attempt": 5}
    assert anywhere.run("fail", error="ValueError", fields=fields).retry_delay == POLICY


def test_a_result_that_cannot_be_stored_is_a_fault_that_names_the_field(anywhere: Driver) -> None:
    end = anywhere.run("give_what_cannot_be_stored")
    assert isinstance(end, JobAttemptFaulted)
    assert end.fault.message == "result.tracks[0].gain is nan; JSON has no such number"
    assert end.retry_delay is None  # the next attempt would come to the same
    assert "takes 300002 bytes" in anywhere.run("give_too_much").fault.message


def test_a_job_may_cancel_itself(anywhere: Driver) -> None:
    end = anywhere.run("fail", error="JobCancellation")
    assert isinstance(end, JobAttemptCanceled)
    assert (end.kind, end.reason) == (CancelKind.CONSUMER, "enough")
    assert anywhere.run("fail", error="silent JobCancellation").reason == "Consumer Initiated"


@pytest.mark.parametrize("kind", [CancelKind.USER, CancelKind.SHUTDOWN])
def test_a_job_that_listens_is_canceled_by_the_kind_of_the_request(
    anywhere: Driver, kind: CancelKind
) -> None:
    attempt = anywhere.start("wait_to_be_told")
    end = anywhere.cancel_once_it_waits(attempt, kind, "I give up")
    assert isinstance(end, JobAttemptCanceled)
    assert (end.kind, end.reason) == (kind, "I give up")
    assert end.duration < timedelta(seconds=10)
    assert len(anywhere.ends(attempt)) == 1


def test_a_job_that_returns_although_it_was_canceled_has_completed(anywhere: Driver) -> None:
    attempt = anywhere.start("finish_all_the_same")
    end = anywhere.cancel_once_it_waits(attempt, CancelKind.USER, "stop")
    assert isinstance(end, JobAttemptCompleted)
    assert end.result == "stop"


def test_an_exception_after_a_cancel_is_reported_as_it_is(anywhere: Driver) -> None:
    attempt = anywhere.start("fail_when_told")
    end = anywhere.cancel_once_it_waits(attempt, CancelKind.USER, "stop")
    assert isinstance(end, JobAttemptFaulted)
    assert end.fault.type == "ConnectionError"


def test_an_exception_at_shutdown_hands_the_job_over(anywhere: Driver) -> None:
    attempt = anywhere.start("fail_when_told")
    end = anywhere.cancel_once_it_waits(attempt, CancelKind.SHUTDOWN, "bye")
    assert isinstance(end, JobAttemptCanceled)
    assert (end.kind, end.reason) == (CancelKind.SHUTDOWN, "ConnectionError: closed on me")


def test_a_timeout_is_a_fault_under_the_retry_policy(anywhere: Driver) -> None:
    attempt = anywhere.start_in_time("wait_to_be_told")
    end = anywhere.end_of(attempt)
    assert isinstance(end, JobAttemptFaulted)
    assert end.fault.type == "JobTimeout"
    assert end.fault.message == "It ran longer than its job_timeout of 0.25 s"
    assert (end.retry_delay, end.suspect) == (POLICY, False)
    assert end.duration >= timedelta(seconds=0.25)
    assert anywhere.started(attempt)[0].job_timeout == 0.25


def test_what_is_canceled_before_it_starts_never_starts(anywhere: Driver) -> None:
    first, second = anywhere.start(), anywhere.start()
    anywhere.executor.cancel(first, CancelKind.USER, "changed my mind")
    anywhere.executor.cancel(second, CancelKind.SHUTDOWN, "bye")
    ends = [anywhere.end_of(first), anywhere.end_of(second)]
    assert [(each.kind, each.reason) for each in ends] == [
        (CancelKind.USER, "changed my mind"),
        (CancelKind.NOT_STARTED, "bye"),
    ]
    assert [len(anywhere.of(each)) for each in (first, second)] == [1, 1]
    assert not {first, second} & anywhere.executor.running()


def test_a_payload_that_cannot_be_read_is_a_fault_without_retry(anywhere: Driver) -> None:
    attempt = anywhere.start("give", fields={"message": {"what": 7}})
    end = anywhere.end_of(attempt)
    assert isinstance(end, JobAttemptFaulted)
    assert end.fault.message == "message.what is not valid: expected `str`, got `int`"
    assert end.retry_delay is None


def test_a_consumer_that_cannot_be_made_is_a_fault(anywhere: Driver) -> None:
    start = start_job("jobsapp.NeverMade")
    anywhere.executor.start(start)
    end = anywhere.end_of(start.attempt_id)
    assert isinstance(end, JobAttemptFaulted)
    assert (end.fault.type, end.fault.message) == ("RuntimeError", "no dependency for you")
    assert end.retry_delay == POLICY
    assert anywhere.started(start.attempt_id)


def test_an_unknown_job_type_is_a_fault_without_retry(anywhere: Driver) -> None:
    start = start_job("jobsapp.Nobody")
    anywhere.executor.start(start)
    end = anywhere.end_of(start.attempt_id)
    assert "No job consumer is registered for 'jobsapp.Nobody'" in end.fault.message
    assert end.retry_delay is None


def test_the_context_tells_the_job_where_it_stands(anywhere: Driver) -> None:
    fields: dict[str, Any] = {
        "run": 3,
        "retry_attempt": 2,
        "properties": {"tenant": "acme"},
        "progress_value": 4.0,
        "progress_limit": 10.0,
        "job_state": {"frame": 5},
    }
    end = anywhere.run("describe", fields=fields)
    told = end.result
    assert told["ids"] == [str(end.job_id), str(end.attempt_id)]
    assert told["counts"] == [2, 3]
    assert told["last"] == [4.0, 10.0]
    assert (told["tenant"], told["tier"]) == ("acme", "gold")
    assert told["instance"] == {"Colour": "red", "zone": "b"}
    assert told["state"] == {"frame": 5}
    assert told["elapsed"] is True


def test_the_last_progress_comes_with_the_last_word(anywhere: Driver) -> None:
    attempt = anywhere.start("progress", upto=5000)
    end = anywhere.end_of(attempt)
    assert (end.progress.value, end.progress.limit, end.progress.message) == (5000, 5000, "step 5000")
    sequences = [each.progress.sequence for each in anywhere.progress(attempt)] + [end.progress.sequence]
    assert sequences == sorted(sequences)
    assert len(sequences) <= 12  # one for each thousand, one each 0.1 s, the last


def test_progress_is_sent_while_the_job_runs(anywhere: Driver) -> None:
    attempt = anywhere.start("progress", upto=40, pause=0.01)
    anywhere.end_of(attempt)
    values = [each.progress.value for each in anywhere.progress(attempt)]
    assert 2 <= len(values) <= 5
    assert values == sorted(set(values))


def test_a_progress_that_is_no_number_is_refused_in_the_job(anywhere: Driver) -> None:
    fault = anywhere.run("wrong_progress").fault
    assert fault.message == "The value of a progress must be a finite number, not nan."


def test_log_lines_come_in_order_with_their_data(anywhere: Driver) -> None:
    attempt = anywhere.start("log", lines=["one", "two\0", "three"])
    end = anywhere.end_of(attempt)
    lines = anywhere.lines(attempt)
    assert [(each.sequence, each.message, each.status, each.data) for each in lines] == [
        (1, "one", "ok", {"length": 3}),
        (2, "two\N{REPLACEMENT CHARACTER}", "ok", {"length": 4}),
        (3, "three", "ok", {"length": 5}),
    ]
    assert anywhere.of(attempt)[-1] is end
    assert isinstance(anywhere.of(attempt)[1], WriteJobLog)


def test_what_is_said_twice_runs_once(anywhere: Driver) -> None:
    start = start_job("jobsapp.ActInThread" if anywhere.kind == "thread" else "jobsapp.ActInProcess")
    anywhere.executor.start(start)
    anywhere.executor.start(start)
    assert anywhere.executor.running() == {start.attempt_id}
    anywhere.end_of(start.attempt_id)
    after = anywhere.run()
    assert anywhere.ends(after.attempt_id)
    assert len(anywhere.ends(start.attempt_id)) == len(anywhere.started(start.attempt_id)) == 1
