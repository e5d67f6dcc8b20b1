"""What is said, as bytes: no broker, no database."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsaga.client.state import JobState
from jobsaga.remote import RemoteFault, RemoteTimeout, RemoteUnavailable, contract
from jobsaga.remote.contract import Refused, Request

ID, JOB = UUID(int=7), UUID(int=8)
START = datetime(2030, 1, 1, tzinfo=UTC)
REQUESTS: list[Request] = [
    contract.SubmitJob(
        job_type="a.B", message={"x": [1, None]}, job_id=JOB, properties={"Tier": 1}, priority=-3
    ),
    contract.ScheduleJob(job_type="a.B", start=START, message_version=2, actor="ops"),
    contract.CancelJob(job_id=JOB, reason="enough", run=3, actor="ops"),
    contract.RetryJob(job_id=JOB),
    contract.FinalizeJob(job_id=JOB),
    contract.RunJob(job_id=JOB, run=1),
    contract.GetJobState(job_id=JOB),
]


def envelope(**changes: Any) -> dict[str, Any]:
    said = {"version": 1, "type": "CancelJob", "id": str(ID), "body": {"job_id": str(JOB)}, **changes}
    return {key: value for key, value in said.items() if value is not None}


def refused(data: bytes) -> contract.Fault:
    with pytest.raises(Refused) as caught:
        contract.decode_request(data)
    return caught.value.fault


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: type(each).__name__)
def test_what_is_said_is_understood(request_: Request) -> None:
    data = contract.encode(request_, ID, time=START)
    assert contract.decode_request(data) == (ID, request_)
    said = json.loads(data)
    assert {key: said[key] for key in ("version", "type", "id", "time")} == {
        "version": 1,
        "type": type(request_).__name__,
        "id": str(ID),
        "time": "2030-01-01T00:00:00Z",
    }


def test_every_request_is_here() -> None:
    assert {type(each) for each in REQUESTS} == set(contract.REQUEST_TYPES)


def test_the_time_may_be_left_out() -> None:
    assert contract.decode_request(json.dumps(envelope()).encode())[0] == ID


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"version": 2}, "UnsupportedVersion", "version"),
        ({"version": None}, "MalformedRequest", "version"),
        ({"version": "1"}, "MalformedRequest", "version"),
        ({"type": "CancelJobs"}, "UnknownRequestType", "type"),
        ({"type": None}, "MalformedRequest", "type"),
        ({"type": "JobState"}, "UnknownRequestType", "type"),
        ({"id": "seven"}, "MalformedRequest", "id"),
        ({"id": str(UUID(int=0))}, "MalformedRequest", "id"),
        ({"time": "yesterday"}, "MalformedRequest", "time"),
        ({"body": None}, "InvalidMessage", "job_id"),
        ({"body": []}, "InvalidMessage", ""),
        ({"body": {"job_id": 3}}, "InvalidMessage", "job_id"),
        ({"body": {"job_id": str(JOB), "run": 0}}, "InvalidMessage", "run"),
        ({"body": {"job_id": str(JOB), "runn": 2}}, "InvalidMessage", "runn"),
        ({"type": "SubmitJob", "body": {}}, "InvalidMessage", "job_type"),
        ({"type": "SubmitJob", "body": {"job_type": "a", "message": [1]}}, "InvalidMessage", "message"),
        ({"type": "SubmitJob", "body": {"job_type": "a", "priority": 2**40}}, "InvalidMessage", "priority"),
        ({"type": "ScheduleJob", "body": {"job_type": "a"}}, "InvalidMessage", "start"),
        (
            {"type": "ScheduleJob", "body": {"job_type": "a", "start": "2030-01-01T00:00:00"}},
            "InvalidMessage",
            "start",
        ),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], code: str, field: str) -> None:
    fault = refused(json.dumps(envelope(**changes)).encode())
    assert (fault.code, fault.field) == (code, field)
    assert field in fault.message
    assert code in contract.CODES


def test_a_near_miss_is_told() -> None:
    assert refused(json.dumps(envelope(type="SubmitJobs")).encode()).near[0] == "SubmitJob"
    assert refused(json.dumps(envelope(body={"job_idd": 1})).encode()).near[0] == "job_id"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95",
        pickle.dumps({"version": 1}),
        b"null",
        b"[" * 100_000,
        b'{"body":' * 100_000,
        b'{"version":1,"type":"SubmitJob","id":"%s","body":{"job_type":"a","message":{"a":' % str(ID).encode()
        + b"[" * 100_000,
        "{}".encode("utf-16"),
        b'{"version":1,"type":"\\ud800","id":"\xff"}',
    ],
    ids=range(9),
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    assert refused(data).code in ("MalformedRequest", "InvalidMessage")


@given(st.binary())
def test_random_bytes_are_refused(data: bytes) -> None:
    assert refused(data).code == "MalformedRequest"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.sampled_from([each.__name__ for each in contract.REQUEST_TYPES]), json_values)
def test_any_body_is_read_or_refused(kind: str, body: Any) -> None:
    data = json.dumps(envelope(type=kind, body=body)).encode()
    with suppress(Refused):
        contract.decode_request(data)


def test_an_answer_of_a_later_release_is_understood() -> None:
    data = msgspec.json.encode(
        envelope(type="JobSubmissionAccepted", body={"job_id": str(JOB), "more": 1}, colour="red")
    )
    assert contract.decode_reply(data) == contract.JobSubmissionAccepted(job_id=JOB)


@pytest.mark.parametrize("changes", [{"version": 2}, {"type": "CancelJob"}, {"type": "JobState", "body": {}}])
def test_what_is_no_answer_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        contract.decode_reply(json.dumps(envelope(**changes)).encode())


def test_a_job_has_the_fields_that_it_has_at_home() -> None:
    assert list(contract.JobState.__struct_fields__) == [field.name for field in fields(JobState)]


@pytest.mark.parametrize(
    "error",
    [
        RemoteFault("JobNotFound", "no", "job_id", ["a"], ID, JOB),
        RemoteTimeout("late", ID, JOB, sent=False),
        RemoteUnavailable("away", ID),
    ],
    ids=lambda each: type(each).__name__,
)
def test_errors_survive_a_pickle(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_the_client_needs_no_django() -> None:
    """Neither its settings nor the package."""
    program = (
        "import sys; sys.modules['django'] = None\n"
        "from jobsaga.remote import JobClient\n"
        "import jobsaga.remote.__main__, jobsaga.remote.events\n"
        "print(JobClient('amqp://shop:secret@rabbit/videos?queue_prefix=shop'))\n"
        "print([name for name in sys.modules if name.startswith('django') and sys.modules[name]])"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["<JobClient rabbit:5672/videos shop.v1.requests>", "[]"], done.stderr
