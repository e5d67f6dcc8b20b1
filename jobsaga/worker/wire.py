"""What the instance, its fork server and its children say to each other, and how it is cut into frames.

Between instance and child runs a stream: each frame is its length (4 bytes) and the message in MessagePack. A
child speaks the very messages that go to the sagas, and three words more. Between instance and server each
frame is one packet, so that the file descriptors that come with it belong to it.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from contextlib import suppress
from threading import Lock
from typing import Any
from uuid import UUID

import msgspec

from jobsaga.messages import (
    CancelKind,
    JobAttemptCanceled,
    JobAttemptCompleted,
    JobAttemptFaulted,
    JobAttemptStarted,
    SetJobProgress,
    StartJob,
    WriteJobLog,
)

CHUNK = 262_144
LENGTH = 4
#: No frame is as long as this. Text that somebody wrote into the stream, read as a length, is longer.
TOO_LONG = 0x0800_0000


class Frame(msgspec.Struct, frozen=True, tag=True, tag_field="type"):
    """Anything that is no message to the sagas."""


# instance -> child


class Cancel(Frame, frozen=True):
    """Ask this attempt to end; said twice: interrupt it once more."""

    attempt_id: UUID
    kind: CancelKind
    reason: str = ""


# child -> instance


class Ready(Frame, frozen=True):
    """The child can be given work."""


class Idle(Frame, frozen=True):
    """A process child has tidied up after its job. ``retire`` says why it should not be used again, if so."""

    retire: str = ""


class Stirred(Frame, frozen=True):
    """An attempt got on: its progress or its saved state has changed."""

    attempt_id: UUID


class Beat(Frame, frozen=True):
    """The shared child is alive; for so many seconds its event loop was not."""

    loop_delay: float = 0.0


# instance -> server


class Hello(Frame, frozen=True):
    """What the server must know of the instance before it loads the site."""

    settings_module: str
    #: What names the databases, by alias: in a test they are not those of the settings.
    databases: dict[str, dict[str, str]]
    instance_properties: dict[str, Any]


class Fork(Frame, frozen=True):
    """Make a child. Its job socket and its output come along as descriptors, in this order."""

    number: int
    shared: bool


# server -> instance


class ServerReady(Frame, frozen=True):
    """The site is loaded. ``threads`` are those that forbid to fork: children are then started anew."""

    threads: list[str] = []


class ServerFailed(Frame, frozen=True):
    """The site cannot be loaded."""

    traceback: str


class Forked(Frame, frozen=True):
    """The child exists; its pidfd comes along."""

    number: int
    pid: int


class ForkFailed(Frame, frozen=True):
    """The child could not be made."""

    number: int
    reason: str


class Exited(Frame, frozen=True):
    """The child has ended, and all that was left of its process group; a signal is a negative code."""

    number: int
    code: int


ToChild = StartJob | Cancel
FromChild = (
    JobAttemptStarted | JobAttemptCompleted | JobAttemptFaulted | JobAttemptCanceled
    | SetJobProgress | WriteJobLog | Ready | Idle | Stirred | Beat
)  # fmt: skip
ToServer = Hello | Fork
FromServer = ServerReady | ServerFailed | Forked | ForkFailed | Exited

to_child: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(ToChild)
from_child: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(FromChild)
to_server: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(ToServer)
from_server: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(FromServer)
encode = msgspec.msgpack.Encoder().encode


def pack(frame: msgspec.Struct) -> bytes:
    """The frame as it goes into a stream."""
    body = encode(frame)
    return len(body).to_bytes(LENGTH, "big") + body


class Unpacker:
    """Cuts a stream into frames again. ``garbled``: there was something else in it, and nothing after that counts."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self._decode = decoder.decode
        self._rest = b""
        self.garbled = False

    def feed(self, data: bytes) -> list[Any]:
        """The frames that are complete now."""
        data = self._rest + data
        view, end, frames = memoryview(data), 0, []
        while len(data) - end >= LENGTH:
            begin = end + LENGTH
            size = int.from_bytes(view[end:begin], "big")
            if size >= TOO_LONG:
                self.garbled = True
                break
            if len(data) - begin < size:
                break
            end = begin + size
            try:
                frames.append(self._decode(view[begin:end]))
            except msgspec.DecodeError:
                self.garbled = True
                break
        self._rest = data[end:]
        return frames


class Channel:
    """A child's end of its job socket. Any thread may send; one receives.

    What several threads say at once goes out in one piece, by the first that comes to it. A forked copy of the
    process says nothing, since it would speak for its original.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._unpacker = Unpacker(to_child)
        self._outgoing: deque[bytes] = deque()
        self._sending = Lock()
        self._pid = os.getpid()

    def send(self, frame: msgspec.Struct) -> None:
        """Say it; it is out when this returns. Blocks while nobody reads, and is in vain when nobody is there."""
        if os.getpid() != self._pid:
            return
        self._outgoing.append(pack(frame))
        with self._sending:
            self._send_all()

    def receive(self) -> list[Any] | None:
        """Wait for frames; None at the end of the instance. Raises ValueError for what is no frame."""
        try:
            data = self._socket.recv(CHUNK)
        except OSError:
            return None
        frames = self._unpacker.feed(data) if data else None
        if self._unpacker.garbled:
            raise ValueError("What the worker says cannot be read; was another release installed under it?")
        return frames

    def _send_all(self) -> None:
        frames = []
        while self._outgoing:
            frames.append(self._outgoing.popleft())
        if not frames:
            return
        try:
            self._socket.sendall(b"".join(frames))
        except ConnectionError:
            pass  # nobody is there any more: who receives finds out
        except OSError as error:
            # The job has closed it. Who waits in it would never find out, nor would the instance.
            with suppress(OSError):
                os.write(
                    2, f"The job has closed the descriptors of its process, which ends: {error}\n".encode()
                )
            os._exit(1)
