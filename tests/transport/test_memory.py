"""The contract, filled in plain memory: alone, and within the memory store's transactions."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from jobsaga.clock import ManualClock
from jobsaga.memory import Memory
from jobsaga.transport.memory import MemoryTransport
from tests.store.rows import announcement
from tests.transport.contract import Post, TransportContract


class TestMemoryTransportAlone(TransportContract):
    @pytest.fixture
    def post(self) -> Post:
        clock = ManualClock()
        transport = MemoryTransport(clock=clock)
        return Post(transport, clock, nullcontext, lambda: transport)


class TestMemoryTransportInAMemory(TransportContract):
    @pytest.fixture
    def post(self) -> Post:
        clock, memory = ManualClock(), Memory()
        transport = MemoryTransport(memory, clock)
        return Post(transport, clock, memory.transaction, lambda: transport)


def test_without_a_broker_no_event_is_taken() -> None:
    receipt = MemoryTransport().publish_events([announcement()])
    assert (receipt.taken, receipt.refused, receipt.error) == (frozenset(), {}, "there is no broker")
