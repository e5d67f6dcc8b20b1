"""The site's addresses: the live pages at the front door, the API and the admin beside them."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="jobsaga_live:now")),
    path("jobs/", include("jobsaga.live.urls")),
    path("api/", include("jobsaga.live.api.urls")),
    path("admin/", admin.site.urls),
]
