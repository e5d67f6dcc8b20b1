"""Forks of a process with one thread. Each case is a program of its own: pytest may have threads."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux only")


def run(program: str) -> str:
    """What it prints; with an error of its own it fails."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


def test_a_fork_runs_what_it_is_given_and_never_goes_on_with_what_its_parent_does() -> None:
    said = run("""
        import atexit, sys
        from jobsaga import processes
        atexit.register(print, "the parent's end")
        print("begun")  # still in the buffer
        fork = processes.fork(lambda: print("fork"), name="n", title="t")
        assert fork.wait(10) == 0 and fork.poll() == fork.returncode == 0
        print("parent")
    """)
    assert said.splitlines() == ["begun", "fork", "parent", "the parent's end"]


@pytest.mark.parametrize(("end", "code"), [("1 / 0", 1), ("sys.exit(7)", 7), ("sys.exit('why')", 1)])
def test_its_exit_code_is_what_a_programs_would_be(end: str, code: int) -> None:
    run(f"""
        import sys
        from jobsaga import processes
        def main(): {end}
        assert processes.fork(main, name="n", title="t").wait(10) == {code}
    """)


def test_it_is_killed_and_waited_for_as_a_popen_is() -> None:
    run("""
        import signal, subprocess, time
        from jobsaga import processes
        fork = processes.fork(lambda: time.sleep(60), name="n", title="t")
        try:
            fork.wait(0.1)
        except subprocess.TimeoutExpired:
            fork.kill()
        assert fork.wait(10) == -signal.SIGKILL
        fork.kill()
    """)


def test_it_has_a_name_a_command_line_a_session_and_no_ear_for_signals() -> None:
    said = run("""
        import os, signal, sys
        from pathlib import Path
        from jobsaga import processes
        def main():
            os.kill(os.getpid(), signal.SIGTERM)
            print(Path("/proc/self/comm").read_text().strip())
            print(Path("/proc/self/cmdline").read_bytes().rstrip(bytes(1)).decode())
            print(os.getsid(0) == os.getpid(), sys.stdin.read() == "")
        assert processes.fork(main, name="the-name", title="jobsaga saga host").wait(10) == 0
    """)
    assert said.splitlines() == ["the-name", "jobsaga saga host", "True True"]


def test_no_fork_keeps_the_leash_of_another() -> None:
    """Else the first would never see its parent's end while the second lives."""
    run("""
        import os, time
        from jobsaga import processes
        ours, theirs = processes.leash()
        first = processes.fork(lambda: os.read(0, 10) and time.sleep(60), name="a", title="a", stdin=theirs.fileno())
        second = processes.fork(lambda: time.sleep(60), name="b", title="b")
        ours.close()
        assert first.wait(10) == 0
        assert second.poll() is None
        second.kill()
    """)


def test_a_process_with_another_thread_may_not_be_forked() -> None:
    run("""
        from threading import Event, Thread
        from jobsaga import processes
        assert processes.may_fork()
        end = Event()
        thread = Thread(target=end.wait)
        thread.start()
        assert not processes.may_fork()
        end.set()
        thread.join()
    """)
