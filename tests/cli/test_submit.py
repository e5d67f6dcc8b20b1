"""``jobsaga submit``."""

from __future__ import annotations

import io
from uuid import UUID, uuid4

import pytest

from jobsaga.client import get_job_state
from jobsaga.conf import settings
from jobsaga.models import JobSaga
from tests.cli.conftest import Jobsaga

pytestmark = pytest.mark.django_db

TYPE = "jobsapp.ActInProcess"
MESSAGE = '{"what": "give", "args": {"a": 1}}'


def stored(text: str) -> JobSaga:
    return JobSaga.objects.using(settings.DATABASE).get(pk=UUID(text.strip()))


def test_prints_the_id_and_nothing_else(jobsaga: Jobsaga) -> None:
    said = jobsaga("submit", TYPE, MESSAGE)
    assert (said.code, said.err) == (0, "")
    assert stored(said.out).message == {"what": "give", "args": {"a": 1}}


def test_properties_and_priority(jobsaga: Jobsaga) -> None:
    said = jobsaga(
        "submit", TYPE, MESSAGE, "--property", "tenant=acme", "--property", "note=a=b", "--priority", "-3"
    )
    job = stored(said.out)
    assert (job.properties, job.priority) == ({"tenant": "acme", "note": "a=b"}, -3)


def test_who_asks_is_the_login_name_unless_it_is_said(
    jobsaga: Jobsaga, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert stored(jobsaga("submit", TYPE, MESSAGE).out).submitted_by == "ada"
    assert stored(jobsaga("submit", TYPE, MESSAGE, "--by", "eve").out).submitted_by == "eve"


def test_nobody_has_to_have_a_name(jobsaga: Jobsaga, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert stored(jobsaga("submit", TYPE, MESSAGE).out).submitted_by == ""


def test_the_same_id_again_changes_nothing(jobsaga: Jobsaga) -> None:
    job_id = str(uuid4())
    first = jobsaga("submit", TYPE, MESSAGE, "--id", job_id)
    second = jobsaga("submit", TYPE, '{"what": "other"}', "--id", job_id)
    assert first.out == second.out == job_id + "\n"
    assert stored(job_id).message == {"what": "give", "args": {"a": 1}}


def test_the_message_from_standard_input(jobsaga: Jobsaga, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"what": "piped"}'))
    assert stored(jobsaga("submit", TYPE, "-").out).message == {"what": "piped", "args": {}}


def test_json_gives_the_job(jobsaga: Jobsaga) -> None:
    answer = jobsaga("submit", TYPE, MESSAGE, "--json").json
    state = get_job_state(UUID(answer["job_id"]))
    assert (answer["current_state"], answer["job_type"]) == ("WaitingForSlot", TYPE)
    assert state.submitted is not None
    assert answer["submitted"] == state.submitted.isoformat()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["jobsapp.ActInProces", "{}"], "Did you mean 'jobsapp.ActInProcess'"),
        ([TYPE, "{}"], "message.what"),
        ([TYPE, '{"what": "give", "whatt": 1}'], "message.whatt is unknown. Did you mean what?"),
        ([TYPE, MESSAGE, "--priority", "99999999999"], "priority must be a whole number of 32 bits"),
    ],
    ids=["unknown type", "missing field", "unknown field", "large priority"],
)
def test_what_is_refused(jobsaga: Jobsaga, arguments: list[str], text: str) -> None:
    said = jobsaga("submit", *arguments)
    assert (said.code, said.out) == (1, "")
    assert text in said.err
    assert not JobSaga.objects.using(settings.DATABASE).exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "TYPE"),
        ([TYPE, "{what: give}"], "The message is no JSON"),
        ([TYPE, "[1]"], "The message must be a JSON object, not [1]"),
        ([TYPE, MESSAGE, "--property", "tenant"], "must be KEY=VALUE, not 'tenant'"),
        ([TYPE, MESSAGE, "--id", "12"], "must be a UUID, not '12'"),
        ([TYPE, MESSAGE, "--priority", "high"], "--priority"),
        ([TYPE, MESSAGE, "--timeout", "3"], "--timeout goes with --wait"),
        ([TYPE, MESSAGE, "--wait", "--timeout", "-3"], "--timeout: must be a number of seconds from 0 on"),
    ],
    ids=["nothing", "no JSON", "no object", "no pair", "no id", "no number", "nothing to time", "past"],
)
def test_what_makes_no_sense(jobsaga: Jobsaga, arguments: list[str], text: str) -> None:
    said = jobsaga("submit", *arguments)
    assert (said.code, said.out) == (2, "")
    assert text in said.err
    assert not JobSaga.objects.using(settings.DATABASE).exists()
