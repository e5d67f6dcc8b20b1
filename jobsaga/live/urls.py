"""The addresses of the pages.

    path("jobs/", include("jobsaga.live.urls"))      # in a site's urls.py

In the admin they are there by themselves: ``jobsaga.admin`` mounts the same list, each view behind the admin's
own door.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path

from jobsaga.live import letters, limits, steering, submitting, views, zones

app_name = "jobsaga_live"


def addresses(wrap: Callable[[Any], Any] = lambda view: view) -> list[URLPattern]:
    """All addresses, each view wrapped by *wrap*."""
    return [
        path("", wrap(views.now), name="now"),
        path("find/", wrap(views.find), name="find"),
        path("jobs/", wrap(views.jobs), name="jobs"),
        path("jobs/<uuid:job_id>/", wrap(views.job), name="job"),
        path("jobs/do/", wrap(steering.do_many), name="do-many"),
        path("jobs/<uuid:job_id>/do/<str:verb>/", wrap(steering.do), name="do"),
        path("types/", wrap(views.types), name="types"),
        path("types/<path:name>/submit/", wrap(submitting.submit), name="submit"),
        path("types/<path:name>/do/<str:verb>/", wrap(limits.steer), name="steer-type"),
        path("types/<path:name>/", wrap(views.job_type), name="type"),
        path("letters/", wrap(letters.letters), name="letters"),
        path("letters/<int:letter_id>/<str:verb>/", wrap(letters.settle), name="settle"),
        path("workers/", wrap(views.workers), name="workers"),
        path("schedules/", wrap(views.schedules), name="schedules"),
        path("failures/", wrap(views.failures), name="failures"),
        path("activity/", wrap(views.activity), name="activity"),
        path("zone/", wrap(zones.choose), name="zone"),
        path("health/", wrap(views.health), name="health"),
    ]


urlpatterns = addresses()
