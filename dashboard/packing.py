"""Pack a directory tree into one archive so that it can be broken off at any byte and continued.

Three files grow side by side in the target directory:

    archive.tar.xz     one xz stream per file, one after the other: may be cut between any two of them
    ledger.jsonl       one line per finished file: its name, size, sum, and the archive's length after it
    manifest.sha256    written at the end, for `sha256sum --check`

A file is finished when its line is in the ledger, whole; the line is written after the file's bytes. A
checkpoint is a place in both. To continue from one, the ledger is read from there on (files may have been
finished after the checkpoint was taken), and what lies behind its last whole line is cut off: the half of a
file that was being written. So no finished file is ever done twice.
"""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import json
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

BLOCK = 256 * 1024
END_OF_ARCHIVE = bytes(2 * tarfile.BLOCKSIZE)


class PackError(Exception):
    """The tree can't be packed, or the files of an earlier attempt don't fit its checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """How far a pack has come: everything up to and including the file `last` is in archive and ledger."""

    files: int = 0
    size: int = 0  # bytes read
    archive_end: int = 0
    ledger_end: int = 0
    last: str = ""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    path: str
    size: int
    sha256: str
    archive_end: int
    pid: int  # who did it


def list_files(source: Path, exclude: tuple[str, ...] = ()) -> list[str]:
    """The regular files below `source` as sorted relative paths; raises PackError if it is no directory.

    Left out are files whose own name, or the name of a directory above them, matches one of the patterns.
    """
    if not source.is_dir():
        raise PackError(f"{source} is not a directory")

    def wanted(name: str) -> bool:
        return not any(fnmatch.fnmatch(name, pattern) for pattern in exclude)

    found = []
    for folder, folders, names in os.walk(source):
        folders[:] = filter(wanted, folders)
        paths = (Path(folder, name) for name in filter(wanted, names))
        found += [
            path.relative_to(source).as_posix() for path in paths if path.is_file() and not path.is_symlink()
        ]
    return sorted(found)


def read_ledger(target: Path, start: int = 0) -> Iterator[tuple[Entry, int]]:
    """The entries from byte `start` on, each with the byte after its line; ends at a half written line."""
    with (target / "ledger.jsonl").open("rb") as ledger:
        ledger.seek(start)
        for line in ledger:
            start += len(line)
            if not line.endswith(b"\n"):
                return
            yield Entry(**json.loads(line)), start


@contextmanager
def open_pack(source: Path, target: Path, checkpoint: Checkpoint | None = None) -> Iterator[Pack]:
    """Open the files in `target` and continue after the checkpoint; without one, start anew.

    Raises PackError when another process writes there, or the files are shorter than the checkpoint says.
    """
    target.mkdir(parents=True, exist_ok=True)
    with _open(target / "ledger.jsonl") as ledger, _open(target / "archive.tar.xz") as archive:
        try:
            fcntl.flock(ledger, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PackError(f"another process is still writing in {target}") from None
        yield Pack(source, target, ledger, archive, checkpoint)


class Pack:
    """An archive and its ledger, open for writing; `checkpoint` says how far they are."""

    def __init__(
        self, source: Path, target: Path, ledger: BinaryIO, archive: BinaryIO, checkpoint: Checkpoint | None
    ) -> None:
        self.source, self.target = source, target
        self._ledger, self._archive = ledger, archive
        self.checkpoint = self._follow_ledger(checkpoint) if checkpoint else Checkpoint()
        _cut(archive, self.checkpoint.archive_end)
        _cut(ledger, self.checkpoint.ledger_end)

    def add(self, path: str, between: Callable[[], None]) -> Checkpoint:
        """Pack one file. `between` is called between its blocks and may raise to break off."""
        if "\n" in path:
            raise PackError(f"{path!r} can't be a line of a manifest: rename it, or exclude it")
        size, digest = self._write_member(path, between)
        entry = Entry(path, size, digest, self._archive.tell(), os.getpid())
        self._ledger.write(json.dumps(vars(entry)).encode() + b"\n")
        self._ledger.flush()
        self.checkpoint = _after(self.checkpoint, entry, self._ledger.tell())
        return self.checkpoint

    def finish(self) -> None:
        """Close the archive and write the manifest. May be repeated."""
        _cut(self._archive, self.checkpoint.archive_end)
        self._archive.write(lzma.compress(END_OF_ARCHIVE))
        self._archive.flush()
        lines = (f"{entry.sha256}  {entry.path}\n" for entry, _ in read_ledger(self.target))
        (self.target / "manifest.sha256").write_bytes(os.fsencode("".join(lines)))

    def _follow_ledger(self, checkpoint: Checkpoint) -> Checkpoint:
        there = self._archive.seek(0, os.SEEK_END)
        if self._ledger.seek(0, os.SEEK_END) < checkpoint.ledger_end or there < checkpoint.archive_end:
            raise PackError(f"the files in {self.target} are shorter than the saved state says: start anew")
        for entry, ledger_end in read_ledger(self.target, checkpoint.ledger_end):
            if entry.archive_end > there:
                break  # after a power cut the ledger may have reached the disk before the archive did
            checkpoint = _after(checkpoint, entry, ledger_end)
        return checkpoint

    def _write_member(self, path: str, between: Callable[[], None]) -> tuple[int, str]:
        xz, digest = lzma.LZMACompressor(), hashlib.sha256()
        with (self.source / path).open("rb") as file:
            about = os.fstat(file.fileno())
            header = tarfile.TarInfo(path)
            header.size, header.mtime, header.mode = about.st_size, int(about.st_mtime), about.st_mode & 0o777
            self._archive.write(xz.compress(header.tobuf(tarfile.PAX_FORMAT)))
            left = header.size
            while left and (block := file.read(min(BLOCK, left))):
                between()
                digest.update(block)
                left -= len(block)
                self._archive.write(xz.compress(block))
        if left:
            raise PackError(f"{path} became shorter while it was read")
        self._archive.write(xz.compress(bytes(-header.size % tarfile.BLOCKSIZE)) + xz.flush())
        self._archive.flush()
        return header.size, digest.hexdigest()


def _open(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b")


def _cut(file: BinaryIO, end: int) -> None:
    file.truncate(end)
    file.seek(end)


def _after(before: Checkpoint, entry: Entry, ledger_end: int) -> Checkpoint:
    return replace(
        before,
        files=before.files + 1,
        size=before.size + entry.size,
        archive_end=entry.archive_end,
        ledger_end=ledger_end,
        last=entry.path,
    )


def verify(target: Path) -> int:
    """Read an archive back, compare it with the manifest, return the number of files. Raises PackError."""
    lines = os.fsdecode((target / "manifest.sha256").read_bytes()).split("\n")[:-1]
    expected = {path: digest for digest, path in (line.split("  ", 1) for line in lines)}
    if len(expected) != len(lines):
        raise PackError(f"{len(lines) - len(expected)} files are in the manifest twice")
    found = {}
    with tarfile.open(target / "archive.tar.xz", "r:xz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None or member.name in found:
                raise PackError(f"{member.name} is in the archive twice, or is no file")
            found[member.name] = hashlib.sha256(content.read()).hexdigest()
    if found != expected:
        wrong = sorted(found.items() ^ expected.items())
        raise PackError(f"archive and manifest differ at {wrong[0][0]} and {len(wrong) - 1} more")
    return len(found)
