"""The addresses of the API, and what each takes and gives: the OpenAPI document is made from this table."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.urls import path, re_path

from jobsaga.live.api import metrics, openapi, records, verbs, views
from jobsaga.live.api.answers import JSON

app_name = "jobsaga_api"


class Route(NamedTuple):
    """One address. *takes* is what is sent, *gives* what is answered, with which status and content type."""

    address: str
    view: Any
    name: str
    gives: Any
    method: str = "get"
    takes: Any = None
    query: tuple[str, ...] = ()
    status: int = 200
    content: str = JSON


def _asks(address: str, view: Any, name: str, takes: Any = records.Why) -> Route:
    """What a saga host does in a moment."""
    return Route(address, view, name, records.Asked, "post", takes, status=202)


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
    Route("v1/submit", views.submit, "submit", records.Accepted, "post", records.Submission, status=201),
    Route("v1/types", views.types, "types", list[records.JobType], query=LISTED),
    _asks("v1/types/<path:name>/pause", verbs.pause, "pause"),
    _asks("v1/types/<path:name>/resume", verbs.resume, "resume"),
    _asks("v1/types/<path:name>/limit", verbs.limit, "limit", records.Limits),
    _asks("v1/types/<path:name>/revert", verbs.revert, "revert"),
    Route("v1/workers", views.workers, "workers", list[records.Worker], query=LISTED),
    _asks("v1/workers/<uuid:instance_id>/drain", verbs.drain, "drain"),
    _asks("v1/workers/<uuid:instance_id>/undrain", verbs.undrain, "undrain"),
    Route("v1/stats", views.stats, "stats", records.Stats),
    Route("v1/health", views.health, "health", list[records.Check]),
    Route("v1/metrics", metrics.metrics, "metrics", str, content=metrics.CONTENT),
)

urlpatterns = [
    *(path(each.address, each.view, name=each.name) for each in ROUTES),
    path("v1/openapi.json", openapi.view(ROUTES), name="openapi"),
    # Whatever else is asked below them is no job, type or worker: said as JSON too.
    re_path(r"^(?:jobs|v1/jobs|v1/types|v1/workers)/", views.nothing),
]
