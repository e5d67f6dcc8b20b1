"""What goes between an instance and its children."""

from __future__ import annotations

import socket

import pytest

from jobsaga.worker.wire import Channel, Ready, pack


def test_a_child_that_cannot_read_what_it_is_told_says_so_and_does_not_wait_for_ever() -> None:
    """Of another release, for one: a frame has a field by now that the instance does not know."""
    instance, child = socket.socketpair()
    with instance, child:
        channel = Channel(child)
        instance.sendall(pack(Ready()))
        with pytest.raises(ValueError, match="another release"):
            channel.receive()
