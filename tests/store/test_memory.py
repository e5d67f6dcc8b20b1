"""The contract, filled by plain memory."""

from __future__ import annotations

import pytest

from tests.engine.places import MemoryPlace
from tests.store.contract import StoreContract
from tests.store.keyed import KeyedContract


class TestMemoryStore(StoreContract, KeyedContract):
    @pytest.fixture
    def place(self) -> MemoryPlace:
        return MemoryPlace()
