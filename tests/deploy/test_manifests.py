"""The unit files and manifests of docs/deploying: their figures fit those of the program, and the query counts rows."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class
from django.db import connections

from jobsaga import submit_job
from jobsaga.conf import KEYS, settings
from jobsaga.models import JobSaga
from jobsaga.sagas import JobStates
from jobsaga.worker.worker import LAST_REPORTS
from tests.deploy.compose import ROOT, load
from tests.deploy.test_compose import SECRETS
from tests.jobsapp.jobs.faults import Deed

FOLDER = ROOT / "docs/deploying"
PAGE = (ROOT / "docs/deploying.md").read_text()
UNITS = sorted(FOLDER.glob("*.service"))
MANIFESTS = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
CANCELLATION = KEYS["JOB_CANCELLATION_TIMEOUT"].default


def containers() -> dict[str, Any]:
    """Each container with its pod, by its name."""
    pods = [each["spec"]["template"]["spec"] for each in MANIFESTS if "template" in each.get("spec", {})]
    return {pod["containers"][0]["name"]: (pod["containers"][0], pod) for pod in pods}


def grace_of(arguments: list[str]) -> float:
    return float(arguments[arguments.index("--grace") + 1])


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_the_page_shows_the_file(path: Path) -> None:
    assert f"{{literalinclude}} deploying/{path.name}" in PAGE


def test_each_runjobworker_has_options_that_exist() -> None:
    parser = load_command_class("jobsaga", "runjobworker").create_parser("manage.py", "runjobworker")
    commands = [re.findall(r"^ExecStart=(.*)$", each.read_text(), re.M)[0].split() for each in UNITS]
    commands += [each["args"] for each, _ in containers().values()]
    commands += [each["command"] for each in load(SECRETS)["services"].values() if "command" in each]
    found = [each[each.index("runjobworker") + 1 :] for each in commands if "runjobworker" in each]
    assert len(found) == 6
    for arguments in found:
        parsed = parser.parse_args(arguments)
        assert parsed.jobs_only != parsed.sagas_only
        assert parsed.health_dir


def test_a_unit_gives_a_worker_the_time_to_hand_over() -> None:
    unit = (FOLDER / "jobsaga-worker@.service").read_text()
    allowed = float(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)[0])
    assert allowed >= grace_of(unit.split()) + CANCELLATION + LAST_REPORTS
    assert "\nKillMode=mixed\n" in unit
    assert "\nOOMPolicy=continue\n" in unit


def test_a_pod_gives_a_worker_the_time_to_hand_over() -> None:
    container, pod = containers()["worker"]
    assert pod["terminationGracePeriodSeconds"] >= grace_of(container["args"]) + CANCELLATION + LAST_REPORTS


def test_pods_are_restarted_for_being_dead_and_not_for_being_unready() -> None:
    for name in ("sagas", "worker"):
        container, _ = containers()[name]
        directory = container["args"][container["args"].index("--health-dir") + 1]
        probes = {
            key: container[f"{key}Probe"]["exec"]["command"][-1]
            for key in ("startup", "liveness", "readiness")
        }
        assert f"{directory}/alive " in probes["liveness"]
        assert f"{directory}/alive " in probes["startup"]
        assert f"{directory}/ready " in probes["readiness"]
        assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]


def test_no_pod_is_root() -> None:
    for container, pod in containers().values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.django_db
def test_the_query_of_the_scaler_counts_what_waits_and_runs() -> None:
    scalers = yaml.safe_load_all((FOLDER / "keda.yaml").read_text())
    triggers = chain.from_iterable(each["spec"].get("triggers", ()) for each in scalers)
    (query,) = (each["metadata"]["query"] for each in triggers)
    rows = JobSaga.objects.using(settings.DATABASE)
    jobs = [submit_job(Deed()) for _ in range(len(JobStates))]
    for job_id, state in zip(jobs, JobStates, strict=True):
        rows.filter(id=job_id).update(state=state)
    wanted = {
        JobStates.WAITING_FOR_SLOT, JobStates.STARTING_JOB_ATTEMPT, JobStates.STARTED, JobStates.CANCELLATION_PENDING,
    }  # fmt: skip
    with connections[settings.DATABASE].cursor() as cursor:
        cursor.execute(query)
        assert cursor.fetchone() == (len(wanted),)
        cursor.execute(query.replace("count(*)", "state"))
        assert {state for (state,) in cursor.fetchall()} == wanted
