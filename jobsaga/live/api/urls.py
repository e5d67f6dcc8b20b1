"""The addresses of the API, and what each takes and gives: the OpenAPI document is made from this table."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.urls import path

from jobsaga.live.api import openapi, records, views

app_name = "jobsaga_api"


class Route(NamedTuple):
    """One address. *takes* is what is sent, *gives* what is answered."""

    address: str
    view: Any
    name: str
    gives: Any
    method: str = "get"
    takes: Any = None
    query: tuple[str, ...] = ()


LISTED = ("format",)
ROUTES = (
    Route("jobs", views.recent_events, "recent-events", list[records.Event], query=LISTED),
    Route("jobs/<uuid:job_id>", views.job_events, "job-events", list[records.Event], query=LISTED),
    Route("v1/jobs", views.jobs, "jobs", records.JobsPage, query=("q", "before", "after", "size", *LISTED)),
    Route("v1/jobs/<uuid:job_id>", views.job, "job", records.JobDetail),
    Route(
        "v1/jobs/<uuid:job_id>/events", views.events, "events", list[records.Event], query=("after", *LISTED)
    ),
    Route("v1/jobs/<uuid:job_id>/cancel", views.cancel, "cancel", records.Accepted, "post", records.Command),
    Route("v1/jobs/<uuid:job_id>/retry", views.retry, "retry", records.Accepted, "post", records.Command),
    Route("v1/jobs/<uuid:job_id>/run", views.run, "run", records.Accepted, "post", records.Command),
    Route(
        "v1/jobs/<uuid:job_id>/finalize",
        views.finalize,
        "finalize",
        records.Accepted,
        "post",
        records.Command,
    ),
    Route("v1/submit", views.submit, "submit", records.Accepted, "post", records.Submission),
    Route("v1/types", views.types, "types", list[records.JobType], query=LISTED),
    Route("v1/workers", views.workers, "workers", list[records.Worker], query=LISTED),
    Route("v1/stats", views.stats, "stats", records.Stats),
    Route("v1/health", views.health, "health", list[records.Check]),
)

urlpatterns = [
    *(path(each.address, each.view, name=each.name) for each in ROUTES),
    path("v1/openapi.json", openapi.view(ROUTES), name="openapi"),
]
