"""D08, D09, E02, K10-K13 and K29 with real workers that are stopped, killed and frozen."""

from __future__ import annotations

from uuid import UUID

from jobsaga import get_job_state, submit_job
from tests.conformance.deployment import Deployment, living
from tests.conformance.surfaces import history, kinds, path, state
from tests.conformance.test_submission import HAPPY
from tests.jobsapp.jobs.conformance import BusyJob, OddJob, TaskJob, ThreadJob


def start(site: Deployment, message: OddJob) -> UUID:
    """Submit it, and wait until its handler has begun."""
    job_id = submit_job(message)
    site.begins(job_id)
    site.reaches(job_id, "Started")
    return job_id


def test_d08_a_worker_vanishes_and_suspects_are_not_retried(deployment: Deployment) -> None:
    """As the catalogue rewrites it: the worker process vanishes. A process that crashes is the same in small."""
    deployment.site.jobsaga["SUSPECT_JOB_RETRY_COUNT"] = 0
    doomed = deployment.worker()
    crashed, lost = submit_job(BusyJob("crash")), start(deployment, BusyJob("wait"))
    deployment.reaches(crashed, "Faulted", timeout=10)
    assert "exit" in get_job_state(crashed).reason
    deployment.vanish(doomed)
    deployment.site.worker("--sagas-only")
    deployment.reaches(lost, "Faulted")
    assert "was lost" in get_job_state(lost).reason
    assert [len(deployment.diary.begins(job_id)) for job_id in (crashed, lost)] == [1, 1]


def test_d09_k10_k11_a_worker_vanishes_and_its_jobs_run_elsewhere(deployment: Deployment) -> None:
    """One retry as a suspect. The saved state is the last one that was committed; the dead worker gets no more jobs."""
    deployment.site.jobsaga["SUSPECT_JOB_RETRY_COUNT"] = 1
    doomed = deployment.worker()
    go_on = deployment.sign()
    crashed = submit_job(BusyJob("crash", {"times": 1}))
    jobs = [start(deployment, kind("step", {"until": str(go_on)})) for kind in (BusyJob, ThreadJob, TaskJob)]
    deployment.reaches(crashed, "Completed")
    for job_id in jobs:
        deployment.wait_for(lambda job_id=job_id: get_job_state(job_id).progress_value == 3, what="progress")
    deployment.vanish(doomed)
    deployment.site.worker()
    for job_id in jobs:
        deployment.begins(job_id, times=2)
    deployment.wait_for(lambda: len(living()) == 1, what="the dead worker to be known as dead")
    go_on.touch()
    for job_id in jobs:
        deployment.reaches(job_id, "Completed")
        assert path(job_id) == [*HAPPY[:3], "WaitingToRetry", *HAPPY]
        one, two = deployment.diary.begins(job_id)
        assert (two["retry_attempt"], two["state"], two["progress"]) == (1, {"step": 3}, 3.0)
        assert one["pid"] != two["pid"]
        assert len(deployment.diary.lines(job_id, "step")) == 3  # nothing was done twice
    assert get_job_state(crashed).result == "survived"
    assert state(start_and_finish(deployment)) == "Completed"


def start_and_finish(site: Deployment) -> UUID:
    job_id = submit_job(OddJob("quick"))
    site.reaches(job_id, "Completed", timeout=10)
    return job_id


def test_k10_k19_k29_a_worker_is_frozen_and_comes_back(deployment: Deployment) -> None:
    """Its jobs are given to another when its lease is over. When it wakes, in the middle of them, nothing it still
    says or saves counts, and it comes back as a new instance.
    """
    deployment.expected_errors += ["has lost its lease", "The lease of this worker is over"]
    first = deployment.worker()
    go_on = deployment.sign()
    jobs = [start(deployment, kind("save_late", {"until": str(go_on)})) for kind in (BusyJob, ThreadJob)]
    deployment.site.freeze(first)
    deployment.site.worker()
    for job_id in jobs:
        deployment.begins(job_id, times=2)
    go_on.touch()
    for job_id in jobs:
        deployment.reaches(job_id, "Completed")
    before = {instance.id for instance in living()}
    known = [get_job_state(job_id) for job_id in jobs]
    deployment.site.thaw(first)
    deployment.wait_for(lambda: {each.id for each in living()} > before, what="the worker to come back")
    assert [get_job_state(job_id) for job_id in jobs] == known
    for job_id in jobs:
        assert path(job_id) == [*HAPPY[:3], "WaitingToRetry", *HAPPY]
        _, again = deployment.diary.begins(job_id)
        assert get_job_state(job_id).job_state == {"saved by": again["attempt"]}
        assert get_job_state(job_id).result == again["attempt"]


KINDS = [BusyJob, ThreadJob, TaskJob]


def test_e02_shutdown_hands_over_and_restart_resumes(deployment: Deployment) -> None:
    """Better: the job keeps its saved state and spends no retry, so it is still attempt 0, under a new attempt id;
    it waits for no timer, and there is no canceled event. (On RabbitMQ this has an issue of its own.)
    """
    go_on = deployment.sign()
    worker = deployment.worker("--grace", "0.1")
    jobs = [start(deployment, kind("step", {"until": str(go_on)})) for kind in KINDS]
    assert deployment.site.stop(worker, timeout=15) == 0
    assert living() == []
    assert [state(job_id) for job_id in jobs] == ["WaitingForSlot"] * len(jobs)
    go_on.touch()
    deployment.worker()
    for job_id in jobs:
        deployment.reaches(job_id, "Completed", timeout=10)
        one, two = deployment.diary.begins(job_id)
        assert (one["retry_attempt"], two["retry_attempt"]) == (0, 0)
        assert (two["state"], two["progress"]) == ({"step": 3}, 3.0)
        assert one["attempt"] != two["attempt"]
        assert "Job Service Shutdown" in [row.message for row in history(job_id)]
        assert deployment.diary.lines(job_id, "job_canceled") == []


def test_e02_a_job_that_does_not_listen_to_the_shutdown(deployment: Deployment) -> None:
    """Its process is ended after its cancellation timeout, and it goes on elsewhere all the same."""
    go_on = deployment.sign()
    worker = deployment.worker("--grace", "0.1")
    jobs = [start(deployment, kind("deaf", {"until": str(go_on)})) for kind in KINDS]
    assert deployment.site.stop(worker, timeout=15) == 0
    go_on.touch()
    deployment.worker()
    for job_id in jobs:
        deployment.reaches(job_id, "Completed", timeout=10)
        assert get_job_state(job_id).last_retry_attempt == 0
        assert path(job_id) == [*HAPPY[:3], *HAPPY]


def test_k12_k13_a_stopping_worker_takes_no_more_jobs(deployment: Deployment) -> None:
    """From SIGTERM on; what it has may finish within the grace time, and does."""
    go_on = deployment.sign()
    stopping = deployment.worker("--grace", "30")
    old = start(deployment, BusyJob("wait", {"until": str(go_on)}))
    deployment.worker(ready=2)
    stopping.process.terminate()
    deployment.wait_for(lambda: len(living()) == 1, what="the worker to be stopping")
    new = [submit_job(BusyJob("quick")) for _ in range(5)]
    for job_id in new:
        deployment.reaches(job_id, "Completed")
    assert state(old) == "Started"
    go_on.touch()
    assert stopping.process.wait(20) == 0
    deployment.reaches(old, "Completed")
    (pid,) = {line["pid"] for line in deployment.diary.begins(old)}
    for job_id in new:
        assert path(job_id)[-4:] == HAPPY
        assert get_job_state(job_id).last_retry_attempt == 0
        assert pid not in {line["pid"] for line in deployment.diary.begins(job_id)}
        assert "JobAttemptFaulted" not in kinds(job_id)
