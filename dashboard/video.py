"""ffmpeg as a well-behaved child: watched while it runs, stopped when its caller leaves.

`ffmpeg()` is a context manager. However its block is left (the end, an exception, a cancellation), ffmpeg has
ended afterwards: it is asked to terminate, then killed, and always waited for. Progress comes from ffmpeg
itself (`-progress pipe:1`), a few times a second, so whoever iterates over it gets to look for a cancellation
as often. What ffmpeg says on stderr goes to a file, where it can't block; the end of it is part of the error.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import imageio_ffmpeg

GRACE = 1.0  # seconds between SIGTERM and SIGKILL: what it wrote is thrown away anyway
TAIL = 2000  # bytes of stderr that go into an error


class FfmpegError(Exception):
    """ffmpeg ended with an error; the text has its exit code and its last words."""


@dataclass(frozen=True)
class Progress:
    """What ffmpeg has written so far: frames, and seconds of film."""

    frame: int
    seconds: float


@dataclass(frozen=True)
class Ffmpeg:
    """A running ffmpeg; iterate `progress()` to its end."""

    process: subprocess.Popen[str]
    stderr: IO[bytes]

    def progress(self) -> Iterator[Progress]:
        """Yield ffmpeg's progress until it ends. Raises FfmpegError when it ends badly."""
        assert self.process.stdout is not None
        yield from read_progress(self.process.stdout)
        code = self.process.wait()
        if code != 0:
            raise FfmpegError(f"ffmpeg ended with {code}: {self._last_words()}")

    def _last_words(self) -> str:
        self.stderr.seek(0)
        return self.stderr.read()[-TAIL:].decode(errors="replace").strip() or "it said nothing"


@contextmanager
def ffmpeg(*arguments: str | Path) -> Iterator[Ffmpeg]:
    """Run ffmpeg for the time of the block."""
    options = ["-nostdin", "-y", "-loglevel", "warning", "-stats_period", "0.2", "-progress", "pipe:1"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *options, *map(str, arguments)]
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        try:
            yield Ffmpeg(process, stderr)
        finally:
            stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process if it still runs, and wait until it has."""
    try:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    finally:
        process.kill()  # does nothing to a process that was waited for
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_progress(lines: Iterable[str]) -> Iterator[Progress]:
    """Read ffmpeg's progress report: blocks of `key=value` lines, each ended by the key `progress`.

    Near its end ffmpeg may say N/A for a time it has told before: progress never goes back.
    """
    block: dict[str, str] = {}
    frame, microseconds = 0, 0
    for line in lines:
        key, _, value = line.strip().partition("=")
        block[key] = value.strip()
        if key == "progress":
            frame = max(frame, _number(block.get("frame")))
            microseconds = max(microseconds, _number(block.get("out_time_us")))
            yield Progress(frame, microseconds / 1e6)
            block = {}


def _number(text: str | None) -> int:
    """Read a count. It is N/A as long as ffmpeg does not know, and a time may begin a little below zero."""
    try:
        return max(0, int(text or 0))
    except ValueError:
        return 0


def duration(path: Path) -> float | None:
    """Seconds of film in a file; None where the file does not say. Raises FfmpegError if it is no film."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-i", str(path)]
    asked = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True)
    said = asked.stderr.decode(errors="replace")  # the exit code is always 1: there is nothing to write
    if "Input #0" not in said:
        raise FfmpegError(f"{path} can't be read as a video: {said[-TAIL:].strip()}")
    found = re.search(r"Duration: (\d+):(\d+):(\d+\.\d+)", said)
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def convert(
    source: Path, target: Path, *, height: int, preset: str, threads: int
) -> AbstractContextManager[Ffmpeg]:
    """Convert a film to H.264 and AAC, `height` in pixels; `threads` 0 means as many as fit the machine."""
    video = ["-vf", f"scale=-2:{height}", "-c:v", "libx264", "-preset", preset, "-threads", str(threads)]
    return ffmpeg("-i", source, *video, "-c:a", "aac", "-f", "mp4", target)


def render_sample(target: Path, *, seconds: int) -> AbstractContextManager[Ffmpeg]:
    """Render a film of ffmpeg's own: its moving test picture with a tone."""
    picture = f"testsrc2=size=1280x720:rate=30:duration={seconds}"
    tone = f"sine=frequency=440:duration={seconds}"
    sources = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone]
    return ffmpeg(*sources, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", target)
