"""The machine type strategy, as the page about limits has it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jobsaga.engine.strategies import Strategies
from jobsaga.messages import SetConcurrentJobLimit
from tests.engine.world import TYPE, World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "limits.md"


def of_the_docs() -> Any:
    """The class that the page defines."""
    (code,) = re.findall(r"```python\n(# videos/strategies\.py\n.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["MachineTypeStrategy"]


def test_each_customers_jobs_go_to_his_machines_and_the_limits_hold(world: World) -> None:
    world.engine = world.another_engine(strategies=Strategies({"MachineType": of_the_docs()}))
    workers = {name: world.worker() for name in ("S-Class", "E-Class")}
    for name, worker in workers.items():
        world.say(
            SetConcurrentJobLimit(
                job_type=TYPE, kind="Configured", instance_id=worker.id, concurrent_job_limit=2,
                instance_properties={"machinetype": name}, job_type_properties={"DistributionStrategy": "MachineType"},
            )
        )  # fmt: skip
    usual = world.submit_many(5)
    premium = world.submit_many(5, properties={"customertype": "Premium"})
    taken = {name: [start.job_id for start in worker.receive()] for name, worker in workers.items()}
    assert taken == {"S-Class": premium[:2], "E-Class": usual[:2]}, "in the original the limits did not hold"


def test_another_type_is_not_touched_by_it(world: World) -> None:
    world.engine = world.another_engine(strategies=Strategies({"MachineType": of_the_docs()}))
    world.worker()
    assert world.state(world.submit()) == "StartingJobAttempt"
