"""MassTransit's quirks that are about limits and strategies: see ``test_quirks``."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobsaga import messages as said
from jobsaga.sagas import JOB_TYPE
from tests.sagas.transcript import Play, named
from tests.sagas.world import START, TYPE

A1 = named("a1")


@pytest.fixture
def play() -> Play:
    return Play()


def test_q28_an_override_ends_in_the_moment_and_by_one_clock(play: Play) -> None:
    """``now`` is the database's; nothing has to ask for a slot."""
    play.say("w1: hosts videos, limit 1")
    play.world.say(said.OverrideJobLimit(job_type=TYPE, concurrent_job_limit=2, duration=60))
    due = play.world.types[TYPE].due_at
    assert due == START + timedelta(seconds=60)
    play.world.now = due - timedelta(microseconds=1)
    play.world.sweep()
    assert play.world.types[TYPE].room == 2
    play.world.now = due
    play.world.sweep()
    assert (play.world.types[TYPE].room, play.world.types[TYPE].due_at) == (1, None)


def test_q32_a_job_that_is_declined_keeps_no_other_from_its_slot(play: Play) -> None:
    """What a strategy is told comes from the rows, and the type goes on to the next job."""
    play.say("w1: hosts videos, limit 1")
    asked = {
        name: said.AllocateJobSlot(
            job_id=named(name), job_type=TYPE, attempt_id=A1, properties={"Zone": name}, priority=1
        )
        for name in ("j1", "j2")
    }
    job_type = play.world.types[TYPE]
    declined = JOB_TYPE.step(job_type, asked["j1"], play.world.env(chosen=None))
    assert declined.saga == job_type
    accepted = JOB_TYPE.step(declined.saga, asked["j2"], play.world.env(chosen=named("w1")))
    assert accepted.saga.active == 1
