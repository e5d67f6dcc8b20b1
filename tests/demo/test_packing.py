"""A pack may be broken off at any byte; the next attempt goes on, and does no finished file twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from dashboard.packing import Checkpoint, PackError, list_files, open_pack, read_ledger, verify

BASE_DIR = Path(__file__).parents[2]
FILES = [f"{folder}/{number}.txt" for folder in ("a", "b") for number in range(10)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number, path in enumerate(FILES):
        file = tmp_path / "source" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(100 * number))
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def go_on() -> None:
    pass


def pack(source: Path, target: Path, paths: list[str], checkpoint: Checkpoint | None = None) -> Checkpoint:
    with open_pack(source, target, checkpoint) as packing:
        for path in paths:
            packing.add(path, go_on)
        return packing.checkpoint


def finish(source: Path, target: Path, checkpoint: Checkpoint | None) -> None:
    with open_pack(source, target, checkpoint) as packing:
        for path in FILES:
            if path > packing.checkpoint.last:
                packing.add(path, go_on)
        packing.finish()


def packed(target: Path) -> list[str]:
    return [entry.path for entry, _ in read_ledger(target)]


def test_files_are_listed_sorted_and_without_what_is_excluded(source: Path) -> None:
    (source / "a" / "__pycache__").mkdir()
    (source / "a" / "__pycache__" / "x.pyc").touch()
    (source / "link").symlink_to(source / "a" / "1.txt")
    (source / "c.o").touch()
    assert list_files(source, ("__pycache__", "*.o")) == FILES


def test_the_tree_must_exist(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="nowhere is not a directory"):
        list_files(tmp_path / "nowhere")


def test_an_archive_is_what_its_manifest_says(source: Path, target: Path) -> None:
    finish(source, target, None)
    assert verify(target) == len(FILES)
    with tarfile.open(target / "archive.tar.xz") as archive:
        extracted = archive.extractfile("b/7.txt")
        assert extracted is not None
        assert extracted.read() == (source / "b/7.txt").read_bytes()


def test_a_changed_byte_is_found(source: Path, target: Path) -> None:
    finish(source, target, None)
    manifest = target / "manifest.sha256"
    manifest.write_text(manifest.read_text().replace("a/3.txt", "a/33.txt"))
    with pytest.raises(PackError, match=r"archive and manifest differ at a/3\.txt and 1 more"):
        verify(target)


def test_files_finished_after_the_checkpoint_are_not_done_again(source: Path, target: Path) -> None:
    checkpoint = pack(source, target, FILES[:5])
    pack(source, target, FILES[5:8], checkpoint)
    with open_pack(source, target, checkpoint) as packing:
        assert packing.checkpoint.files == 8
        assert packing.checkpoint.last == FILES[7]
    finish(source, target, checkpoint)
    assert packed(target) == FILES
    assert verify(target) == len(FILES)


@pytest.mark.parametrize("lost", [1, 2, 40])
def test_half_a_ledger_line_does_not_count(source: Path, target: Path, lost: int) -> None:
    checkpoint = pack(source, target, FILES[:5])
    end = pack(source, target, FILES[5:8], checkpoint).ledger_end
    os.truncate(target / "ledger.jsonl", end - lost)
    with open_pack(source, target, checkpoint) as packing:
        assert packing.checkpoint.files == 7
    finish(source, target, checkpoint)
    assert packed(target) == FILES
    assert verify(target) == len(FILES)


def test_half_a_file_in_the_archive_is_cut_off(source: Path, target: Path) -> None:
    checkpoint = pack(source, target, FILES[:5])
    with (target / "archive.tar.xz").open("ab") as archive:
        archive.write(b"half a file")
    finish(source, target, checkpoint)
    assert verify(target) == len(FILES)


def test_a_ledger_that_is_ahead_of_the_archive_is_believed_only_as_far(source: Path, target: Path) -> None:
    checkpoint = pack(source, target, FILES[:5])
    end = pack(source, target, FILES[5:8], checkpoint).archive_end
    os.truncate(target / "archive.tar.xz", end - 1)
    with open_pack(source, target, checkpoint) as packing:
        assert packing.checkpoint.files == 7
    finish(source, target, checkpoint)
    assert verify(target) == len(FILES)


def test_files_shorter_than_the_checkpoint_are_refused(source: Path, target: Path) -> None:
    checkpoint = pack(source, target, FILES[:5])
    os.truncate(target / "archive.tar.xz", 10)
    with (
        pytest.raises(PackError, match="shorter than the saved state says"),
        open_pack(source, target, checkpoint),
    ):
        pass


def test_without_a_checkpoint_it_starts_anew(source: Path, target: Path) -> None:
    finish(source, target, None)
    finish(source, target, None)
    assert packed(target) == FILES
    assert verify(target) == len(FILES)


def test_finishing_may_be_repeated(source: Path, target: Path) -> None:
    checkpoint = pack(source, target, FILES)
    finish(source, target, checkpoint)
    finish(source, target, checkpoint)
    assert verify(target) == len(FILES)


def test_breaking_off_between_blocks_leaves_the_file_unfinished(source: Path, target: Path) -> None:
    class Stop(BaseException):
        pass

    def stop() -> None:
        raise Stop

    with open_pack(source, target) as packing:
        checkpoint = packing.add(FILES[0], go_on)
        with pytest.raises(Stop):
            packing.add(FILES[9], stop)
    assert packed(target) == FILES[:1]
    finish(source, target, checkpoint)
    assert verify(target) == len(FILES)


def test_two_processes_never_write_the_same_archive(source: Path, target: Path) -> None:
    refused = pytest.raises(PackError, match="another process is still writing")
    with open_pack(source, target), refused, open_pack(source, target):
        pass


KILLED = """
import sys
from pathlib import Path
from dashboard.packing import list_files, open_pack
source, target = Path(sys.argv[1]), Path(sys.argv[2])
with open_pack(source, target) as packing:
    while True:
        for path in list_files(source):
            packing.add(path, lambda: None)
        print("once", flush=True)
"""


def test_a_killed_process_is_followed_without_a_file_done_twice(source: Path, target: Path) -> None:
    (source / "z").write_bytes(os.urandom(5_000_000))  # the file in which the kill strikes
    command = [sys.executable, "-c", KILLED, source, target]
    process = subprocess.Popen(command, cwd=BASE_DIR, start_new_session=True)
    deadline = time.monotonic() + 30
    while not (target / "ledger.jsonl").exists() or len(packed(target)) < len(FILES):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert packed(target) == FILES
    with open_pack(source, target, Checkpoint()) as packing:
        assert packing.checkpoint.files == len(FILES)
        packing.add("z", go_on)
        packing.finish()
    assert packed(target) == [*FILES, "z"]
    assert verify(target) == len(FILES) + 1
