"""``from jobsaga import ...`` works anywhere, and loads only what is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jobsaga

PURE = [
    "jobsaga",
    "jobsaga.exceptions",
    "jobsaga.validation",
    "jobsaga.options",
    "jobsaga.properties",
    "jobsaga.clock",
    "jobsaga.ids",
    "jobsaga.messages",
    "jobsaga.sagas",
    "jobsaga.sagas.retry",
]
WITHOUT_APPS = ["jobsaga.payload", "jobsaga.consumers", "jobsaga.conf", "jobsaga.signals"]


def run(code: str) -> None:
    """Run code in a bare interpreter, without any settings."""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": ""})


@pytest.mark.parametrize("module", PURE)
def test_the_rules_load_without_django(module: str) -> None:
    run(f"import sys, {module}; assert not [name for name in sys.modules if name.split('.')[0] == 'django']")


@pytest.mark.parametrize("module", WITHOUT_APPS)
def test_the_low_modules_load_without_settings_and_apps(module: str) -> None:
    run(f"import sys, {module}; assert 'django.apps.registry' not in sys.modules")


def test_what_a_jobs_module_needs_loads_without_settings() -> None:
    names = "JobConsumer, JobOptions, ProgressBuffer, Retry, JobCancellation, AttemptSuperseded, job_consumer"
    run(f"import sys; from jobsaga import {names}; assert 'django.apps.registry' not in sys.modules")


@pytest.mark.parametrize("name", jobsaga.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(jobsaga, name).__name__ == name


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(AttributeError, match="module 'jobsaga' has no attribute 'submit_jbo'"):
        jobsaga.submit_jbo  # noqa: B018
    assert set(jobsaga.__all__) <= set(dir(jobsaga))


def test_type_checkers_are_told_the_same_names() -> None:
    tree = ast.parse(Path(jobsaga.__file__).read_text())
    told = {
        (node.module, alias.asname)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == {(home, name) for home, names in jobsaga._HOMES.items() for name in names}
