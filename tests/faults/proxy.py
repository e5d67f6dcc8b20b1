"""A TCP proxy between a worker and its database, which can lose what passes."""

from __future__ import annotations

import re
import select
import socket
from contextlib import suppress
from random import Random
from threading import Event, Thread

CHUNK = 65536


class Proxy:
    """Forwards connections to ``target``.

    While ``open`` is not set nothing passes, either way, and nobody is told: a cable that was pulled. While
    ``lossy`` is set a request that matches ``lose_reply_to`` is forwarded, but for one in ``one_in`` of them the
    reply is lost and the connection reset: the sender cannot know whether it was done. ``lost`` counts these.
    """

    def __init__(
        self, target: tuple[str, int], *, lose_reply_to: bytes = b"", one_in: int = 1, seed: int = 1
    ) -> None:
        self.target, self.random, self.one_in = target, Random(seed), one_in
        self.pattern = re.compile(lose_reply_to, re.IGNORECASE) if lose_reply_to else None
        self.open, self.lossy, self.lost = Event(), Event(), 0
        self.open.set()
        self._closing = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept nothing more, and let all connections go."""
        self._closing = True
        self.open.set()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self.target) as server:
            while not self._closing:
                ready, _, _ = select.select([client, server], [], [], 0.2)
                for end in ready:
                    self.open.wait()
                    data = end.recv(CHUNK)
                    if not data:
                        return
                    other = server if end is client else client
                    other.sendall(data)
                    if end is client and self._is_unlucky(data):
                        self._lose_the_reply(client, server)
                        return

    def _is_unlucky(self, data: bytes) -> bool:
        matches = self.lossy.is_set() and self.pattern and self.pattern.search(data)
        return bool(matches) and self.random.randrange(self.one_in) == 0

    def _lose_the_reply(self, client: socket.socket, server: socket.socket) -> None:
        """Wait until it was done, then reset."""
        server.recv(CHUNK)
        self.lost += 1
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
