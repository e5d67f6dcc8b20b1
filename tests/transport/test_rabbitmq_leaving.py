"""A transport that is closed before its broker has answered."""

from __future__ import annotations

import gc
import socket
import time
import warnings

import pytest

from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.link import Link


@pytest.mark.parametrize("answers", [True, False], ids=["takes the connection and is silent", "refuses it"])
def test_closing_while_it_connects_ends_its_thread_and_leaves_no_socket(answers: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        if not answers:
            server.close()
        port = server.getsockname()[1] if answers else 1
        link = Link(Address(f"amqp://guest:guest@127.0.0.1:{port}/"), came_back=lambda parcel: None)
        link.start()
        if answers:
            taken, _ = server.accept()
            time.sleep(0.05)
            taken.recv(8)  # its greeting: now it waits for ours
        began = time.monotonic()
        link.close()
        assert time.monotonic() - began < 4
        assert link._thread is not None
        assert not link._thread.is_alive()
        if answers:
            taken.close()
        del link
        gc.collect()
    assert [str(each.message) for each in warned if issubclass(each.category, ResourceWarning)] == []
