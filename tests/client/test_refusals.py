"""What cannot be stored, or makes no sense, is refused at once, with the name of the field."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from jobsaga import cancel_job, finalize_job, get_job_state, retry_job, run_job, submit_job
from jobsaga.conf import settings
from jobsaga.exceptions import InvalidMessage, JobNotFound, UnknownJobType
from jobsaga.ids import uuid7
from jobsaga.models import JobSaga
from tests.client.acts import TYPE, act

pytestmark = pytest.mark.django_db
NOTHING = UUID(int=0)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("a\0b", "NUL"),
        ("half \ud83c", "surrogate"),
        (float("nan"), "no such number"),
        (float("inf"), "no such number"),
        (2**64, "64 bits"),
        (object(), "object"),
        ({"a": [object()]}, "object"),
        ("x" * 300_000, "bytes as JSON"),
        (nested(200), "deep"),
    ],
    ids=["nul", "surrogate", "nan", "infinity", "huge", "object", "inner object", "too large", "too deep"],
)
def test_a_value_that_cannot_be_stored(value: Any, problem: str) -> None:
    with pytest.raises(InvalidMessage, match=problem) as raised:
        submit_job(act(value=value))
    assert raised.value.path.startswith("message")
    with pytest.raises(InvalidMessage, match=problem) as raised:
        submit_job(act(), properties={"value": value})
    assert raised.value.path.startswith("properties")
    assert JobSaga.objects.using(settings.DATABASE).count() == 0


@pytest.mark.parametrize("depth", [10, 20, 25, 28])
def test_what_is_accepted_can_be_stored(depth: int) -> None:
    job_id = submit_job(act(value=nested(depth)))
    assert JobSaga.objects.using(settings.DATABASE).get(pk=job_id).message["args"]["value"] == nested(depth)


@pytest.mark.parametrize("depth", range(29, 40))
def test_what_is_too_deep_for_one_database_is_too_deep_for_all(depth: int) -> None:
    """It is refused by us, or stored; no database has an error of its own."""
    try:
        job_id = submit_job(act(value=nested(depth)))
    except InvalidMessage as error:
        assert error.path.startswith("message")  # noqa: PT017 - both ways are right
    else:
        assert get_job_state(job_id).current_state == "WaitingForSlot"


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"job_id": "seventeen"}, "job_id"),
        ({"job_id": 17}, "job_id"),
        ({"job_id": NOTHING}, "job_id"),
        ({"priority": "high"}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"priority": 2**31}, "priority"),
        ({"submitted_by": None}, "submitted_by"),
        ({"submitted_by": "x" * 201}, "submitted_by"),
        ({"submitted_by": "a\0b"}, "submitted_by"),
        ({"properties": {"": 1}}, "properties"),
        ({"properties": {1: 1}}, "properties"),
        ({"properties": ["tenant"]}, "properties"),
        ({"properties": "tenant"}, "properties"),
        ({"fields": {}}, "fields"),
    ],
    ids=str,
)
def test_an_argument_that_makes_no_sense(given: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidMessage) as raised:
        submit_job(act(), **given)
    assert raised.value.path == path
    assert JobSaga.objects.using(settings.DATABASE).count() == 0


@pytest.mark.parametrize("priority", [2**31 - 1, -(2**31) + 1])
def test_the_largest_priorities(priority: int) -> None:
    job_id = submit_job(act(), priority=priority)
    assert JobSaga.objects.using(settings.DATABASE).get(pk=job_id).priority == priority


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "message.what"),
        ({"what": 17}, "message.what"),
        ({"what": "give", "wat": 1}, "message.wat"),
        ({"what": "give", "args": []}, "message.args"),
    ],
    ids=str,
)
def test_fields_that_do_not_fit_the_message(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidMessage) as raised:
        submit_job(TYPE, fields)
    assert raised.value.path == path


def test_an_unknown_type_by_name_with_a_guess() -> None:
    with pytest.raises(UnknownJobType, match=r"Did you mean '.*jobsapp\.ActInProcess'"):
        submit_job("jobsapp.ActInProces", {"what": "give"})


def test_an_object_that_no_consumer_takes() -> None:
    with pytest.raises(UnknownJobType, match=r"for 'builtins\.object'"):
        submit_job(object())


@pytest.mark.parametrize("command", [cancel_job, retry_job, run_job, finalize_job])
class TestCommands:
    def test_of_a_job_that_does_not_exist(self, command: Any) -> None:
        unknown = uuid7()
        with pytest.raises(JobNotFound, match=str(unknown)):
            command(unknown)

    @pytest.mark.parametrize("job_id", ["seventeen", NOTHING, None], ids=str)
    def test_with_no_id(self, command: Any, job_id: Any) -> None:
        with pytest.raises(InvalidMessage) as raised:
            command(job_id)
        assert raised.value.path == "job_id"

    @pytest.mark.parametrize("by", [None, "x" * 201, "a\0b"], ids=repr)
    def test_by_nobody(self, command: Any, by: Any) -> None:
        job_id = submit_job(act())
        with pytest.raises(InvalidMessage) as raised:
            command(job_id, by=by)
        assert raised.value.path == "by"


@pytest.mark.parametrize("reason", [None, "a\0b", "half \ud83c", 17], ids=repr)
def test_a_reason_that_cannot_be_stored(reason: Any) -> None:
    job_id = submit_job(act())
    with pytest.raises(InvalidMessage) as raised:
        cancel_job(job_id, reason)
    assert raised.value.path == "reason"
    assert get_job_state(job_id).current_state == "WaitingForSlot"


def test_the_state_of_nothing() -> None:
    unknown = uuid7()
    state = get_job_state(unknown)
    assert (state.job_id, state.current_state, state.is_finished) == (unknown, "NotFound", False)
    with pytest.raises(InvalidMessage):
        get_job_state("seventeen")  # type: ignore[arg-type]
