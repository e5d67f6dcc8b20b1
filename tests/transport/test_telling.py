"""What is told of an outage."""

from __future__ import annotations

from jobsaga.transport.base import is_worth_telling


def test_an_outage_of_hours_fills_no_log() -> None:
    told = [failures for failures in range(1, 2000) if is_worth_telling(failures)]
    assert told == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
