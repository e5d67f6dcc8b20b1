"""``manage.py jobsaga`` as a shell meets it: processes with exit codes, and a real worker."""

from __future__ import annotations

import json
import subprocess
import sys
from uuid import UUID

import pytest

from jobsaga.management.cli.dispatch import VERBS
from jobsaga.management.cli.verb import EXIT_CODES
from tests.cli.conftest import Jobsaga
from tests.processes import ROOT, Site

TYPE = "jobsapp.ActInProcess"


def test_a_job_from_submit_to_finalize(site: Site) -> None:
    done = site.manage("jobsaga", "submit", TYPE, '{"what": "give", "args": {}}', "--json")
    job_id = json.loads(done.stdout)["job_id"]
    site.worker("--isolation", "inline")
    site.manage("jobsaga", "watch", job_id[-8:])
    shown = json.loads(site.manage("jobsaga", "show", job_id, "--json").stdout)
    assert shown["current_state"] == "Completed"
    assert len(shown["attempts"]) == 1
    (instance,) = json.loads(site.manage("jobsaga", "instances", "--json").stdout)["instances"]
    assert (instance["state"], instance["pid"]) == ("Running", site.workers[0].pid)
    site.manage("jobsaga", "finalize", job_id)
    assert site.manage("jobsaga", "retry", job_id, check=False).returncode == 1


def test_waiting_for_one_that_fails(site: Site) -> None:
    site.worker("--isolation", "inline")
    message = '{"what": "no such act"}'
    done = site.manage("jobsaga", "submit", TYPE, message, "--wait", "--timeout", "30", check=False)
    job_id, *_, end = done.stdout.splitlines()
    assert UUID(job_id)
    assert end.startswith("Faulted")
    assert done.returncode == 1


def test_exit_codes_and_where_the_words_go(site: Site) -> None:
    for arguments, code, word in (
        (["list", "--json"], 0, ""),
        (["show", "00000000-0000-7000-8000-000000000001"], 1, "There is no job"),
        (["submit", "no.Such"], 1, "No job consumer is registered"),
        (["list", "--state", "nope"], 2, "no state of a job"),
        (["dance"], 2, "invalid choice"),
        ([], 2, "VERB"),
    ):
        done = site.manage("jobsaga", *arguments, check=False)
        assert (done.returncode, bool(done.stdout)) == (code, code == 0), done
        assert word in done.stderr


def test_a_reader_that_has_gone(site: Site) -> None:
    command = f"{sys.executable} -m django jobsaga list --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=site.environment(), capture_output=True, text=True, check=False
    )
    assert "BrokenPipeError" not in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(jobsaga: Jobsaga, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert jobsaga(verb, "--help").code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--json" in text
    assert VERBS[verb].help in text
    assert "With --json: " in text
    assert EXIT_CODES.split(".")[0] in text


@pytest.mark.django_db
def test_the_options_of_django_are_taken_behind_the_verb(jobsaga: Jobsaga) -> None:
    said = jobsaga("list", "--no-color", "--traceback", "-v", "2", "--settings", "tests.settings")
    assert said.code == 0
