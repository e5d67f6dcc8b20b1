"""The site's settings need nothing, and take what they are given as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("environ")

BASE_DIR = Path(__file__).parents[2]
ASK = """
import json, dashboard.settings as s
print(json.dumps({"database": s.DATABASES["default"], "jobsaga": s.JOBSAGA, "key": s.SECRET_KEY}, default=str))
"""


def settings(**environment: str) -> dict[str, Any]:
    asked = python("-c", ASK, env={"PATH": os.environ["PATH"], **environment})
    if asked.returncode:
        raise RuntimeError(asked.stderr)
    return json.loads(asked.stdout)


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=BASE_DIR, check=False, capture_output=True, text=True, **options)


def test_nothing_has_to_be_set() -> None:
    database = settings()["database"]
    assert database["ENGINE"] == "django.db.backends.sqlite3"
    assert os.path.isabs(database["NAME"])
    assert settings()["jobsaga"]["TRANSPORT"] == "database://"


def test_sqlite_gets_what_many_processes_need() -> None:
    options = settings(DATABASE_URL="sqlite:////tmp/a%20b.sqlite3?timeout=5")["database"]["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert options["timeout"] == 5
    assert "journal_mode=WAL" in options["init_command"]


@pytest.mark.parametrize(("text", "pool"), [("true", True), ("false", False)])
def test_a_pool_is_a_boolean(text: str, pool: bool) -> None:
    database = settings(DATABASE_URL=f"postgres://me:secret@host/jobs?pool={text}")["database"]
    assert database["OPTIONS"]["pool"] is pool
    assert database["CONN_HEALTH_CHECKS"] is True


def test_a_secret_may_begin_with_a_dollar() -> None:
    assert settings(SECRET_KEY="$HOME is where")["key"] == "$HOME is where"
    assert settings(SECRET_KEY="$PATH")["key"] == "$PATH"


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    mounted = tmp_path / "password"
    mounted.write_text("p@ss/w:rd #1\n")
    url = "postgres://me@host/jobs"
    told = settings(DATABASE_URL=url, DATABASE_PASSWORD_FILE=str(mounted), SECRET_KEY_FILE=str(mounted))
    assert told["database"]["PASSWORD"] == told["key"] == "p@ss/w:rd #1"
    with pytest.raises(RuntimeError, match="SECRET_KEY_FILE names a file that cannot be read"):
        settings(SECRET_KEY_FILE=str(tmp_path / "missing"))


def test_a_password_in_the_url_of_the_database_counts() -> None:
    database = settings(DATABASE_URL="postgres://me:first@host/jobs", DATABASE_PASSWORD="second")["database"]
    assert database["PASSWORD"] == "first"


def test_production_wants_a_key() -> None:
    with pytest.raises(RuntimeError, match="set SECRET_KEY to a long random text"):
        settings(DEBUG="off")


def test_a_missing_django_is_explained() -> None:
    asked = python("-S", "manage.py", "demo")
    assert asked.returncode == 1
    assert "pip install -e '.[site]'" in asked.stderr
    assert ".venv/bin/python manage.py demo" in asked.stderr
