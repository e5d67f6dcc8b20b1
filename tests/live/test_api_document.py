"""Schemathesis asks the API whatever its document allows, and what it does not: every answer is one that it describes.

A small site with jobs in all states; SQLite alone, since the database is not what is tested. ``JOBSAGA_TRIALS=20``
asks twenty times as much.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.contrib.auth import get_user_model
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from jobsaga.conf import settings as jobsaga_settings
from jobsaga.consumers import consumers, job_consumer
from jobsaga.live.api.openapi import CONVERTER, document
from jobsaga.live.api.urls import ROUTES
from jobsaga.live.tokens import make
from jobsaga.models import JobInstance, JobSaga
from tests.live import scenes
from tests.live.conftest import EVERYWHERE

pytestmark = [EVERYWHERE, pytest.mark.sqlite]

TRIALS = int(os.environ.get("JOBSAGA_TRIALS", "1"))
EXAMPLES = 12
#: What hardly a generated request achieves: the tests of each say that it can be.
RARE = {"submit", "limit", "retry", "run", "finalize"}
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance, negative_data_rejection, unsupported_method,
]  # fmt: skip


@pytest.fixture
def token(db: None) -> Iterator[str]:
    """Of one who may do everything, on a site where there is something of everything."""
    with consumers.temporary():
        job_consumer(job_type_name="api.Nothing")(lambda context: None)
        scenes.usual_day()
        ada = get_user_model().objects.create_superuser("ada", password="x")
        yield make("robot", ada, ["read", "submit", "steer"])[1]


@pytest.fixture
def site() -> Iterator[Any]:
    """The site as a WSGI application that leaves the test's connections open."""
    signals = (request_started, request_finished)
    for each in signals:
        each.disconnect(close_old_connections)
    yield get_wsgi_application()
    for each in signals:
        each.connect(close_old_connections)


def known() -> dict[str, list[str]]:
    """What there is for the parts of an address: one job in each state, a worker, some types."""
    alias = jobsaga_settings.DATABASE
    jobs = JobSaga.objects.using(alias).order_by("state", "pk").values_list("state", "pk")
    workers = JobInstance.objects.using(alias).values_list("pk", flat=True)
    return {
        "job_id": [str(each) for each in dict(jobs).values()],
        "instance_id": [str(each) for each in workers],
        "name": [scenes.CONVERT, "api.Nothing"],
    }


@pytest.mark.parametrize("mode", GenerationMode, ids=str)
def test_every_answer_is_as_the_document_says(mode: GenerationMode, token: str, site: Any) -> None:
    schema = schemathesis.openapi.from_dict(document(ROUTES, "/api"))
    schema.app = site
    there = known()
    for route in ROUTES:
        operation = schema["/" + CONVERTER.sub(r"{\2}", route.address)][route.method.upper()]
        answered = asked(operation, mode, {"Authorization": f"Bearer {token}"}, there)
        if mode.is_positive and route.name not in RARE:
            assert {200, 201, 202} & answered, (route.name, answered)


def asked(
    operation: Any, mode: GenerationMode, headers: dict[str, str], there: dict[str, list[str]]
) -> set[int]:
    """Ask and check one operation; the statuses that were answered."""
    answered = set()

    @settings(max_examples=EXAMPLES * TRIALS, deadline=None, derandomize=TRIALS == 1, database=None,
              phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(data=st.data())
    def ask(data: Any) -> None:
        case = data.draw(operation.as_strategy(mode))
        if mode.is_positive and data.draw(st.integers(0, 2), "of something that there is"):
            case.path_parameters = {
                name: data.draw(st.sampled_from(there[name])) for name in case.path_parameters or {}
            }
        response = case.call(headers=headers)
        case.validate_response(
            response, checks=CHECKS, headers=headers, transport_kwargs={"headers": headers}
        )
        answered.add(response.status_code)

    ask()
    return answered
