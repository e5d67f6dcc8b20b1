"""Draw the state diagrams of docs/states.md anew: ``python -m tests.sagas.write_diagrams``."""

from __future__ import annotations

import re
from pathlib import Path

from jobsaga.sagas import ATTEMPT, JOB, JOB_TYPE

PAGE = Path(__file__).parents[2] / "docs" / "states.md"
MACHINES = {"job": JOB, "attempt": ATTEMPT, "job type": JOB_TYPE}


def with_diagrams(page: str) -> str:
    """The page with each diagram as its table has it."""
    for name, machine in MACHINES.items():
        place = re.compile(rf"(<!-- diagram: {name} -->\n```mermaid\n).*?(```\n)", re.DOTALL)
        page, found = place.subn(lambda match, it=machine: match[1] + it.as_mermaid() + "\n" + match[2], page)
        if found != 1:
            raise ValueError(
                f"docs/states.md has {found} places for the diagram of the {name}; there must be one."
            )
    return page


if __name__ == "__main__":
    PAGE.write_text(with_diagrams(PAGE.read_text()))
