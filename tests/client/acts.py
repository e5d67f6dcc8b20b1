"""Jobs to submit: of the test app, and made for one test."""

from __future__ import annotations

from typing import Any

from tests.jobsapp.jobs.acting import ActInProcess

TYPE = "jobsapp.ActInProcess"


def act(what: str = "give", **args: Any) -> ActInProcess:
    return ActInProcess(what, args)
