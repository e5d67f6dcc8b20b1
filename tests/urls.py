"""The test site's pages: Django's admin, which is where jobsaga shows itself, and the live pages once more."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("jobs/", include("jobsaga.live.urls")),
    path("api/", include("jobsaga.live.api.urls")),
]
