"""What jobs print, line by line into the instance's log."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

log = logging.getLogger("jobsaga.output")

CHUNK = 65_536
#: How much is read at a time: a job that never stops printing must not keep the instance from its work.
MOST = 16 * CHUNK
LINE_LENGTH = 8_192
LINES_PER_SECOND = 200


class Output:
    """The reading end of the pipe that is a child's stdout and stderr.

    It is always emptied, since a job whose pipe is full stands still; of a flood only the beginning is logged.
    """

    def __init__(self, fd: int, monotonic: Callable[[], float]) -> None:
        os.set_blocking(fd, False)
        self._fd, self._monotonic = fd, monotonic
        self._rest = b""
        self._second, self._lines, self._left_out = 0, 0, 0
        #: Whose output it is.
        self.speaker = ""

    def fileno(self) -> int:
        """For a selector."""
        return self._fd

    def drain(self) -> bool:
        """Log what is there; False when nothing can come any more."""
        for _ in range(MOST // CHUNK):
            try:
                data = os.read(self._fd, CHUNK)
            except BlockingIOError:
                return True
            if not data:
                self._log(self._rest)
                self._rest = b""
                return False
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._log(line)
            if len(self._rest) > LINE_LENGTH:
                self._log(self._rest)
                self._rest = b""
        return True

    def close(self) -> None:
        """Log what is left."""
        self._log(self._rest)
        self._tell_left_out()
        os.close(self._fd)

    def _log(self, line: bytes) -> None:
        if not line:
            return
        second = int(self._monotonic())
        if second != self._second:
            self._tell_left_out()
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > LINES_PER_SECOND:
            self._left_out += 1
        else:
            log.info("%s: %s", self.speaker, line[:LINE_LENGTH].decode(errors="replace"))

    def _tell_left_out(self) -> None:
        if self._left_out:
            log.warning("%s: %d more lines were left out", self.speaker, self._left_out)
        self._left_out = 0
