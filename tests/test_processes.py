"""The tool for tests with real processes: they share the test's database and none outlives its test."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.jobsapp.models import Mark
from tests.processes import Site, Worker, wait_for


def holding(site: Site, text: str, *args: str) -> Worker:
    worker = site.start("hold", text, *args)
    site.wait_for(lambda: f"holding {text}" in worker.log(), what=f"{text} to hold")
    return worker


def test_a_process_writes_into_the_test_database(site: Site) -> None:
    worker = holding(site, "one")
    assert Mark.objects.get(text="one").process_id == worker.pid


def test_a_process_sees_what_the_test_wrote(site: Site) -> None:
    Mark.objects.create(text="from the test")
    listed = site.manage("dumpdata", "jobsapp.mark").stdout
    assert "from the test" in listed


def test_stop_gives_the_exit_code(site: Site) -> None:
    assert site.stop(holding(site, "ends on SIGTERM")) == 0


def test_kill9_ends_the_whole_group_at_once(site: Site) -> None:
    worker = holding(site, "killed")
    site.kill9(worker)
    assert not worker.alive
    assert site.processes() == set()


def test_a_paused_process_stays_and_goes_on(site: Site) -> None:
    worker = holding(site, "paused")
    site.pause(worker)
    worker.process.terminate()
    time.sleep(0.2)  # long enough for an unpaused one to end
    assert worker.alive
    site.resume(worker)
    assert worker.process.wait(10) == 0


def test_close_also_ends_descendants_that_left_the_group(site: Site) -> None:
    worker = holding(site, "with a stray", "--stray")
    site.kill9(worker)
    assert len(site.processes()) == 1
    site.close()
    assert site.processes() == set()


def test_two_sites_do_not_end_each_others_processes(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Site(tmp_path_factory.mktemp("other"))
    worker = holding(site, "mine")
    holding(other, "theirs")
    other.close()
    assert worker.alive


def test_a_failing_command_shows_what_it_printed(site: Site) -> None:
    with pytest.raises(AssertionError, match="Unknown command"):
        site.manage("nosuchcommand")


def test_wait_for_returns_what_it_waited_for() -> None:
    answers: Iterator[str] = iter(["", "", "there"])
    assert wait_for(lambda: next(answers)) == "there"


def test_wait_for_says_what_did_not_come() -> None:
    with pytest.raises(AssertionError, match="for the moon, last saw None"):
        wait_for(lambda: None, timeout=0.05, what="the moon")
