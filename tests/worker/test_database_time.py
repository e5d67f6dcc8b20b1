"""What a worker takes the database's time to be: attempts of several workers are compared by it."""

from __future__ import annotations

from datetime import timedelta

from jobsaga.clock import ManualClock
from jobsaga.worker.database_time import DatabaseTime


def test_an_answer_that_had_to_wait_changes_nothing_while_the_clocks_agree() -> None:
    machine = ManualClock()
    time = DatabaseTime(machine)
    asked_at = machine.now()
    said = machine.advance(0.1)
    machine.advance(0.4)  # for the one writer of SQLite, say

    time.learn(said, asked_at)

    assert time.now() == machine.now()


def test_a_machine_that_is_behind_is_put_right_as_far_as_the_answer_proves_it() -> None:
    machine, ahead = ManualClock(), timedelta(seconds=30)
    time = DatabaseTime(machine)
    asked_at = machine.now()
    said = machine.advance(0.1) + ahead
    machine.advance(0.1)

    time.learn(said, asked_at)

    assert time.now() - machine.now() == ahead - timedelta(seconds=0.1)


def test_a_quicker_answer_says_it_more_exactly_and_a_slower_one_does_not_blur_it() -> None:
    machine, ahead = ManualClock(), timedelta(seconds=30)
    time = DatabaseTime(machine)
    for took in (1.0, 0.01, 2.0):
        asked_at = machine.now()
        said = machine.advance(took / 2) + ahead
        machine.advance(took / 2)
        time.learn(said, asked_at)

    assert abs(time.now() - machine.now() - ahead) <= timedelta(seconds=0.01)


def test_a_machine_whose_clock_is_turned_back_is_put_right_at_the_next_answer() -> None:
    machine = ManualClock()
    time = DatabaseTime(machine)
    truth = machine.now() + timedelta(hours=1)

    time.learn(truth, machine.now())

    assert time.now() == truth
