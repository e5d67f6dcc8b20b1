"""The demo empties a directory only when it is its own, and points the settings to a database in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.demo.house import HouseError, free_port, prepare


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))


def test_a_new_directory_gets_a_database_of_its_own(tmp_path: Path) -> None:
    prepare(tmp_path / "a b")
    assert os.environ["DATABASE_URL"] == f"sqlite:///{tmp_path}/a%20b/db.sqlite3"
    assert os.environ["JOBSAGA_TRANSPORT"] == "database://"


def test_what_an_earlier_demo_left_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "demo.pid").write_text(str(ended.pid))
    (tmp_path / "db.sqlite3").touch()
    prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.pid"]


def test_anyone_elses_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(HouseError, match="not from a demo"):
        prepare(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_demo_that_still_runs_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo.pid").write_text(str(os.getpid()))
    with pytest.raises(HouseError, match=r"runs in .* already"):
        prepare(tmp_path)


def test_another_port_is_found_when_the_wished_one_is_taken() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(wished=port) != port
