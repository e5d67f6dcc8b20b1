"""What the pages are looked at with: a site where nothing ever happened, a usual day, and one that is overloaded.

The rows are made by the real engine and by workers that do as told, in a time that ends now.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobsaga.clock import ManualClock
from jobsaga.messages import CancelJob, Fault, JobAttemptFaulted, StartJob
from jobsaga.models.workers import InstanceState
from tests.engine.places import DatabasePlace
from tests.engine.workers import ScriptedWorker
from tests.engine.world import World

CONVERT, PACK, RUN, CALL, QUICK = (
    f"dashboard.{name}" for name in ("ConvertVideo", "PackDirectory", "RunJob", "CallService", "QuickJob")
)
TRACEBACK = """Traceback (most recent call last):
  File "/srv/site/services/jobs.py", line 24, in call_service
    answer = client.get(address, timeout=5)
  File "/srv/site/services/client.py", line 71, in get
    raise ConnectionError(f"{address}: the service does not answer")
ConnectionError: https://rates.example/v2: the service does not answer"""


class Scene:
    """A world that ends at the present moment."""

    def __init__(self, past: timedelta = timedelta(minutes=70)) -> None:
        self.clock = ManualClock(datetime.now(UTC) - past)
        self.world = World(DatabasePlace(self.clock))
        self.place: Any = self.world.place

    def worker(self, host: str, pid: int, limits: dict[str, int], **more: Any) -> ScriptedWorker:
        """A worker with a name of its own."""
        worker = self.world.worker(limit=1, types=(), **more)
        self.place.rows("JobInstance").filter(id=worker.id).update(
            host=host, pid=pid, version="2.4.1", properties={"machine": host.partition("-")[0]}
        )
        for name, limit in limits.items():
            worker.announce([name], limit, 2 if name == RUN else None)
        self.world.lap()
        return worker

    def pass_time(self, **lasts: float) -> None:
        """Who lives beats; nothing else happens."""
        self.clock.advance(timedelta(**lasts))
        for worker in self.world.workers:
            worker.beat()

    def until_now(self) -> None:
        """Come to the present, with leases that hold for as long as one looks."""
        self.clock.advance(max(timedelta(0), datetime.now(UTC) - self.clock.now()))
        instances = self.place.rows("JobInstance").filter(state=InstanceState.RUNNING)
        alive = [worker.id for worker in self.world.workers if worker.alive]
        instances.filter(id__in=alive).update(lease_expires_at=self.clock.now() + timedelta(hours=1))

    def fail(
        self, worker: ScriptedWorker, start: StartJob, kind: str, text: str, retry: float | None = None
    ) -> None:
        """The run has raised this."""
        delay = None if retry is None else timedelta(seconds=retry)
        times = {"timestamp": self.clock.now(), "duration": timedelta(seconds=41)}
        told = {"fault": Fault(type=kind, message=text, traceback=TRACEBACK), "retry_delay": delay}
        self.world.say(JobAttemptFaulted(job_id=start.job_id, attempt_id=start.attempt_id, **times, **told))

    def ended(self, worker: ScriptedWorker, count: int) -> None:
        """Short jobs that came and went."""
        for number in range(count):
            self.world.submit(QUICK, message={"number": number, "milliseconds": 50})
            for start in worker.receive():
                worker.started(start)
                self.pass_time(seconds=1 + number % 4)
                worker.complete(start, duration=timedelta(seconds=1 + number % 4))
            self.world.lap()
            self.pass_time(seconds=20 + 17 * (number % 5))


def usual_day(past: timedelta = timedelta(minutes=70)) -> dict[str, UUID]:
    """Two workers, a few jobs in every state. The ids by what they are."""
    scene = Scene(past)
    world = scene.world
    one = scene.worker("render-1", 4121, {CONVERT: 2, PACK: 1, CALL: 1})
    two = scene.worker("render-2", 977, {CONVERT: 1, RUN: 1, QUICK: 1})
    scene.ended(two, 34)
    ids = _failed(scene, one)
    ids["completed"] = world.submit(PACK, message={"source": "/usr/lib/python3.11", "target": "/var/pack"})
    (start,) = one.receive()
    one.started(start)
    one.log(start, "0 of 812 files are done already", status="Packing")
    one.progress(start, 812, limit=812, message="zipfile.py")
    scene.pass_time(minutes=3)
    one.complete(start, {"files": 812, "bytes": 9120331}, duration=timedelta(minutes=3))
    world.lap()
    return ids | _running(scene, one, two)


def _failed(scene: Scene, worker: ScriptedWorker) -> dict[str, UUID]:
    world = scene.world
    ids = {"faulted": world.submit(CALL, message={"failures": 9}, actor="ana", properties={"tenant": "acme"})}
    (start,) = worker.receive()
    worker.started(start)
    scene.pass_time(seconds=40)
    scene.fail(worker, start, "ConnectionError", "https://rates.example/v2: the service does not answer", 30)
    scene.pass_time(seconds=31)
    world.sweep()
    (start,) = worker.receive()
    worker.started(start)
    worker.log(start, "Asking again", status="Calling", data={"call": 2})
    scene.pass_time(seconds=44)
    scene.fail(worker, start, "ConnectionError", "https://rates.example/v2: the service does not answer")
    ids["canceled"] = world.submit(CALL, message={"failures": 1})
    (start,) = worker.receive()
    world.say(CancelJob(job_id=ids["canceled"], reason="Submitted twice", actor="ben"))
    worker.cancel(start, reason="Submitted twice")
    world.lap()
    ids["retrying"] = world.submit(CALL, message={"failures": 3})
    for start in worker.receive():
        if start.job_id == ids["retrying"]:
            worker.started(start)
            scene.fail(worker, start, "TimeoutError", "no answer within 5 s", retry=7200)
    return ids


def _running(scene: Scene, one: ScriptedWorker, two: ScriptedWorker) -> dict[str, UUID]:
    world, ids = scene.world, {}
    films = ("s01e04.mkv", "s01e05.mkv", "making-of.mov", "trailer.mp4", "interview-part-2.mov")
    convert = [
        world.submit(CONVERT, message={"source": f"/media/in/{name}", "height": 720}) for name in films
    ]
    ids["running"], ids["waiting"] = convert[0], convert[-1]
    ids["run_job"] = world.submit(RUN, message={"job_name": "Month end", "description": "Close the books"})
    ids["scheduled"] = world.submit(
        PACK, message={"source": "/srv/media"}, start_at=datetime.now(UTC) + timedelta(hours=9)
    )
    world.submit("reports.MonthEnd", message={"month": "2026-10"})
    for worker in (one, two):
        for number, start in enumerate(worker.receive()):
            worker.started(start)
            for step in range(1, 4):
                scene.pass_time(seconds=45)
                if start.job_id != convert[1]:
                    worker.progress(
                        start, 1703 * step + 211 * number, limit=10000, message=f"frame {1703 * step}"
                    )
                if start.job_id == ids["run_job"]:
                    worker.log(start, f"Completed step {step}.", status=f"Step {step}")
                world.lap()
            worker.save(start, {"frame": 5109})
    world.lap()
    scene.until_now()
    world.lap()
    return ids


def overloaded() -> dict[str, UUID]:
    """A lost worker, queues of hundreds, failures by the dozen, and long names everywhere."""
    scene = Scene(timedelta(minutes=40))
    world, ids = scene.world, {}
    long_name = "warehouse.replication.SynchronizeEverySingleCustomerRecordWithTheOtherSystem"
    busy = [scene.worker(f"ip-10-42-{n}-201.eu-central-1.compute.internal", 31000 + n, {CONVERT: 8, long_name: 4})
            for n in range(5)]  # fmt: skip
    lost = scene.worker("render-9", 12, {CALL: 3})
    for number in range(30):
        world.submit(CALL, message={"failures": number})
        for start in lost.receive():
            lost.started(start)
            kinds = ("ConnectionError", "KeyError", "sqlalchemy.exc.OperationalError", "ValidationError")
            scene.fail(
                lost, start, kinds[number % 4], f"number {number}: " + "it went wrong again " * (number % 9)
            )
        scene.pass_time(seconds=20)
    world.submit_many(3, CALL, message={"failures": 0})
    for start in lost.receive():
        lost.started(start)
    world.lap()
    lost.dies()
    world.submit_many(260, CONVERT, message={"source": "/media/in/" + "a-very-long-name-" * 8 + ".mkv"})
    world.submit_many(90, long_name, message={"customer": "ACME", "since": "2026-01-01"})
    world.submit_many(40, "reports.MonthEnd", message={"month": "2026-10"})
    for worker in busy:
        for number, start in enumerate(worker.receive()):
            worker.started(start)
            worker.progress(start, 97.5 * number, limit=1000, message="<b>chunk</b> " + "x" * 40 * number)
            ids["running"] = start.job_id
    world.lap()
    scene.until_now()
    return ids
