"""What docker-compose.yml, the Dockerfile and what it leaves out say, without running anything."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import Any

import pytest
import yaml

from jobsaga.conf import KEYS
from jobsaga.worker.worker import LAST_REPORTS
from tests.deploy.compose import PATH, ROOT, Missing, in_order, load, seconds

NAMES = ("SECRET_KEY", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD")
SECRETS = {name: f"the {name} of this test" for name in NAMES}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
RUNS = ("sagas", "worker")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return load(SECRETS)["services"]  # type: ignore[no-any-return]


def test_the_services(services: dict[str, Any]) -> None:
    assert set(services) == {"database", "broker", "migrate", "site", "sagas", "worker"}
    assert services["worker"]["deploy"]["replicas"] == 2
    assert "--sagas-only" in services["sagas"]["command"]
    assert "--jobs-only" in services["worker"]["command"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_not_set_is_an_error_that_says_what_to_do(name: str) -> None:
    with pytest.raises(Missing, match=f"{name}: Set {name} in .env"):
        load({key: value for key, value in SECRETS.items() if key != name})


def test_no_secret_is_written_down() -> None:
    """Whatever is called a secret comes from outside, and nothing else can be told from the file."""
    text = PATH.read_text()
    for key, value in re.findall(r"^ +(\w*(?:PASS|PASSWORD|SECRET|SECRET_KEY)): (.*)$", text, re.M):
        assert re.fullmatch(r"\$\{\w+:\?.+\}", value), key
    assert re.findall(r"\w+://[^/\s]*:[^/\s]*@", text) == []
    assert SECRETS["SECRET_KEY"] in json.dumps(load(SECRETS))


def test_each_service_that_stays_says_whether_it_is_well(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name == "migrate":
            assert service["restart"] == "no"
            continue
        check = service["healthcheck"]
        assert {"test", "interval", "timeout", "retries", "start_period"} <= set(check), name
        assert service["restart"] == "unless-stopped", name


def test_each_waits_for_what_it_needs_and_the_site_for_no_broker(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other == "migrate" else "service_healthy"
            assert how == {"condition": wanted}, (name, other)
    assert set(services["site"]["depends_on"]) == {"migrate", "database"}
    for name in RUNS:
        assert set(services[name]["depends_on"]) == {"migrate", "database", "broker"}
    assert in_order(services).index("migrate") < min(map(in_order(services).index, ("site", *RUNS)))


def test_a_worker_gets_the_time_that_its_jobs_may_take_to_leave(services: dict[str, Any]) -> None:
    command = services["worker"]["command"]
    grace = float(command[command.index("--grace") + 1])
    needed = grace + KEYS["JOB_CANCELLATION_TIMEOUT"].default + LAST_REPORTS
    assert seconds(services["worker"]["stop_grace_period"]) >= needed


def test_the_volumes_are_named(services: dict[str, Any]) -> None:
    used = {each.split(":")[0] for service in services.values() for each in service["volumes"]}
    assert used == set(load(SECRETS)["volumes"])


def test_probes_look_where_the_command_writes(services: dict[str, Any]) -> None:
    for name in RUNS:
        command, check = services[name]["command"], services[name]["healthcheck"]["test"]
        directory = command[command.index("--health-dir") + 1]
        assert f"find {directory}/ready " in check[1]
        assert directory.startswith(services[name]["tmpfs"][0])


def test_what_runs_our_code_is_locked_up(services: dict[str, Any]) -> None:
    for name in ("migrate", "site", *RUNS):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]


def test_the_image_is_no_ones_root_and_its_first_process_passes_signals_on() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final, re.M)
    assert json.loads(re.findall(r"^ENTRYPOINT (.*)$", final, re.M)[0]) == ["tini", "--"]
    assert json.loads(re.findall(r"^CMD (.*)$", final, re.M)[0])[0] == "uvicorn"
    assert "gcc" not in final
    assert "pip" not in final


def test_the_image_takes_only_what_it_copies_and_no_secrets() -> None:
    """Everything is left out but what is named, and all that the Dockerfile copies is named."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    named = {rule[1:] for rule in rules if rule[0] == "!"}
    assert "**/.env" in rules
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M):
        copied |= {word.removeprefix("./") for word in shlex.split(line)[:-1]}
    assert copied == named
    assert all((ROOT / name).exists() for name in named)


def test_merged_keys_are_those_of_the_file() -> None:
    """YAML's merge takes the first of two: what a service says itself wins."""
    raw = yaml.safe_load(PATH.read_text())
    assert raw["services"]["migrate"]["restart"] == "no"
    assert raw["services"]["worker"]["restart"] == "unless-stopped"


def test_git_never_takes_the_file_with_the_secrets() -> None:
    done = subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=ROOT, check=False)
    assert done.returncode == 0
