"""Jobs that hold the interpreter, do not listen, or take too long: nobody else suffers, and they are ended."""

from __future__ import annotations

from uuid import UUID

import pytest

from jobsaga import cancel_job, get_job_state, submit_job
from jobsaga.models import JobHistory
from tests.faults.conftest import SLACK, Figure, attempts_of, state_of
from tests.faults.ledger import ALIAS, Ledger, boottime, problems
from tests.jobsapp.jobs.faults import Deed, TaskDeed, ThreadDeed, TimedDeed, TimedTaskDeed
from tests.processes import Site

#: Longer than a quick site's lease, and in a thread not so long that its process counts as hung (10 s).
HOLD = {Deed: 4, ThreadDeed: 2.5}


@pytest.mark.postgresql
def test_who_holds_the_interpreter_is_not_taken_for_dead(quick: Site, ledger: Ledger) -> None:
    """In a process of its own it slows nobody; in a thread its neighbours wait, and go on."""
    quick.worker()
    hogs = [submit_job(kind("hold_the_interpreter", {"seconds": HOLD[kind]})) for kind in HOLD]
    neighbours = [submit_job(kind("tick", {"seconds": 2})) for kind in (Deed, ThreadDeed)]
    neighbours.append(submit_job(TaskDeed(args={"seconds": 2})))
    jobs = [*hogs, *neighbours]
    quick.wait_for(lambda: all(state_of(job_id) == "Completed" for job_id in jobs), 60 * SLACK, "all to end")
    assert [len(attempts_of(job_id)) for job_id in jobs] == [1] * len(jobs)
    held = {UUID(line["job"]): line["seconds"] for line in ledger.events("held")}
    assert all(held[hog] >= HOLD[kind] for hog, kind in zip(hogs, HOLD, strict=True))
    assert not JobHistory.objects.using(ALIAS).filter(kind="JobAttemptLate").exists()
    assert problems(ledger, jobs) == []


@pytest.mark.sqlite
def test_promise_4_a_cancel_is_enforced_on_a_job_that_does_not_listen(
    quick: Site, ledger: Ledger, figure: Figure
) -> None:
    """It has 2 seconds to clean up; then, and a last call later, its process is killed."""
    quick.worker()
    deaf, neighbour = submit_job(Deed("hold_for_ever")), submit_job(Deed("tick", {"seconds": 4}))
    quick.wait_for(lambda: ledger.events("step", deaf) and ledger.stays(neighbour), what="both to run")
    canceled_at = boottime()
    cancel_job(deaf, reason="enough")
    quick.wait_for(lambda: state_of(deaf) == "Canceled", what="the job to be canceled")
    took = boottime() - canceled_at
    figure("canceled in C code after", took)
    assert 2 <= took < (2 + 2) * SLACK
    assert get_job_state(deaf).reason == "enough"
    (attempt,) = attempts_of(deaf)
    assert (attempt.outcome, attempt.holds_slot) == ("Canceled", False)
    quick.wait_for(lambda: state_of(neighbour) == "Completed", what="its neighbour to end")
    assert len(attempts_of(neighbour)) == 1


@pytest.mark.sqlite
def test_timeouts_are_enforced_under_the_retry_policy(quick: Site, ledger: Ledger) -> None:
    """One second, half a second to clean up, and one retry: asleep, computing, in C code, and async."""
    quick.worker()
    deeds = [
        TimedDeed("sleep", {"seconds": 60}),
        TimedDeed("spin"),
        TimedDeed("hold_for_ever"),
        TimedTaskDeed(args={"seconds": 60}),
    ]
    jobs = [submit_job(deed) for deed in deeds]
    quick.wait_for(lambda: all(state_of(job_id) == "Faulted" for job_id in jobs), 30, "all to be given up")
    for job_id in jobs:
        attempts = attempts_of(job_id)
        assert [each.fault["type"] for each in attempts] == ["JobTimeout"] * 2
        assert [each.outcome for each in attempts] == ["Faulted"] * 2
        assert all(1 <= each.duration.total_seconds() < (1 + 0.5 + 2) * SLACK for each in attempts)
        assert "job_timeout of 1 s" in get_job_state(job_id).reason
        first, second = ledger.stays(job_id)
        assert first.end <= second.begin
    assert problems(ledger, jobs) == []
