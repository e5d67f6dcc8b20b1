"""From end to end: a worker and its saga host in processes of their own, and programs that know only the broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from uuid import UUID, uuid4

import pytest

from jobsaga import get_job_state
from jobsaga.remote import JobClient, RemoteFault, RemoteUnavailable
from tests.brokers import transport_url
from tests.processes import ROOT, Site
from tests.remote.conftest import history, letters

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgresql, pytest.mark.mariadb]
TYPE = "jobsapp.OddJob"


@pytest.fixture
def url(site: Site) -> str:
    """The broker of a site with one worker."""
    site.jobsaga["TRANSPORT"] = transport_url()
    return str(site.jobsaga["TRANSPORT"])


def opens(site: Site, url: str) -> None:
    """Wait until its desk answers."""

    def answers() -> bool:
        try:
            with JobClient(url) as client:
                return client.get_job_state(uuid4(), timeout=5).current_state == "NotFound"
        except (RemoteUnavailable, TimeoutError):
            return False

    site.wait_for(answers, 40, "the desk to open")


def cli(url: str, *args: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m jobsaga.remote`` as a program of its own, which has no Django settings."""
    given = {key: value for key, value in os.environ.items() if not key.startswith(("DJANGO", "JOBSAGA"))}
    return subprocess.run(
        [sys.executable, "-m", "jobsaga.remote", *args],
        cwd=ROOT, env={**given, "JOBSAGA_URL": url, **environment}, input=stdin,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_job_from_outside_runs(site: Site, url: str) -> None:
    """Submitted, run by a real worker, read, refused, canceled; and all of it from a shell."""
    worker = site.worker()
    opens(site, url)
    with JobClient(url, actor="billing") as client:
        job_id = client.submit_job(TYPE, {"does": "quick"})
        site.wait_for(lambda: client.get_job_state(job_id).is_finished, 40, "the job to end")
        assert client.get_job_state(job_id).current_state == "Completed"
        assert get_job_state(job_id).current_state == "Completed"
        assert history(job_id)[0] == ("JobSubmitted", "remote:billing")
        with pytest.raises(RemoteFault, match=r"UnknownJobType.*Did you mean 'jobsapp.OddJob'"):
            client.submit_job("jobsapp.OddJobs")
        assert client.finalize_job(job_id).current_state == "NotFound"
    by_hand(site, url)
    assert site.stop(worker) == 0
    assert "Traceback" not in site.log()
    assert letters() == []


def by_hand(site: Site, url: str) -> None:
    done = cli(url, "submit", TYPE, "-", "--json", "--property", "Tier=1", stdin='{"does": "quick"}')
    assert (done.returncode, done.stderr) == (0, "")
    job_id = UUID(json.loads(done.stdout)["job_id"])
    site.wait_for(lambda: get_job_state(job_id).is_finished, 40, "the job to end")
    assert get_job_state(job_id).properties == {"Tier": 1}
    done = cli(url, "state", str(job_id), "--json")
    assert (done.returncode, json.loads(done.stdout)["current_state"]) == (0, "Completed")
    done = cli(url, "cancel", str(job_id), "--reason", "late")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, f"{job_id} {TYPE} Completed")
    assert "refused: the job has ended already" in done.stdout
    done = cli(url, "schedule", TYPE, "--in", "3600", "--no-wait", "--json")
    assert done.returncode == 0, done.stderr
    later = UUID(json.loads(done.stdout)["job_id"])
    site.wait_for(lambda: get_job_state(later).current_state == "WaitingToStart", 20, "the scheduled job")
    assert cli(url, "run", str(later)).returncode == 0
    done = cli(url, "submit", "jobsapp.OddJobs", "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "UnknownJobType")
    assert done.stderr.startswith("UnknownJobType: ")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["state", str(UUID(int=1)), "--timeout", "0.5"], 3, "could not be reached"),
        (["state", str(UUID(int=1)), "--no-wait"], 2, "is a question"),
        (["submit", "a.B", "not json"], 2, "JSON cannot be read as an object"),
        (["submit", "a.B", "[]"], 2, "JSON cannot be read as an object"),
        (["submit", "", "{}"], 2, "job_type"),
        (["schedule", "a.B", "--at", "2030-01-01T00:00:00"], 2, "has no time zone"),
        (["schedule", "a.B"], 2, "--at --in"),
        (["cancel", "seven"], 2, "invalid UUID value"),
        (["fly"], 2, "invalid choice"),
    ],
)
def test_exit_codes(args: list[str], code: int, said: str) -> None:
    done = cli("amqp://shop@127.0.0.1:1/", *args, JOBSAGA_PASSWORD="canary")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "canary" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_broker_to_ask() -> None:
    done = cli("", "state", str(UUID(int=1)))
    assert (done.returncode, "JOBSAGA_URL" in done.stderr) == (2, True)


def test_a_site_may_refuse_to_be_asked(site: Site, url: str) -> None:
    site.jobsaga["REMOTE_REQUESTS"] = False
    site.worker("--sagas-only")
    site.wait_for(lambda: "is ready" in site.log(), 40, "the saga host")
    job_id = uuid4()
    done = cli(url, "submit", TYPE, "--job-id", str(job_id))
    assert (done.returncode, "REMOTE_REQUESTS" in done.stderr) == (4, True)
    assert get_job_state(job_id).current_state == "NotFound"
