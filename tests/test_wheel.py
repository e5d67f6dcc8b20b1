"""What pip installs: one top-level package with everything it needs, importable without a Django project."""

from __future__ import annotations

import os
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", BUILD, str(directory)], cwd=ROOT, check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    return set(ZipFile(wheel).namelist())


def test_the_only_top_level_package_is_jobsaga(contents: set[str]) -> None:
    tops = {name.partition("/")[0] for name in contents}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"jobsaga"}


def test_the_wheel_has_migrations_and_types(contents: set[str]) -> None:
    assert {"jobsaga/__init__.py", "jobsaga/py.typed", "jobsaga/migrations/0001_initial.py"} <= contents


def test_the_wheel_has_every_file_of_the_package(contents: set[str]) -> None:
    """Templates and static files too, whichever there are."""
    files = (
        path for path in (ROOT / "jobsaga").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    assert {path.relative_to(ROOT).as_posix() for path in files} - contents == set()


def test_the_wheel_tells_what_it_is(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    assert "make demo" in str(metadata.get_payload()), (
        "README.md is the description that package indexes show"
    )
    assert metadata["License-Expression"] == "MIT"


def test_the_installed_wheel_imports_without_settings(wheel: Path) -> None:
    """From the wheel itself, not from this tree, in an interpreter that knows of no settings."""
    program = (
        "import jobsaga, jobsaga.sagas, jobsaga.testing, sys\n"
        "from jobsaga import submit_job, JobConsumer\n"
        "assert '.whl' in jobsaga.__file__, jobsaga.__file__\n"
        "from django.apps import apps\n"
        "from django.conf import settings\n"
        "assert not apps.ready and not apps.app_configs\n"
        "assert not settings.configured\n"
    )
    run_bare(program, PYTHONPATH=str(wheel))


def test_the_rules_import_no_django() -> None:
    run_bare(
        "import jobsaga.sagas, jobsaga.messages, sys; assert 'django' not in sys.modules",
        PYTHONPATH=str(ROOT),
    )


def run_bare(program: str, **environment: str) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("DJANGO", "JOBSAGA"))}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd="/",
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
