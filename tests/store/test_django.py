"""The contract, filled by the test's database."""

from __future__ import annotations

import pytest

from jobsaga.clock import ManualClock
from tests.engine.places import DatabasePlace
from tests.store.contract import StoreContract
from tests.store.keyed import KeyedContract


@pytest.mark.django_db
class TestDjangoStore(StoreContract, KeyedContract):
    @pytest.fixture
    def place(self) -> DatabasePlace:
        return DatabasePlace(ManualClock())
