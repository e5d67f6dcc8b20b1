"""What jobs print, line by line into the instance's log; the end of it is kept for the job's."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable

log = logging.getLogger("jobsaga.output")

CHUNK = 65_536
#: How much is read at a time: a job that never stops printing must not keep the instance from its work.
MOST = 16 * CHUNK
LINE_LENGTH = 8_192
LINES_PER_SECOND = 200
TAIL_LINES, TAIL_LENGTH = 100, 8_000


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
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES)

    def begin(self, speaker: str) -> None:
        """From here on it is another's."""
        self.drain()
        self._log(self._rest)
        self._rest = b""
        self.speaker = speaker
        self._tail.clear()

    def tail(self) -> str:
        """The end of what was printed since."""
        lines = [*self._tail, self._rest[:LINE_LENGTH]] if self._rest else self._tail
        return b"\n".join(lines).decode(errors="replace")[-TAIL_LENGTH:]

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
        self._rest = b""
        self._tell_left_out()
        os.close(self._fd)

    def _log(self, line: bytes) -> None:
        if not line:
            return
        self._tail.append(line[:LINE_LENGTH])
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
